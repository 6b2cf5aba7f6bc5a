//! Zones and differences as people read them: the lines of a master file (RFC 1035 §5.1).

use std::io::Write;

use secondo_wire::text::put_record;
use secondo_wire::{KeyBuf, Name, NameBuf, RecordType};
use secondo_zone::{Difference, Record, Records, Rrset, Zone};

use crate::control::{Gone, Text};

/// In front of what is in the earlier version alone.
const REMOVED: &str = "- ";
/// In front of what is in the later version alone.
const ADDED: &str = "+ ";

/// A whole version: a comment that says what it is, the SOA, the rest in canonical order. How many records it has.
pub(crate) fn zone(zone: &Zone, text: &mut Text) -> Result<u64, Gone> {
    let records = zone.counts().records;
    // Writing to memory does not fail.
    let _ = write!(text.line(), "; {} serial {}, {records} records", zone.apex(), zone.serial().0);
    text.end_line()?;
    let mut owner = NameBuf::new();
    zone.apex_node().name_into(&mut owner);
    zone.apex_node().rrset(RecordType::SOA).map_or(Ok(()), |soa| put_set(text, &owner, &soa))?;
    for node in zone.nodes() {
        node.name_into(&mut owner);
        let mut sets = node.rrsets().filter(|set| set.rtype() != RecordType::SOA);
        sets.try_for_each(|set| put_set(text, &owner, &set))?;
    }
    Ok(records)
}

fn put_set(text: &mut Text, owner: &NameBuf, set: &Rrset<'_>) -> Result<(), Gone> {
    set.rdatas().try_for_each(|rdata| {
        put_record(text.line(), owner.as_ref(), set.ttl(), set.rtype(), rdata);
        text.end_line()
    })
}

/// What leads from one version of the zone at `apex` to another: the SOAs, then owner by owner in canonical order what
/// went, behind `- `, and what came, behind `+ `. Equal versions have no lines. How many there are.
pub(crate) fn difference(difference: &Difference, apex: &Name, text: &mut Text) -> Result<u64, Gone> {
    let mut lines = 0;
    let mut put = |sign: &str, record: Record<'_>| {
        lines += 1;
        text.line().extend_from_slice(sign.as_bytes());
        put_record(text.line(), record.owner, record.ttl, record.rtype, record.rdata);
        text.end_line()
    };
    let (mut removed, mut added) = (difference.removed(), difference.added());
    let (was, is) = (removed.next(), added.next());
    if was != is {
        was.map_or(Ok(()), |soa| put(REMOVED, soa))?;
        is.map_or(Ok(()), |soa| put(ADDED, soa))?;
    }
    let (mut went, mut came) = (Side::new(removed, apex), Side::new(added, apex));
    loop {
        let first_went = came.next.is_none() || went.key.as_slice() <= came.key.as_slice();
        if let Some(record) = went.next.filter(|_| first_went) {
            put(REMOVED, record)?;
            went.turn(apex);
        } else if let Some(record) = came.next {
            put(ADDED, record)?;
            came.turn(apex);
        } else {
            return Ok(lines);
        }
    }
}

/// One side of a difference, in canonical order of owners.
struct Side<'d> {
    records: Records<'d>,
    next: Option<Record<'d>>,
    /// Of the owner of `next`.
    key: KeyBuf,
}

impl<'d> Side<'d> {
    fn new(records: Records<'d>, apex: &Name) -> Side<'d> {
        let mut side = Side { records, next: None, key: KeyBuf::new() };
        side.turn(apex);
        side
    }

    /// Goes on with the next record.
    fn turn(&mut self, apex: &Name) {
        self.next = self.records.next();
        if let Some(next) = &self.next {
            self.key.set(next.owner, apex.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::{Serial, Soa};
    use secondo_zone::{BorderSecret, Builder, Limits};

    /// A zone of these records besides its SOA; data as octets.
    fn zone(serial: u32, records: &[(&str, u16, u32, &[u8])]) -> Zone {
        let apex = Name::parse("Example.").unwrap();
        let (mname, rname) = (Name::parse("ns.example.").unwrap(), Name::parse("root.example.").unwrap());
        let soa = Soa { mname, rname, serial: Serial(serial), refresh: 1, retry: 2, expire: 3, minimum: 4 };
        let mut builder = Builder::new(apex.clone(), &BorderSecret::new([9; 16]), Limits::default());
        builder.push(apex.as_ref(), RecordType::SOA, 300, &soa.to_rdata()).unwrap();
        for (owner, rtype, ttl, rdata) in records {
            let owner = Name::parse(owner).unwrap();
            builder.push(owner.as_ref(), RecordType(*rtype), *ttl, rdata).unwrap();
        }
        builder.finish().unwrap().zone
    }

    fn shown(write: impl FnOnce(&mut Text) -> Result<u64, Gone> + Send) -> (u64, String) {
        let (mut text, mut pieces) = Text::new();
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                let lines = write(&mut text).unwrap();
                text.finish().unwrap();
                lines
            });
            let mut whole = String::new();
            while let Some(piece) = pieces.blocking_recv() {
                whole += &piece.text.unwrap();
            }
            (writer.join().unwrap(), whole)
        })
    }

    const A: u16 = 1;
    const SALTLESS: &[u8] = &[1, 0, 0, 0, 0, 1, 0];
    /// Between `a` and `z`.
    const HASH: &str = "o000000000000000000000000000000g.example.";

    #[test]
    fn a_zone_is_shown_soa_first_and_then_in_canonical_order_hashed_owners_in_their_place() {
        let zone = zone(
            7,
            &[
                ("Example.", A, 60, &[192, 0, 2, 1]),
                ("Z.example.", A, 61, &[192, 0, 2, 3]),
                ("Z.example.", A, 61, &[192, 0, 2, 2]),
                (HASH, 50, 62, SALTLESS),
                ("b.a.example.", 16, 63, b"\x03a\"b"),
            ],
        );
        let soa = "Example. 300 IN SOA ns.example. root.example. 7 1 2 3 4";
        let expected = format!(
            "; Example. serial 7, 6 records\n{soa}\nExample. 60 IN A 192.0.2.1\nb.a.example. 63 IN TXT \"a\\\"b\"\n\
             {HASH} 62 IN TYPE50 \\# 7 01000000000100\nZ.example. 61 IN A 192.0.2.2\nZ.example. 61 IN A 192.0.2.3\n"
        );
        let (records, text) = shown(|text| super::zone(&zone, text));
        assert_eq!((records, text), (6, expected));
    }

    #[test]
    fn a_difference_is_shown_owner_by_owner_what_went_before_what_came() {
        let old = zone(
            7,
            &[("a.example.", A, 60, &[1; 4]), (HASH, 50, 60, SALTLESS), ("z.example.", A, 60, &[2; 4])],
        );
        let new = zone(
            8,
            &[
                ("a.example.", A, 61, &[1; 4]),
                ("Example.", 16, 60, b"\x01x"),
                ("m.example.", A, 60, &[3; 4]),
                ("z.example.", A, 60, &[2; 4]),
                ("zz.example.", A, 60, &[5; 4]),
            ],
        );
        let soa = |serial| format!("Example. 300 IN SOA ns.example. root.example. {serial} 1 2 3 4");
        let changes = "+ Example. 60 IN TXT \"x\"\n- a.example. 60 IN A 1.1.1.1\n+ a.example. 61 IN A 1.1.1.1\n\
            + m.example. 60 IN A 3.3.3.3\n- HASH 60 IN TYPE50 \\# 7 01000000000100\n\
            + zz.example. 60 IN A 5.5.5.5\n";
        let expected = format!("- {}\n+ {}\n{}", soa(7), soa(8), changes.replace("HASH", HASH));
        let apex = old.apex();
        let (lines, text) = shown(|text| difference(&Difference::between(&old, &new), apex, text));
        assert_eq!((lines, text), (8, expected));
        let none = shown(|text| difference(&Difference::between(&old, &old), apex, text));
        assert_eq!(none, (0, String::new()));
    }
}
