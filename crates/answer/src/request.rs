//! A request as received: framed, its question, OPT and TSIG found, before anything is looked up.

use secondo_wire::edns::Opt;
use secondo_wire::{
    CLASS_IN, Header, Message, NameRef, Opcode, Rcode, Record, RecordType, Section, Serial, flags, skip_name,
};

use crate::bounds::REQUEST_RECORDS;
use crate::options::Asks;

/// The question of a request. Borrowed: never compressed, spelling kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'m> {
    pub(crate) name: NameRef<'m>,
    pub(crate) rtype: RecordType,
    pub(crate) class: u16,
}

/// What could be read of a request, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'m> {
    /// From the header to the last counted record, as far as it could be walked.
    pub(crate) octets: &'m [u8],
    pub(crate) header: Header,
    /// The one question, when it could be read.
    pub(crate) question: Option<Question<'m>>,
    /// The OPT record, when there is exactly one in its place.
    pub(crate) opt: Option<Opt<'m>>,
    /// Its options, as far as they are answered.
    pub(crate) asks: Asks<'m>,
    /// A TSIG record was seen, and all records could be walked.
    pub(crate) signed: bool,
    /// The answer to a request that is not to be looked at further.
    pub(crate) fault: Option<Rcode>,
    /// Where the records begin.
    records: usize,
}

impl<'m> Frame<'m> {
    /// Frames a request; `None` is silence: no header, or a response. A response is never answered, lest two servers
    /// answer each other for ever.
    pub(crate) fn parse(octets: &'m [u8]) -> Option<Frame<'m>> {
        let header = Header::read(octets)?;
        if header.has(flags::QR) {
            return None;
        }
        let mut frame = Frame {
            octets,
            header,
            question: None,
            opt: None,
            asks: Asks::default(),
            signed: false,
            fault: None,
            records: Header::SIZE,
        };
        frame.fault = frame.walk().err();
        // RFC 1035 §4.1.1: of the opcodes only two are implemented; the layout of the others is not judged.
        if !matches!(header.opcode(), Opcode::QUERY | Opcode::NOTIFY) {
            frame.fault = frame.fault.filter(|fault| *fault == Rcode::BADVERS).or(Some(Rcode::NOTIMP));
            frame.question = None;
        }
        Some(frame)
    }

    fn walk(&mut self) -> Result<(), Rcode> {
        let Header { counts: [questions, answers, authorities, additionals], .. } = self.header;
        // RFC 9619 §4: more than one question is a format error, told from the header. Without a question there is
        // still an OPT record to be answered by one.
        match questions {
            0 => {}
            1 => self.read_question().ok_or(Rcode::FORMERR)?,
            _ => return Err(Rcode::FORMERR),
        }
        let total = [answers, authorities, additionals].iter().map(|&n| usize::from(n)).sum::<usize>();
        if total > REQUEST_RECORDS {
            return Err(Rcode::FORMERR);
        }
        let (mut sealed, mut stray, mut bad_opt) = (false, false, false);
        let message = Message::new(self.octets).map_err(|_| Rcode::FORMERR)?;
        let mut records = message.records_from(self.records);
        for record in records.by_ref() {
            let record = record.map_err(|_| Rcode::FORMERR)?;
            match record.rtype {
                // RFC 6891 §6.1.1: at most one, owned by the root, in the additional section.
                RecordType::OPT => match self.read_opt(&record) {
                    Some(opt) if self.opt.is_none() && !bad_opt => self.opt = Some(opt),
                    _ => (self.opt, bad_opt) = (None, true),
                },
                // Where it may stand is judged by those who verify it.
                RecordType::TSIG => sealed = true,
                _ => stray |= record.section == Section::Additional,
            }
        }
        // Octets behind the last counted record are not part of the message.
        self.octets = self.octets.get(..records.position()).unwrap_or(self.octets);
        self.signed = sealed;
        self.asks = self.opt.as_ref().map(Asks::of).unwrap_or_default();
        // RFC 6891 §6.1.3: before all that a later version may have other rules for. What cannot be walked through, or has no
        // OPT record that is one (§6.1.1), tells of no version.
        if self.opt.is_some_and(|opt| opt.version > 0) {
            return Err(Rcode::BADVERS);
        }
        let misfit = match self.header.opcode() {
            // Queries have a question and nothing else but OPT, TSIG and the SOA of RFC 1995 §3.
            Opcode::QUERY => {
                let incremental = self.question.is_some_and(|q| q.rtype == RecordType::IXFR);
                answers > 0 || (authorities > 0 && !incremental) || stray
            }
            // RFC 1996 §3.7: the answer section holds a hint; §3.9: the other sections are ignored.
            _ => false,
        };
        // RFC 7873 §5.4: whoever wants nothing but a cookie has no question.
        let questionless =
            questions == 0 && (self.asks.cookie.is_none() || self.header.opcode() != Opcode::QUERY);
        if questionless || bad_opt || misfit || self.header.rcode() != Rcode::NOERROR {
            return Err(Rcode::FORMERR);
        }
        Ok(())
    }

    fn read_question(&mut self) -> Option<()> {
        // A name in the question has nothing to point back to: a compression pointer is no name here.
        let (name, rest) = NameRef::split_from(self.octets.get(Header::SIZE..)?)?;
        let four: &[u8; 4] = rest.first_chunk()?;
        let word = |i: usize| u16::from_be_bytes([four[i], four[i + 1]]);
        self.question = Some(Question { name, rtype: RecordType(word(0)), class: word(2) });
        self.records = Header::SIZE + name.as_wire().len() + 4;
        Some(())
    }

    fn read_opt(&self, record: &Record) -> Option<Opt<'m>> {
        let at_root = self.octets.get(record.owner) == Some(&0);
        if record.section != Section::Additional || !at_root {
            return None;
        }
        let rdata = self.octets.get(record.rdata..record.end)?;
        // What a later version puts there need not be options as we know them.
        let later = || Opt::new(record.class, record.ttl, &[]).filter(|opt| opt.version > 0);
        Opt::new(record.class, record.ttl, rdata).or_else(later)
    }

    /// Whether the asker wants to know the time to expiry (RFC 7314 §2).
    pub(crate) fn wants_expire(&self) -> bool {
        self.asks.expire.is_some()
    }

    /// The serial of the only SOA in `section`, owned by `apex` and of class IN. An error when a SOA there cannot be
    /// read; `None` when there is none, more than one, or one of another owner or class.
    pub(crate) fn soa_serial(&self, section: Section, apex: NameRef<'_>) -> Result<Option<Serial>, Rcode> {
        let message = Message::new(self.octets).map_err(|_| Rcode::FORMERR)?;
        let (mut serial, mut count) = (None, 0);
        for record in message.records_from(self.records) {
            let record = record.map_err(|_| Rcode::FORMERR)?;
            if record.section != section || record.rtype != RecordType::SOA {
                continue;
            }
            let found = soa_serial(self.octets, &record).ok_or(Rcode::FORMERR)?;
            let mut owner = secondo_wire::NameBuf::new();
            secondo_wire::read_name(self.octets, record.owner, &mut owner).map_err(|_| Rcode::FORMERR)?;
            count += 1;
            if owner.as_ref() == apex && record.class == CLASS_IN {
                serial = Some(found);
            }
        }
        Ok(serial.filter(|_| count == 1))
    }
}

/// The serial in a SOA record as it stands in a message: two names, compressed or not, and twenty octets.
fn soa_serial(message: &[u8], record: &Record) -> Option<Serial> {
    let whole = message.get(..record.end)?;
    let mname_end = skip_name(whole, record.rdata).ok()?;
    let rname_end = skip_name(whole, mname_end).ok()?;
    let numbers: &[u8; 20] = whole.get(rname_end..)?.try_into().ok()?;
    let serial: [u8; 4] = *numbers.first_chunk()?;
    Some(Serial(u32::from_be_bytes(serial)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Query;

    fn fault(octets: &[u8]) -> Option<Rcode> {
        Frame::parse(octets).unwrap().fault
    }

    #[test]
    fn responses_and_scraps_get_silence() {
        let query = Query::new("a.example.", RecordType::A).octets();
        for cut in 0..12 {
            assert!(Frame::parse(&query[..cut]).is_none(), "{cut}");
        }
        let mut response = query.clone();
        response[2] |= 0x80;
        assert!(Frame::parse(&response).is_none());
        assert_eq!(fault(&query), None);
    }

    #[test]
    fn a_query_has_one_question_and_nothing_else_but_opt_and_tsig() {
        for (at, count) in [(5, 0), (5, 2), (7, 1), (9, 1), (11, 33)] {
            let mut query = Query::new("a.example.", RecordType::A).octets();
            query[at] = count;
            assert_eq!(fault(&query), Some(Rcode::FORMERR), "{at} {count}");
        }
        for section in [1, 2, 3] {
            let query =
                Query::new("a.example.", RecordType::A).record(section, ".", RecordType::A, 1, &[0; 4]);
            assert_eq!(fault(&query.octets()), Some(Rcode::FORMERR), "{section}");
        }
    }

    #[test]
    fn a_cut_question_or_one_with_a_pointer_is_a_format_error() {
        let query = Query::new("a.example.", RecordType::A).octets();
        for cut in 12..query.len() {
            assert_eq!(fault(&query[..cut]), Some(Rcode::FORMERR), "{cut}");
        }
        let mut pointing = query[..12].to_vec();
        pointing.extend_from_slice(&[0xC0, 0x04, 0, 1, 0, 1]);
        let frame = Frame::parse(&pointing).unwrap();
        assert!(frame.fault == Some(Rcode::FORMERR) && frame.question.is_none());
    }

    #[test]
    fn octets_behind_the_last_record_are_left_out() {
        let mut query = Query::new("a.example.", RecordType::A).octets();
        let length = query.len();
        query.extend_from_slice(b"trailing");
        let frame = Frame::parse(&query).unwrap();
        assert_eq!((frame.fault, frame.octets.len()), (None, length));
    }

    #[test]
    fn one_opt_of_the_root_in_the_additional_section_is_readable() {
        let edns = Query::new("a.example.", RecordType::A).edns(1232, 0, &[]);
        assert!(Frame::parse(&edns.clone().octets()).unwrap().opt.is_some());
        let twice = edns.edns(1232, 0, &[]).octets();
        let frame = Frame::parse(&twice).unwrap();
        assert!(frame.fault == Some(Rcode::FORMERR) && frame.opt.is_none());
        for (section, owner, rdata) in [(3, "a.", &[][..]), (2, ".", &[]), (3, ".", &[0, 9, 0, 1])] {
            let query =
                Query::new("a.", RecordType::IXFR).record(section, owner, RecordType::OPT, 1232, rdata);
            assert_eq!(fault(&query.octets()), Some(Rcode::FORMERR), "{section} {owner} {rdata:?}");
        }
        // Without a question the OPT is still found, so that the error carries one.
        let mut no_question = vec![0; 12];
        no_question[11] = 1;
        no_question.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        let frame = Frame::parse(&no_question).unwrap();
        assert!(frame.fault == Some(Rcode::FORMERR) && frame.opt.is_some());
    }

    #[test]
    fn other_opcodes_are_not_implemented_whatever_they_hold() {
        for opcode in [1, 2, 3, 5, 6, 15] {
            let mut query = Query::new("a.example.", RecordType::A).octets();
            query[2] = opcode << 3;
            assert_eq!(fault(&query), Some(Rcode::NOTIMP), "{opcode}");
            query.truncate(13);
            assert_eq!(fault(&query), Some(Rcode::NOTIMP), "{opcode}");
        }
    }

    #[test]
    fn the_serial_of_an_incremental_request_is_read_from_its_only_soa() {
        let apex: secondo_wire::Name = "example.".parse().unwrap();
        let soa = [&[0, 0][..], &7u32.to_be_bytes(), &[0; 16]].concat();
        let ixfr = || Query::new("example.", RecordType::IXFR);
        let serial = |query: Query| {
            let octets = query.octets();
            Frame::parse(&octets).unwrap().soa_serial(Section::Authority, apex.as_ref())
        };
        let one = || ixfr().record(2, "Example.", RecordType::SOA, CLASS_IN, &soa);
        assert_eq!(serial(one()), Ok(Some(Serial(7))));
        assert_eq!(serial(ixfr()), Ok(None));
        assert_eq!(serial(one().record(2, "example.", RecordType::SOA, 1, &soa)), Ok(None));
        assert_eq!(serial(ixfr().record(2, "other.", RecordType::SOA, 1, &soa)), Ok(None));
        assert_eq!(serial(ixfr().record(2, "example.", RecordType::SOA, 3, &soa)), Ok(None));
        for cut in 0..soa.len() {
            let query = ixfr().record(2, "example.", RecordType::SOA, 1, &soa[..cut]);
            assert_eq!(serial(query), Err(Rcode::FORMERR), "{cut}");
        }
    }
}
