//! Master files (RFC 1035 §5): text to records, records to a zone.

use domain::base::Name as DomainName;
use domain::base::iana::Class;
use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use secondo_wire::{Name, RecordType};
use secondo_zone::{BorderSecret, BuildError, Builder, Limits, Zone};

use crate::Rr;

/// Borders of pages here need no secret: the zones are our own.
pub(crate) const SECRET: [u8; 16] = *b"a scripted world";

/// Why text is no zone.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// The text breaks RFC 1035 §5.
    #[error("master file: {0}")]
    Syntax(String),
    /// `$INCLUDE`: there is no file to include from.
    #[error("master file: $INCLUDE is not followed")]
    Include,
    /// The records do not make a zone.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Reads records; relative names are below `origin`, a TTL left out is 3600. `@` is the origin where an owner stands; in
/// data the reader takes it for a label of that one character, so the origin's name has to be written there.
pub fn read_records(text: &str, origin: &Name) -> Result<Vec<Rr>, MasterError> {
    let syntax = |error: &dyn std::fmt::Display| MasterError::Syntax(error.to_string());
    let mut file = Zonefile::from(text);
    file.set_origin(DomainName::from_octets(origin.as_wire().to_vec().into()).map_err(|e| syntax(&e))?);
    file.set_default_class(Class::IN);
    let mut records = Vec::new();
    while let Some(entry) = file.next_entry().map_err(|e| syntax(&e))? {
        let Entry::Record(record) = entry else { return Err(MasterError::Include) };
        let mut rdata = Vec::new();
        record.data().compose_rdata(&mut rdata).map_err(|e| syntax(&e))?;
        records.push(Rr {
            owner: Name::from_wire(record.owner().to_vec().as_slice()).map_err(|e| syntax(&e))?,
            rtype: RecordType(record.rtype().to_int()),
            class: record.class().to_int(),
            ttl: record.ttl().as_secs(),
            rdata,
        });
    }
    Ok(records)
}

/// Reads a zone; `apex` is its name and the origin at the start of the text.
pub fn read_zone(text: &str, apex: &Name) -> Result<Zone, MasterError> {
    build(apex, &read_records(text, apex)?)
}

pub(crate) fn build(apex: &Name, records: &[Rr]) -> Result<Zone, MasterError> {
    let mut builder = Builder::new(apex.clone(), &BorderSecret::new(SECRET), Limits::default());
    for rr in records {
        builder.push(rr.owner.as_ref(), rr.rtype, rr.ttl, &rr.rdata)?;
    }
    Ok(builder.finish()?.zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
$TTL 300
@ SOA ns hostmaster 7 3600 600 86400 60
  NS ns
ns A 192.0.2.1
*.Wild TXT \"a b\" c
srv._tcp 60 SRV 1 2 443 www.example.net.
odd TYPE65280 \\# 3 010203
";

    #[test]
    fn a_master_file_becomes_a_zone_with_spelling_ttls_and_unknown_types() {
        let apex = Name::parse("Example.").unwrap();
        let records = read_records(TEXT, &apex).unwrap();
        assert_eq!(records.len(), 6);
        assert_eq!(records[3].owner.to_string(), "*.Wild.Example.");
        assert_eq!(records[3].rdata, b"\x03a b\x01c");
        assert_eq!(records[4].ttl, 60);
        assert_eq!((records[5].rtype.0, &records[5].rdata[..]), (65_280, &[1, 2, 3][..]));
        let zone = read_zone(TEXT, &apex).unwrap();
        assert_eq!(zone.serial().0, 7);
        assert_eq!(zone.counts().records, 6);
    }

    #[test]
    fn text_that_is_no_zone_is_an_error() {
        let apex = Name::parse("example.").unwrap();
        assert!(matches!(read_zone("@ NS ns\n", &apex), Err(MasterError::Build(_))));
        let error = read_zone("@ SOA ns hostmaster 7 3600 600 86400 60\nx A 192.0.2.300\n", &apex);
        assert!(matches!(error, Err(MasterError::Syntax(_))));
        assert!(matches!(read_zone("$INCLUDE other\n", &apex), Err(MasterError::Include)));
    }
}
