//! A zone as the messages that answer a transfer request (RFC 5936 §2.2, RFC 1995 §4).
//!
//! The zone is held as one immutable version and walked by its keys, so that a transfer reads the same version to its
//! end, whatever is published meanwhile, and holds nothing else between two messages.

use secondo_tsig::Seal;
use secondo_wire::{
    CLASS_IN, Compressor, Full, Header, KeyBuf, MAX_MESSAGE, Message, Name, NameBuf, Opcode, Reason,
    RecordType, Section, Serial, SerialOrder, Writer,
    edns::{self, Opt, option},
    flags,
};
use secondo_zone::Zone;

use crate::Fault;

/// Octets after which a message is closed: pointers reach no farther (RFC 1035 §4.1.4).
const MESSAGE_SIZE: usize = 16_384;
/// The UDP payload size announced in OPT.
const PAYLOAD: u16 = 1232;

/// A transfer request, as far as its answer depends on it.
#[derive(Debug)]
pub struct Asked {
    /// Repeated in each message.
    pub id: u16,
    /// RD is copied (RFC 5936 §2.2.1).
    pub recursion_desired: bool,
    /// The apex, spelled as in the question.
    pub zone: Name,
    /// AXFR or IXFR; the question of the answer.
    pub rtype: RecordType,
    /// The OPT record of the first message in wire form, when the request had one (RFC 6891 §6.1.1).
    pub opt: Option<Vec<u8>>,
    /// Seals each message (RFC 8945 §5.3.1).
    pub seal: Option<Seal>,
}

impl Asked {
    /// Reads a request; `None` when it has no question or cannot be walked. `expires_in`: seconds until our copy
    /// expires, told only if the request asks.
    pub fn read(request: &[u8], seal: Option<Seal>, expires_in: u32) -> Option<Asked> {
        let message = Message::new(request).ok()?;
        let question = message.question().ok()??;
        let mut opt = None;
        for record in message.records_from(question.end) {
            let record = record.ok()?;
            if (record.section, record.rtype) == (Section::Additional, RecordType::OPT) {
                opt = Opt::new(record.class, record.ttl, request.get(record.rdata..record.end)?);
            }
        }
        Some(Asked {
            id: message.header.id,
            recursion_desired: message.header.has(flags::RD),
            zone: question.name.as_ref().to_owned(),
            rtype: question.rtype,
            opt: opt.map(|opt| opt_record(&opt, expires_in)),
            seal,
        })
    }
}

/// Where the walk over the zone stands.
enum Place {
    /// Before the opening SOA.
    Opening,
    /// At this record: owner key, RRset at the owner, record of the RRset.
    At {
        set: usize,
        record: usize,
    },
    /// Before the closing SOA.
    Closing,
    Ended,
}

/// The messages of one answer, made one at a time.
pub struct Outgoing {
    zone: Zone,
    asked: Asked,
    place: Place,
    /// Owner of [`Place::At`].
    key: KeyBuf,
    compressor: Option<Compressor>,
    single_soa: bool,
    first: bool,
    messages: u64,
    records: u64,
    bytes: u64,
}

impl Outgoing {
    /// The whole zone: the answer to AXFR, and to IXFR when no differences are to be had (RFC 1995 §4).
    pub fn axfr(zone: Zone, asked: Asked) -> Outgoing {
        Outgoing {
            zone,
            asked,
            place: Place::Opening,
            key: KeyBuf::new(),
            compressor: None,
            single_soa: false,
            first: true,
            messages: 0,
            records: 0,
            bytes: 0,
        }
    }

    /// The SOA alone: the client has this version (RFC 1995 §2).
    pub fn single_soa(zone: Zone, asked: Asked) -> Outgoing {
        Outgoing { single_soa: true, ..Outgoing::axfr(zone, asked) }
    }

    /// The answer to an IXFR request from a client that has `from`: the SOA alone when that is our serial or newer,
    /// else the whole zone (RFC 1995 §2, §4).
    pub fn ixfr(zone: Zone, asked: Asked, from: Serial) -> Outgoing {
        match from.compare(zone.serial()) {
            SerialOrder::Equal | SerialOrder::Newer => Outgoing::single_soa(zone, asked),
            SerialOrder::Older | SerialOrder::Undefined => Outgoing::axfr(zone, asked),
        }
    }

    /// Appends the next message to `out`, without TCP's length; false when the answer is complete and nothing was
    /// appended.
    ///
    /// Messages are closed at 16 KiB and hold one record at least. An error ends the answer without its closing SOA:
    /// the connection must be closed (RFC 5936 §2.2.1). It means that a record fits into no message.
    pub fn next_message(&mut self, out: &mut Vec<u8>, unix_now: u64) -> Result<bool, Fault> {
        if matches!(self.place, Place::Ended) {
            return Ok(false);
        }
        let from = out.len();
        let written = self.message(out);
        let Ok(records) = written else {
            out.truncate(from);
            self.place = Place::Ended;
            return Err(Fault::new(Reason::Internal, self.misfit()));
        };
        if let Some(seal) = &mut self.asked.seal {
            seal.sign(out, from, unix_now);
        }
        self.first = false;
        self.messages += 1;
        self.records += records;
        self.bytes += (out.len() - from) as u64;
        Ok(true)
    }

    /// Messages, records and octets so far.
    pub fn sent(&self) -> (u64, u64, u64) {
        (self.messages, self.records, self.bytes)
    }

    /// The version that is sent.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    fn message(&mut self, out: &mut Vec<u8>) -> Result<u64, Full> {
        // Taken out for the time of the message: the page borrows it while the place in the zone moves on.
        let mut compressor = self.compressor.take().unwrap_or_else(Compressor::exact);
        let done = self.compose(Writer::new(out, &mut compressor, MAX_MESSAGE));
        self.compressor = Some(compressor);
        done
    }

    fn compose(&mut self, mut writer: Writer<'_>) -> Result<u64, Full> {
        // RFC 5936 §2.2.2: the question stands in the first message.
        if self.first {
            writer.question(self.asked.zone.as_ref(), self.asked.rtype, CLASS_IN)?;
        }
        let opt = self.asked.opt.take().unwrap_or_default();
        let tail = opt.len() + self.asked.seal.as_ref().map_or(0, Seal::tsig_len);
        let mut page = Page { writer, tail, records: 0 };
        self.fill(&mut page)?;
        let Page { mut writer, records, .. } = page;
        writer.reserve(0);
        writer.octets(&opt)?;
        let rd = if self.asked.recursion_desired { flags::RD } else { 0 };
        writer.finish(Header {
            id: self.asked.id,
            flags: flags::QR | flags::AA | rd | u16::from(Opcode::QUERY.0) << 11,
            counts: [self.first.into(), records, 0, (!opt.is_empty()).into()],
        });
        Ok(records.into())
    }

    /// Puts records on the page until it is full or the zone ends.
    fn fill(&mut self, page: &mut Page<'_>) -> Result<(), Full> {
        if let Place::Opening = self.place {
            page.soa(&self.zone)?;
            self.key.truncate(0);
            self.place = if self.single_soa { Place::Ended } else { Place::At { set: 0, record: 0 } };
        }
        if let Place::At { .. } = self.place {
            self.walk(page)?;
        }
        if let Place::Closing = self.place
            && let Put::Written = page.soa(&self.zone)?
        {
            self.place = Place::Ended;
        }
        Ok(())
    }

    /// All records but the SOA, from the place on.
    fn walk(&mut self, page: &mut Page<'_>) -> Result<(), Full> {
        let Place::At { set: mut first_set, record: mut first_record } = self.place else { return Ok(()) };
        let (from, mut name) = (self.key.clone(), NameBuf::new());
        for node in self.zone.nodes_from(from.as_slice()) {
            node.name_into(&mut name);
            for (set, rrset) in node.rrsets().enumerate().skip(first_set) {
                // RFC 5936 §2.2: the SOA stands first and last and nowhere else.
                if rrset.rtype() == RecordType::SOA {
                    continue;
                }
                for (record, rdata) in rrset.rdatas().enumerate().skip(first_record) {
                    match page.record(&name, rrset.rtype(), rrset.ttl(), rdata)? {
                        Put::Written => {}
                        Put::NextMessage => {
                            node.key_into(&mut self.key);
                            self.place = Place::At { set, record };
                            return Ok(());
                        }
                    }
                }
                first_record = 0;
            }
            (first_set, first_record) = (0, 0);
        }
        self.place = Place::Closing;
        Ok(())
    }

    fn misfit(&self) -> String {
        format!("a record of {} does not fit into a message of {MAX_MESSAGE} octets", self.zone.apex())
    }
}

/// The OPT record that answers another: DO is copied (RFC 3225 §3), and the seconds until our copy expires are told when
/// they were asked for, at least one while the zone is served (RFC 7314 §3.2).
fn opt_record(asked: &Opt<'_>, expires_in: u32) -> Vec<u8> {
    let expire = asked.option(option::EXPIRE).map(|_| expires_in.max(1));
    let flags = if asked.wants_dnssec() { edns::DO } else { 0 };
    let mut opt = Vec::with_capacity(edns::OPT_SIZE + 8);
    opt.push(0);
    opt.extend_from_slice(&RecordType::OPT.0.to_be_bytes());
    opt.extend_from_slice(&PAYLOAD.to_be_bytes());
    opt.extend_from_slice(&[0, 0]);
    opt.extend_from_slice(&flags.to_be_bytes());
    match expire {
        // RFC 7314 §2: code, length 4, seconds.
        Some(expire) => {
            opt.extend_from_slice(&[0, 8]);
            opt.extend_from_slice(&option::EXPIRE.to_be_bytes());
            opt.extend_from_slice(&[0, 4]);
            opt.extend_from_slice(&expire.to_be_bytes());
        }
        None => opt.extend_from_slice(&[0, 0]),
    }
    opt
}

enum Put {
    Written,
    NextMessage,
}

/// A message being filled.
struct Page<'w> {
    writer: Writer<'w>,
    /// Octets of OPT and TSIG to come.
    tail: usize,
    records: u16,
}

impl Page<'_> {
    fn soa(&mut self, zone: &Zone) -> Result<Put, Full> {
        let mut apex = NameBuf::new();
        zone.apex_node().name_into(&mut apex);
        self.record(&apex, RecordType::SOA, zone.soa_ttl(), zone.soa_rdata())
    }

    /// A record; the first on the page may take all of the largest message.
    fn record(&mut self, owner: &NameBuf, rtype: RecordType, ttl: u32, rdata: &[u8]) -> Result<Put, Full> {
        let most = if self.records == 0 { MAX_MESSAGE } else { MESSAGE_SIZE };
        self.writer.reserve(MAX_MESSAGE - most + self.tail);
        match self.writer.record(owner.as_ref(), rtype, CLASS_IN, ttl, rdata) {
            Ok(()) => {
                self.records += 1;
                Ok(Put::Written)
            }
            Err(Full) if self.records > 0 => Ok(Put::NextMessage),
            Err(Full) => Err(Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, ID, NOW, a, rr};
    use secondo_wire::{Rcode, rdata};

    fn asked(rtype: RecordType) -> Asked {
        Asked {
            id: ID,
            recursion_desired: false,
            zone: testing::name("example."),
            rtype,
            opt: None,
            seal: None,
        }
    }

    fn messages(mut outgoing: Outgoing) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            // The message is appended behind what is there.
            let mut out = vec![0xFF; 2];
            if !outgoing.next_message(&mut out, NOW).unwrap() {
                assert_eq!(out, [0xFF; 2]);
                return all;
            }
            all.push(out.split_off(2));
            assert!(all.len() < 1000, "it does not end");
        }
    }

    /// Owner as spelled, type and RDATA of all answers.
    fn answers(messages: &[Vec<u8>]) -> Vec<(String, RecordType, Vec<u8>)> {
        let mut all = Vec::new();
        for octets in messages {
            let message = Message::new(octets).unwrap();
            let mut records = message.records().unwrap();
            for record in records.by_ref() {
                let record = record.unwrap();
                if record.section == Section::Answer {
                    let (mut owner, mut data) = (NameBuf::new(), Vec::new());
                    secondo_wire::read_name(octets, record.owner, &mut owner).unwrap();
                    rdata::expand(record.rtype, octets, record.rdata, record.end, &mut data).unwrap();
                    all.push((owner.as_ref().to_string(), record.rtype, data));
                }
            }
            records.finish().unwrap();
        }
        all
    }

    fn large() -> Zone {
        let mut more: Vec<_> = (0..3000u32)
            .map(|i| rr(&format!("Host{i}.Sub{}.example.", i % 7), RecordType::A, &i.to_be_bytes()))
            .collect();
        more.extend(
            (0..200u32)
                .map(|i| rr("text.example.", RecordType::TXT, &[&[255][..], &[i as u8; 255]].concat())),
        );
        more.push(rr("big.example.", RecordType(65_280), &[7; 60_000]));
        more.extend((0..99u8).map(|i| rr("text.example.", RecordType(65_281), &[i])));
        testing::zone(5, &more)
    }

    #[test]
    fn the_soa_stands_first_and_last_and_all_else_once_between() {
        let zone = large();
        let messages = messages(Outgoing::axfr(zone.clone(), asked(RecordType::AXFR)));
        let sent = answers(&messages);
        let wanted: Vec<_> =
            testing::axfr(&zone).into_iter().map(|rr| (rr.owner.to_string(), rr.rtype, rr.rdata)).collect();
        assert_eq!(sent, wanted);
        assert!(messages.len() > 5);
    }

    #[test]
    fn messages_are_closed_at_16_kib_but_a_large_record_has_its_own() {
        let messages = messages(Outgoing::axfr(large(), asked(RecordType::AXFR)));
        let over: Vec<_> = messages.iter().filter(|m| m.len() > MESSAGE_SIZE).collect();
        assert_eq!(over.len(), 1);
        assert_eq!(answers(&[over[0].clone()]).len(), 1);
        // They are filled: no more of them than need be.
        let total: usize = messages.iter().map(Vec::len).sum();
        assert!(messages.len() <= total / MESSAGE_SIZE + 4, "{} of {total}", messages.len());
    }

    #[test]
    fn the_question_and_edns_stand_in_the_first_message_and_the_flags_in_all() {
        let asks = Opt::new(4096, u32::from(edns::DO), &[0, 9, 0, 0]).unwrap();
        let opt = Some(opt_record(&asks, 77));
        let more = Asked { opt, recursion_desired: true, ..asked(RecordType::AXFR) };
        let messages = messages(Outgoing::axfr(large(), more));
        for (i, octets) in messages.iter().enumerate() {
            let header = Header::read(octets).unwrap();
            assert_eq!((header.id, header.flags), (ID, flags::QR | flags::AA | flags::RD));
            assert_eq!(header.rcode(), Rcode::NOERROR);
            let first = u16::from(i == 0);
            assert_eq!((header.counts[0], header.counts[2], header.counts[3]), (first, 0, first));
            assert!(header.counts[1] > 0);
        }
        let message = Message::new(&messages[0]).unwrap();
        let opt = message.records().unwrap().last().unwrap().unwrap();
        let opt = Opt::new(opt.class, opt.ttl, &messages[0][opt.rdata..opt.end]).unwrap();
        assert_eq!((opt.version, opt.flags, opt.expire()), (0, edns::DO, Some(77)));
    }

    #[test]
    fn spelling_survives_compression() {
        let zone = testing::zone(5, &[a("WWW.Example.", 1), a("mail.EXAMPLE.", 2), a("Mixed.eXample.", 3)]);
        let sent = answers(&messages(Outgoing::axfr(zone, asked(RecordType::AXFR))));
        for spelled in ["WWW.Example.", "mail.EXAMPLE.", "Mixed.eXample."] {
            assert!(sent.iter().any(|(owner, ..)| owner == spelled), "{spelled}");
        }
    }

    #[test]
    fn an_ixfr_from_our_serial_or_a_newer_one_gets_the_soa_alone() {
        let zone = testing::zone(5, &[]);
        let sent = |from| {
            answers(&messages(Outgoing::ixfr(zone.clone(), asked(RecordType::IXFR), Serial(from)))).len()
        };
        assert_eq!(sent(5), 1);
        assert_eq!(sent(6), 1);
        assert_eq!(sent(4), 4);
        assert_eq!(sent(5 + (1 << 31)), 4);
    }

    #[test]
    fn a_record_that_fits_no_message_ends_the_answer_without_its_closing_soa() {
        let misfit = rr("misfit.example.", RecordType(65_280), &[7; 65_535]);
        let mut outgoing = Outgoing::axfr(testing::zone(5, &[misfit]), asked(RecordType::AXFR));
        let mut out = Vec::new();
        assert!(outgoing.next_message(&mut out, NOW).unwrap());
        let whole = out.len();
        assert!(outgoing.next_message(&mut out, NOW).is_err());
        assert_eq!(out.len(), whole);
        assert!(!outgoing.next_message(&mut out, NOW).unwrap());
        let soas = answers(&[out]).iter().filter(|(_, rtype, _)| *rtype == RecordType::SOA).count();
        assert_eq!(soas, 1);
    }

    #[test]
    fn a_seal_has_its_place_in_every_message() {
        let query = secondo_wire::control::Request { id: ID, edns: false };
        let mut request = secondo_wire::control::axfr_query(&testing::name("example."), query);
        secondo_tsig::sign_request(&mut request, &testing::key(), NOW);
        let sealed = || Asked { seal: Some(testing::seal(&request)), ..asked(RecordType::AXFR) };
        let messages = messages(Outgoing::axfr(large(), sealed()));
        let over: Vec<_> = messages.iter().filter(|m| m.len() > MESSAGE_SIZE).collect();
        assert_eq!(over.len(), 1);
        assert!(messages.iter().all(|m| Header::read(m).is_some_and(|header| header.counts[3] == 1)));
        // What fits without a seal need not fit with one.
        let owner = "misfit.example.";
        let most = MAX_MESSAGE - Header::SIZE - testing::name(owner).as_wire().len() - 10;
        let zone = testing::zone(5, &[rr(owner, RecordType(65_280), &vec![7; most])]);
        let ends = |asked: Asked| {
            let mut outgoing = Outgoing::axfr(zone.clone(), asked);
            let mut out = Vec::new();
            while matches!(outgoing.next_message(&mut out, NOW), Ok(true)) {
                assert!(out.len() <= MAX_MESSAGE);
                out.clear();
            }
            outgoing.sent().1
        };
        assert_eq!(ends(asked(RecordType::AXFR)), 5);
        assert!(ends(sealed()) < 4);
    }

    #[test]
    fn a_request_is_read_with_its_flags_and_options() {
        use secondo_wire::control;
        let zone = testing::name("Example.");
        let with = control::axfr_query(&zone, control::Request { id: 9, edns: true });
        let read = Asked::read(&with, None, 0).unwrap();
        assert_eq!((read.id, read.rtype), (9, RecordType::AXFR));
        let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 8, 0, 9, 0, 4, 0, 0, 0, 1];
        assert_eq!(read.opt.as_deref(), Some(&opt[..]));
        assert_eq!(read.zone.to_string(), "Example.");
        let mut without = control::ixfr_query(&zone, Serial(1), control::Request { id: 9, edns: false });
        without[2] |= 1;
        let read = Asked::read(&without, None, 60).unwrap();
        assert_eq!((read.rtype, read.opt), (RecordType::IXFR, None));
        assert!(read.recursion_desired);
        assert!(Asked::read(&without[..20], None, 60).is_none());
    }
}
