//! Requests for a transfer: who may have one, and of what kind (RFC 5936 §2.2, §5; RFC 1995 §2, §4).

use std::sync::Arc;

use secondo_tsig::Seal;
use secondo_wire::{
    CLASS_IN, Compressor, Header, MAX_MESSAGE, Name, Rcode, RecordType, Section, Serial, SerialOrder, Writer,
    flags,
};
use secondo_zone::{Version, Zone};

use crate::Transport;
use crate::query::Asker;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::request::{Frame, Question};
use crate::table::Entry;

/// What a transfer is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The whole zone (RFC 5936).
    Full,
    /// The differences from this serial on, or the whole zone in their place (RFC 1995 §4).
    Incremental {
        /// The version that the asker has.
        from: Serial,
    },
    /// The SOA alone: the asker has this version or a newer one (RFC 1995 §2).
    UpToDate,
}

/// A transfer that may begin: over TCP, admitted by the zone's access list.
#[derive(Debug)]
pub struct TransferRequest {
    /// The zone's place in the table.
    pub entry: Arc<Entry>,
    /// The version, held to the end of the transfer whatever is published meanwhile.
    pub zone: Zone,
    /// What to send.
    pub wanted: Wanted,
    /// Signs every message of the answer; `None`: the request was not signed.
    pub seal: Option<Seal>,
    /// The request's ID, which every message repeats.
    pub id: u16,
    /// The name asked for, spelled as in the question.
    pub name: Name,
    /// The type asked for: AXFR or IXFR.
    pub rtype: RecordType,
    /// Whether RD was set.
    pub recursion_desired: bool,
    /// The OPT record of the answer; `None`: the request had none.
    pub opt: Option<TransferOpt>,
}

/// OPT records in wire form: what was asked for of cookie, NSID, keepalive, time to expiry and version of the zone.
#[derive(Clone, Debug)]
pub struct TransferOpt {
    /// For the first message of the transfer (RFC 6891 §6.1.1).
    pub sent: Vec<u8>,
    /// For a message that declines it: nothing of the zone is told.
    declined: Vec<u8>,
}

impl TransferRequest {
    /// Appends a single message to `out` that says no after all (our own limit is reached), signed like every other.
    pub fn decline(mut self, rcode: Rcode, unix_now: u64, out: &mut Vec<u8>) {
        let from = out.len();
        let mut compressor = Compressor::folding();
        let mut writer = Writer::new(out, &mut compressor, MAX_MESSAGE);
        let opt = self.opt.as_ref().map_or(&[][..], |opt| &opt.declined);
        let written = writer.question(self.name.as_ref(), self.rtype, CLASS_IN);
        written.and_then(|()| writer.octets(opt)).expect("a question and OPT fit the largest message");
        let copied = if self.recursion_desired { flags::RD } else { 0 };
        writer.finish(Header {
            id: self.id,
            flags: flags::QR | copied | (rcode.0 & 15),
            counts: [1, 0, 0, self.opt.is_some().into()],
        });
        if let Some(seal) = &mut self.seal {
            seal.sign(out, from, unix_now);
        }
    }
}

/// Judges a request of type AXFR or IXFR: what the transfer is to be, the seal still to be added by the caller;
/// `None`: the reply is made.
pub(crate) fn judge(
    asker: &Asker<'_>,
    frame: &Frame<'_>,
    question: Question<'_>,
    reply: &mut Reply<'_>,
) -> Result<Option<TransferRequest>, Refusal> {
    if question.class != CLASS_IN {
        return Err(Refusal::plain(Rcode::NOTAUTH));
    }
    let over_udp = asker.client.transport == Transport::Udp;
    let incremental = question.rtype == RecordType::IXFR;
    // RFC 5936 §4.2: AXFR over UDP is not defined.
    if over_udp && !incremental {
        return Err(Refusal::FORMAT);
    }
    // RFC 1995 §3: the asker's version stands in a SOA of the authority section.
    let from = match incremental {
        true => frame.soa_serial(Section::Authority, question.name).and_then(|s| s.ok_or(Rcode::FORMERR)),
        false => Ok(Serial(0)),
    };
    let from = from.map_err(Refusal::plain)?;
    // Strangers learn nothing, not even which zones are ours.
    let Some(entry) = asker.table.exact(question.name) else {
        return Err(match asker.table.any_transfer_rule_admits(asker.origin()) {
            true => Refusal::NOT_AUTHORITATIVE,
            false => Refusal::NOT_OURS,
        });
    };
    if !entry.transfer.admits(asker.origin()) {
        return Err(Refusal::PROHIBITED);
    }
    let held = entry.slot.hold(asker.clock.boot_ms).map_err(Refusal::unserved)?;
    let zone = held.zone();
    if over_udp {
        single_soa(reply, frame, question, zone, held.expires_in);
        return Ok(None);
    }
    let wanted = match (incremental, zone.serial().compare(from)) {
        (false, _) => Wanted::Full,
        (true, SerialOrder::Equal | SerialOrder::Older) => Wanted::UpToDate,
        // RFC 1982 §3.2: at a distance of 2^31 neither is newer; the whole zone settles it.
        (true, SerialOrder::Newer | SerialOrder::Undefined) => Wanted::Incremental { from },
    };
    let declined = reply.opt();
    reply.tell_expire(frame, held.expires_in);
    reply.tell_version(frame, zone);
    let opt = reply.opt().zip(declined).map(|(sent, declined)| TransferOpt { sent, declined });
    Ok(Some(TransferRequest {
        entry: entry.clone(),
        zone: held.shared(),
        wanted,
        seal: None,
        id: frame.header.id,
        name: question.name.to_owned(),
        rtype: question.rtype,
        recursion_desired: frame.header.has(flags::RD),
        opt,
    }))
}

/// RFC 1995 §2, §4: over UDP the current SOA alone always is an answer; whoever wants more comes over TCP.
fn single_soa(
    reply: &mut Reply<'_>,
    frame: &Frame<'_>,
    question: Question<'_>,
    zone: &Version,
    expires_in_ms: u64,
) {
    reply.set_authoritative();
    reply.tell_expire(frame, expires_in_ms);
    reply.tell_version(frame, zone);
    let (ttl, rdata) = (zone.soa_ttl(), zone.soa_rdata());
    if reply.record(Section::Answer, question.name, RecordType::SOA, ttl, rdata).is_err() {
        reply.give_up(question.name);
    }
}
