//! A reply, composed in place: whole RRsets only, within its limit, with space held back for OPT and TSIG.

use secondo_wire::{
    CLASS_CH, CLASS_IN, Compressor, Full, Header, MAX_MESSAGE, NameRef, Opcode, Owner, Prepared, Rcode,
    RecordType, Section, Writer, flags,
};
use secondo_zone::{Node, Rrset, Version};

use crate::Transport;
use crate::bounds::UDP_PLAIN;
use crate::cookies::WHOLE;
use crate::flaws::{Flaw, Flaws};
use crate::identity::TEXT;
use crate::limiter::{Kind, Subject};
use crate::options::Told;
use crate::refusal::Refusal;
use crate::request::Frame;

/// A reply being composed.
pub(crate) struct Reply<'b> {
    writer: Writer<'b>,
    /// The name asked for, the first in the message.
    asked: Option<NameRef<'b>>,
    id: u16,
    flags: u16,
    /// Twelve bits; the upper eight go into the OPT record.
    rcode: Rcode,
    counts: [u16; 4],
    /// Where the records begin: behind the question.
    body: usize,
    pub(crate) transport: Transport,
    edns: Option<Told<'b>>,
    tsig_len: usize,
    /// What it is counted as where answers are limited.
    subject: Subject,
    flaws: &'b mut Flaws,
    /// Whether it was counted among them.
    flawed: bool,
}

/// What holds for a reply whatever it will say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'b> {
    pub(crate) transport: Transport,
    /// Our own limit over UDP, octets.
    pub(crate) udp_payload: u16,
    /// Octets held back for TSIG.
    pub(crate) tsig_len: usize,
    /// The cookie that answers the client's.
    pub(crate) cookie: Option<[u8; WHOLE]>,
    /// What is told of the connection and of ourselves, to those who ask for it.
    pub(crate) keepalive: Option<u16>,
    pub(crate) nsid: Option<&'b [u8]>,
    /// Whether its length is to tell little.
    pub(crate) padded: bool,
}

impl<'b> Reply<'b> {
    /// Begins the reply to `frame` behind what `out` holds, copying its question.
    pub(crate) fn new(
        frame: &Frame<'b>,
        terms: Terms<'b>,
        compressor: &'b mut Compressor,
        flaws: &'b mut Flaws,
        out: &'b mut Vec<u8>,
    ) -> Reply<'b> {
        let Terms { transport, udp_payload, tsig_len, .. } = terms;
        let question = frame.question;
        let question_len = question.map_or(0, |question| question.name.as_wire().len() + 4);
        let edns = frame.opt.map(|opt| Told {
            payload: udp_payload,
            dnssec: opt.wants_dnssec(),
            cookie: terms.cookie,
            expire: None,
            ede: None,
            zone_version: None,
            keepalive: terms.keepalive,
            nsid: terms.nsid,
            padded: terms.padded,
        });
        let reserved = tsig_len + edns.as_ref().map_or(0, Told::reserved);
        let limit = match (transport, frame.opt) {
            (Transport::Tcp | Transport::Tls, _) => MAX_MESSAGE,
            (Transport::Udp, None) => UDP_PLAIN,
            // RFC 6891 §6.2.3: a payload size below 512 counts as 512.
            (Transport::Udp, Some(opt)) => usize::from(opt.payload.min(udp_payload)).max(UDP_PLAIN),
        };
        // The least reply repeats what the request itself held, so it always goes.
        let limit = limit.max(Header::SIZE + question_len + reserved);
        let mut writer = Writer::new(out, compressor, limit);
        writer.reserve(reserved);
        let mut counts = [0; 4];
        if let Some(question) = question {
            // RFC 4343 §4.1: octet for octet. The first name of a message is never compressed.
            let [[a, b], [c, d]] = [question.rtype.0.to_be_bytes(), question.class.to_be_bytes()];
            let written = writer.name(question.name).and_then(|()| writer.octets(&[a, b, c, d]));
            written.expect("the limit has room for the question");
            counts[0] = 1;
        }
        let header = frame.header;
        // RFC 1996 §3.4, §4.8: nothing is copied for a NOTIFY; RFC 1035 §4.1.1: RD is copied for a query. RFC 4035 §3.1.6:
        // an authoritative answer has CD and AD clear.
        let copied = if header.opcode() == Opcode::NOTIFY { 0 } else { header.flags & flags::RD };
        Reply {
            asked: question.map(|question| question.name),
            id: header.id,
            flags: flags::QR | u16::from(header.opcode().0) << 11 | copied,
            rcode: Rcode::NOERROR,
            counts,
            body: writer.len(),
            transport,
            edns,
            tsig_len,
            subject: Subject { kind: Kind::Answer, below: 0 },
            flaws,
            flawed: false,
            writer,
        }
    }

    /// The response code of the last name looked up.
    pub(crate) fn set_rcode(&mut self, rcode: Rcode) {
        self.rcode = rcode;
    }

    /// What the reply is counted as where answers are limited.
    pub(crate) fn set_subject(&mut self, subject: Subject) {
        self.subject = subject;
    }

    pub(crate) fn subject(&self) -> Subject {
        self.subject
    }

    /// Marks the reply as authoritative.
    pub(crate) fn set_authoritative(&mut self) {
        self.flags |= flags::AA;
    }

    /// Tells the seconds until the zone expires (RFC 7314 §3.2), if they were asked for.
    pub(crate) fn tell_expire(&mut self, frame: &Frame<'_>, expires_in_ms: u64) {
        if let Some(edns) = self.edns.as_mut().filter(|_| frame.wants_expire()) {
            edns.tell_expire(expires_in_ms);
        }
    }

    /// Tells which version of which zone answers (RFC 9660 §3.2), if it was asked for.
    pub(crate) fn tell_version(&mut self, frame: &Frame<'_>, zone: &Version) {
        if let Some(edns) = self.edns.as_mut().filter(|_| frame.asks.zone_version.is_some()) {
            // A name has at most 127 labels.
            edns.zone_version = u8::try_from(zone.apex().label_count()).ok().map(|n| (n, zone.serial().0));
        }
    }

    /// Whether DNSSEC records are wanted.
    pub(crate) fn dnssec(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.dnssec)
    }

    /// An owner of records to come. Most are the name asked for or above it, and need not be looked for.
    fn owner<'n>(&self, name: NameRef<'n>) -> Owner<'n> {
        self.place_of(name).map_or(name.into(), |place| Owner::at(name, place))
    }

    /// Where a name stands in the message that the name asked for ends with, octets from the beginning.
    pub(crate) fn place_of(&self, name: NameRef<'_>) -> Option<usize> {
        self.asked?.octets_before(name).map(|octets| Header::SIZE + octets)
    }

    /// An owner of records to come which no record told of before: what it has in common with the name asked for is all that
    /// the message holds of it.
    pub(crate) fn stranger<'n>(&self, name: NameRef<'n>) -> Owner<'n> {
        let Some(asked) = self.asked else { return name.into() };
        let (all, mine) = (asked.as_wire().len(), name.as_wire().len());
        let (mut theirs, mut rest) = (Some(asked), Some(name));
        while let (Some(other), Some(own)) = (theirs, rest) {
            let (left, right) = (other.as_wire().len(), own.as_wire().len());
            if left == right && other == own {
                return Owner::below(name, mine - right, Header::SIZE + all - left);
            }
            theirs = if left >= right { other.parent() } else { theirs };
            rest = if right >= left { own.parent() } else { rest };
        }
        name.into()
    }

    /// Adds records that were prepared, all or none of them; `base`: where their base stands.
    pub(crate) fn prepared(&mut self, section: Section, records: &Prepared, base: usize) -> Result<(), Full> {
        self.writer.prepared(records, base)?;
        self.counts[section as usize + 1] += records.records();
        Ok(())
    }

    /// Adds one record.
    pub(crate) fn record(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.record_of(section, &mut self.owner(owner), rtype, ttl, rdata)
    }

    fn record_of(
        &mut self,
        section: Section,
        owner: &mut Owner<'_>,
        rtype: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.writer.record_of(owner, rtype, CLASS_IN, ttl_of(ttl), rdata)?;
        self.counts[section as usize + 1] += 1;
        Ok(())
    }

    /// Makes it one that tells a text of at most 255 octets under a name of class CH.
    pub(crate) fn identify(&mut self, owner: NameRef<'_>, text: &str) {
        let mut rdata = [0; 1 + TEXT];
        let text = &text.as_bytes()[..text.len().min(TEXT)];
        rdata[0] = text.len() as u8;
        rdata[1..=text.len()].copy_from_slice(text);
        self.set_authoritative();
        self.subject.kind = Kind::Identity;
        match self.writer.record(owner, RecordType::TXT, CLASS_CH, 0, &rdata[..=text.len()]) {
            Ok(()) => self.counts[1] += 1,
            Err(Full) => self.give_up(owner),
        }
    }

    /// Adds a whole RRset, or nothing of it. `ttl` takes the place of the set's own.
    pub(crate) fn rrset(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        rrset: Rrset<'_>,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        self.rrset_of(section, &mut self.owner(owner), rrset, ttl)
    }

    fn rrset_of(
        &mut self,
        section: Section,
        owner: &mut Owner<'_>,
        rrset: Rrset<'_>,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        let mark = self.mark();
        let ttl = ttl.unwrap_or_else(|| rrset.ttl());
        let mut rdatas = rrset.rdatas();
        let written = rdatas.try_for_each(|rdata| self.record_of(section, owner, rrset.rtype(), ttl, rdata));
        written.inspect_err(|Full| self.rewind(mark))
    }

    /// Adds a whole RRset of `node` and, when wanted, the signatures that cover it, or nothing of both
    /// (RFC 4035 §3.1.1).
    pub(crate) fn signed_rrset(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        node: Node<'_>,
        rrset: Rrset<'_>,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        let signatures = if self.dnssec() { node.signatures(rrset.rtype()) } else { None };
        self.rrset_with(section, owner, rrset, signatures, ttl)
    }

    /// The same with the signatures at hand.
    pub(crate) fn rrset_with(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        rrset: Rrset<'_>,
        signatures: Option<Rrset<'_>>,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        self.rrset_with_of(section, self.owner(owner), rrset, signatures, ttl)
    }

    /// The same of an owner that was looked for.
    pub(crate) fn rrset_with_of(
        &mut self,
        section: Section,
        mut owner: Owner<'_>,
        rrset: Rrset<'_>,
        signatures: Option<Rrset<'_>>,
        ttl: Option<u32>,
    ) -> Result<(), Full> {
        let mark = self.mark();
        self.rrset_of(section, &mut owner, rrset, ttl)?;
        match signatures.filter(|_| self.dnssec()) {
            Some(signatures) => {
                self.rrset_of(section, &mut owner, signatures, ttl).inspect_err(|Full| self.rewind(mark))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn mark(&self) -> (usize, [u16; 4]) {
        (self.writer.len(), self.counts)
    }

    pub(crate) fn rewind(&mut self, (len, counts): (usize, [u16; 4])) {
        self.writer.rewind(len);
        self.counts = counts;
    }

    /// Counts the reply as flawed by what a zone holds, once.
    #[cold]
    pub(crate) fn count(&mut self, flaw: Flaw, apex: NameRef<'_>) {
        if !std::mem::replace(&mut self.flawed, true) {
            self.flaws.note(flaw, apex);
        }
    }

    /// Something required is missing (RFC 2181 §9); what the reply holds stays. Without effect over TCP, where the
    /// message is as large as it can be.
    pub(crate) fn mark_truncated(&mut self) {
        if self.transport == Transport::Udp {
            self.flags |= flags::TC;
        }
    }

    /// The answer of a zone does not fit: over UDP the question alone and TC, so that the client comes back over TCP; over TCP
    /// there is no larger message, so SERVFAIL.
    pub(crate) fn give_up(&mut self, apex: NameRef<'_>) {
        self.clear();
        match self.transport {
            Transport::Udp => self.flags |= flags::TC,
            Transport::Tcp | Transport::Tls => {
                self.count(Flaw::TooLarge, apex);
                self.fail(Refusal::plain(Rcode::SERVFAIL));
            }
        }
    }

    /// Makes it an error: no records, no authority.
    pub(crate) fn fail(&mut self, refusal: Refusal) {
        self.clear();
        self.subject = Subject { kind: Kind::Error, below: 0 };
        self.rcode = refusal.rcode;
        self.flags &= !(flags::AA | flags::TC);
        if let Some(edns) = &mut self.edns {
            edns.fail(refusal);
        }
    }

    /// Says nothing but that there is an answer over TCP, to a client whose answers are limited.
    pub(crate) fn slip(&mut self) {
        self.clear();
        // A name error without its SOA would be taken for the whole truth by some.
        self.rcode = Rcode::NOERROR;
        self.flags = self.flags & !flags::AA | flags::TC;
        if let Some(edns) = &mut self.edns {
            edns.forget_zone();
        }
    }

    fn clear(&mut self) {
        let questions = self.counts[0];
        self.rewind((self.body, [questions, 0, 0, 0]));
    }

    /// The OPT record as it stands, in wire form: for messages that are composed elsewhere.
    pub(crate) fn opt(&self) -> Option<Vec<u8>> {
        // What the messages will come to, and so their padding, is not known here.
        let told = Told { padded: false, ..self.edns.clone()? };
        let (mut out, mut compressor) = (Vec::new(), Compressor::folding());
        let mut writer = Writer::new(&mut out, &mut compressor, MAX_MESSAGE);
        told.write(Rcode::NOERROR, 0, &mut writer).expect("a record fits the largest message");
        Some(out.split_off(Header::SIZE))
    }

    /// Writes OPT and header. What TSIG needs is still free behind it.
    pub(crate) fn finish(mut self) {
        self.writer.reserve(self.tsig_len);
        if let Some(edns) = self.edns.take() {
            edns.write(self.rcode, self.tsig_len, &mut self.writer)
                .expect("the space for the OPT record was held back");
            self.counts[3] += 1;
        }
        self.writer.finish(Header {
            id: self.id,
            flags: self.flags | (self.rcode.0 & 15),
            counts: self.counts,
        });
    }
}

/// RFC 2181 §8: a TTL with the top bit set is read as zero.
pub(crate) fn ttl_of(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Ede;
    use crate::testing::{self, Query};
    use secondo_wire::edns::OPT_SIZE;

    const TXT: RecordType = RecordType::TXT;

    fn terms(transport: Transport, tsig_len: usize) -> Terms<'static> {
        Terms {
            transport,
            udp_payload: 1232,
            tsig_len,
            cookie: None,
            keepalive: None,
            nsid: None,
            padded: false,
        }
    }

    /// A reply to a client of 512 octets, filled so that `left` octets are free behind the OPT record; finished.
    fn filled(left: usize, ede: &'static str) -> testing::Reply {
        let octets = Query::new("a.example.", TXT).edns(512, 0, &[0, 9, 0, 0]).octets();
        let frame = Frame::parse(&octets).unwrap();
        let (mut compressor, mut flaws, mut out) = (Compressor::folding(), Flaws::default(), Vec::new());
        let mut reply = Reply::new(&frame, terms(Transport::Udp, 0), &mut compressor, &mut flaws, &mut out);
        let name = frame.question.unwrap().name;
        let text = vec![0; 512 - 12 - name.as_wire().len() - 4 - 12 - OPT_SIZE - left];
        reply.record(Section::Answer, name, TXT, u32::MAX, &text).unwrap();
        reply.tell_expire(&frame, 61_999);
        reply.edns.as_mut().unwrap().ede = Some(Ede { code: 24, text: ede.into() });
        reply.finish();
        testing::Reply::read(out)
    }

    #[test]
    fn options_that_do_not_fit_are_left_out_the_text_first() {
        for (left, expire, code, text) in [
            (0, false, false, ""),
            (7, false, true, "x"),
            (8, true, false, ""),
            (14, true, true, ""),
            (15, true, true, "x"),
        ] {
            let reply = filled(left, "x");
            assert!(reply.octets.len() <= 512 && reply.answer.len() == 1);
            assert_eq!(reply.option(9).is_some(), expire, "{left}");
            assert_eq!(reply.ede().is_some(), code, "{left}");
            assert_eq!(reply.option(15).map_or(&b""[..], |value| &value[2..]), text.as_bytes(), "{left}");
        }
        assert_eq!(filled(8, "").option(9), Some(&61u32.to_be_bytes()[..]));
    }

    #[test]
    fn a_ttl_with_the_top_bit_is_zero() {
        assert!(filled(0, "").answer[0].starts_with("a.example. 0 TXT "));
        assert_eq!((ttl_of(1 << 31), ttl_of((1 << 31) - 1)), (0, (1 << 31) - 1));
    }

    #[test]
    fn an_rrset_or_its_signatures_that_do_not_fit_leave_nothing() {
        let zone = testing::zone("example.", "a TXT 0123456789\na TXT 9876543210\na RRSIG TXT");
        let node = zone.nodes().nth(1).unwrap();
        let rrset = node.rrset(TXT).unwrap();
        let octets = Query::new("a.example.", TXT).dnssec().octets();
        let frame = Frame::parse(&octets).unwrap();
        let name = frame.question.unwrap().name;
        // Both records take 46 octets, the signature 48.
        for (free, whole, signed) in
            [(45, false, false), (46, true, false), (93, true, false), (94, true, true)]
        {
            let (mut compressor, mut flaws, mut out) = (Compressor::folding(), Flaws::default(), Vec::new());
            let limit = 12 + 15 + OPT_SIZE + free;
            let terms = terms(Transport::Tcp, MAX_MESSAGE - limit);
            let mut reply = Reply::new(&frame, terms, &mut compressor, &mut flaws, &mut out);
            let before = reply.mark();
            let fits = reply.signed_rrset(Section::Answer, name, node, rrset, None).is_ok();
            assert_eq!((fits, reply.mark() == before), (signed, !signed), "{free}");
            reply.rewind(before);
            assert_eq!(reply.rrset(Section::Answer, name, rrset, None).is_ok(), whole, "{free}");
        }
    }
}
