//! The asked end: verifies a request and seals its answer, be it one message or a stream of them (RFC 8945 §5.2, §5.3).

use std::borrow::Cow;
use std::fmt;

use secondo_wire::{Header, Name, Rcode, Reason, flags};

use crate::digest::MacOctets;
use crate::error::{reason_of, tsig_error};
use crate::key::{Key, KeyRing};
use crate::record::{self, Outgoing, Tsig};
use crate::{Algorithm, FUDGE, MAX_FUDGE};

/// Verifies a request; `None` when it is well-formed and not signed. `unix_now` in seconds since 1970.
///
/// A request whose seal is broken is [`Rejected`]; it must not be treated as an unsigned one.
pub fn verify_request(message: &[u8], ring: &KeyRing, unix_now: u64) -> Result<Option<Seal>, Rejected> {
    let found = record::find(message)
        .map_err(|misfit| Rejected::form_error(reason_of(misfit), misfit.to_string()))?;
    // An answer sent back must not pass for a request, whatever its seal.
    if Header::read(message).is_some_and(|header| header.has(flags::QR)) {
        return Err(Rejected::form_error(
            Reason::MalformedMessage,
            "an answer is no request (RFC 1035 §4.1.1)",
        ));
    }
    match found {
        None => Ok(None),
        Some(tsig) => signed(message, &tsig, ring, unix_now).map(Some),
    }
}

/// RFC 8945 §5.2: key, MAC, time, truncation, in this order.
fn signed(message: &[u8], tsig: &Tsig<'_>, ring: &KeyRing, unix_now: u64) -> Result<Seal, Rejected> {
    let Some(key) = Algorithm::from_name(tsig.algorithm).and_then(|a| ring.find(tsig.name.as_ref(), a))
    else {
        let detail = match ring.knows(tsig.name.as_ref()) {
            true => format!("key {} is not for {} (RFC 8945 §5.2.1)", tsig.name.as_ref(), tsig.algorithm),
            false => format!("key {} is not known (RFC 8945 §5.2.1)", tsig.name.as_ref()),
        };
        return Err(Rejected::unsigned(tsig, tsig_error::BADKEY, Reason::TsigBadKey, detail));
    };
    let algorithm = key.algorithm();
    // RFC 8945 §5.2.2.1: lengths that must not be sent. Checked before any octet is compared.
    if !(algorithm.least_mac_len()..=algorithm.mac_len()).contains(&tsig.mac.len()) {
        let detail = format!("a MAC of {} octets for {algorithm} (RFC 8945 §5.2.2.1)", tsig.mac.len());
        return Err(Rejected::form_error(Reason::TsigMalformed, detail));
    }
    let mut digest = key.begin();
    digest.stripped(message, tsig);
    digest.variables(key, tsig.time, tsig.fudge, tsig.error, tsig.other);
    if !digest.verify(tsig.mac) {
        let detail = format!("the MAC of key {} does not verify (RFC 8945 §5.2.2)", key.name());
        return Err(Rejected::unsigned(tsig, tsig_error::BADSIG, Reason::TsigBadSig, detail));
    }
    let skew = record::ahead(tsig.time, unix_now);
    if skew.unsigned_abs() > u64::from(tsig.fudge.min(MAX_FUDGE)) {
        let detail = format!("Time Signed is {skew} s from our clock, past the fudge (RFC 8945 §5.2.3)");
        let rejected = Rejected::signed(tsig, key, tsig_error::BADTIME, Reason::TsigBadTime, detail);
        return Err(Rejected { skew: Some(skew), ..rejected });
    }
    if tsig.mac.len() < algorithm.accepted_mac_len() {
        let detail = format!("a MAC of {} octets is shorter than 16 (RFC 8945 §5.2.4)", tsig.mac.len());
        return Err(Rejected::signed(tsig, key, tsig_error::BADTRUNC, Reason::TsigBadTrunc, detail));
    }
    Ok(Seal {
        key: key.clone(),
        // RFC 8945 §4.3.1: the request's MAC as it was sent, truncated or not.
        prior: MacOctets::leading(tsig.mac, tsig.mac.len()),
        first: true,
        message_len: tsig.start,
        skew,
    })
}

/// The seal of a verified request, which signs all messages of the answer in the order they are sent.
#[derive(Clone)]
pub struct Seal {
    key: Key,
    /// The MAC that the next one builds on: the request's, then that of the message before.
    prior: MacOctets,
    /// Nothing was signed yet.
    first: bool,
    message_len: usize,
    skew: i64,
}

impl Seal {
    /// The key that sealed the request.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Octets that our TSIG record takes in each message of the answer.
    pub fn tsig_len(&self) -> usize {
        self.key.tsig_len()
    }

    /// Octets of the request without its TSIG record.
    pub fn message_len(&self) -> usize {
        self.message_len
    }

    /// The asker's clock minus ours, in seconds.
    pub fn skew(&self) -> i64 {
        self.skew
    }

    /// Signs the next message of the answer: the octets of `message` from `from` on, header first and ready but for the
    /// TSIG record, which is appended and counted. `unix_now` in seconds since 1970.
    pub fn sign(&mut self, message: &mut Vec<u8>, from: usize, unix_now: u64) {
        let time = record::clamp(unix_now);
        let mut digest = self.key.begin_after(&self.prior);
        digest.update(message.get(from..).unwrap_or_default());
        match self.first {
            // RFC 8945 §5.3: request MAC, message, all TSIG variables.
            true => digest.variables(&self.key, time, FUDGE, 0, &[]),
            // RFC 8945 §5.3.1: the MAC before, message, timers alone.
            false => digest.timers(time, FUDGE),
        }
        let mac = digest.finish(self.key.algorithm());
        Outgoing {
            name: self.key.canonical_name(),
            algorithm: self.key.algorithm().as_wire(),
            time,
            fudge: FUDGE,
            mac: mac.as_slice(),
            error: 0,
            other: &[],
        }
        .append(message, from);
        self.prior = mac;
        self.first = false;
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({:?})", self.key)
    }
}

/// A request whose seal is broken, and what its sender is told.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// The error for the TSIG record (see [`crate::tsig_error`]); 0 with FORMERR.
    pub tsig_error: u16,
    /// The response code for the header: FORMERR or NOTAUTH.
    pub rcode: Rcode,
    /// The stable reason, for the log.
    pub reason: Reason,
    /// The rule that was broken, with its RFC section.
    pub detail: Cow<'static, str>,
    /// The asker's clock minus ours in seconds; with BADTIME only.
    pub skew: Option<i64>,
    reply: Box<Reply>,
}

/// The TSIG record of the error response (RFC 8945 §5.3.2).
#[derive(Clone)]
enum Reply {
    /// FORMERR goes without.
    None,
    /// No MAC: the request's is not to be built on.
    Unsigned { name: Name, algorithm: Name, time: u64, fudge: u16 },
    /// With a MAC over the request's.
    Signed { key: Key, prior: MacOctets, time: u64 },
}

impl Rejected {
    fn form_error(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Rejected {
        let detail = detail.into();
        Rejected {
            tsig_error: 0,
            rcode: Rcode::FORMERR,
            reason,
            detail,
            skew: None,
            reply: Box::new(Reply::None),
        }
    }

    fn unsigned(tsig: &Tsig<'_>, tsig_error: u16, reason: Reason, detail: String) -> Rejected {
        let reply = Reply::Unsigned {
            name: tsig.name.as_ref().to_owned(),
            algorithm: tsig.algorithm.to_owned(),
            time: tsig.time,
            fudge: tsig.fudge,
        };
        let reply = Box::new(reply);
        Rejected { tsig_error, rcode: Rcode::NOTAUTH, reason, detail: detail.into(), skew: None, reply }
    }

    fn signed(tsig: &Tsig<'_>, key: &Key, tsig_error: u16, reason: Reason, detail: String) -> Rejected {
        let prior = MacOctets::leading(tsig.mac, tsig.mac.len());
        let reply = Reply::Signed { key: key.clone(), prior, time: tsig.time };
        let reply = Box::new(reply);
        Rejected { tsig_error, rcode: Rcode::NOTAUTH, reason, detail: detail.into(), skew: None, reply }
    }

    /// Octets that [`Rejected::respond`] appends.
    pub fn tsig_len(&self) -> usize {
        match &*self.reply {
            Reply::None => 0,
            Reply::Unsigned { name, algorithm, .. } => {
                record::len(name.as_wire().len(), algorithm.as_wire().len(), 0, 0)
            }
            Reply::Signed { key, .. } => key.tsig_len() + self.other(0).len(),
        }
    }

    /// Appends the TSIG record of the error to the response that stands in `response` from `from` on, header first with
    /// [`Rejected::rcode`] in it. Without a MAC for BADKEY and BADSIG, signed for BADTIME and BADTRUNC
    /// (RFC 8945 §5.3.2); nothing for FORMERR.
    pub fn respond(&self, response: &mut Vec<u8>, from: usize, unix_now: u64) {
        match &*self.reply {
            Reply::None => {}
            Reply::Unsigned { name, algorithm, time, fudge } => Outgoing {
                name: name.as_ref(),
                algorithm: algorithm.as_wire(),
                time: *time,
                fudge: *fudge,
                mac: &[],
                error: self.tsig_error,
                other: &[],
            }
            .append(response, from),
            Reply::Signed { key, prior, time } => {
                // RFC 8945 §5.2.3: for BADTIME the asker's time, which its own check will pass, and ours beside it.
                let bad_time = self.tsig_error == tsig_error::BADTIME;
                let now = record::clamp(unix_now);
                let time = if bad_time { *time } else { now };
                let other = self.other(now);
                let mut digest = key.begin_after(prior);
                digest.update(response.get(from..).unwrap_or_default());
                digest.variables(key, time, FUDGE, self.tsig_error, &other);
                let mac = digest.finish(key.algorithm());
                Outgoing {
                    name: key.canonical_name(),
                    algorithm: key.algorithm().as_wire(),
                    time,
                    fudge: FUDGE,
                    mac: mac.as_slice(),
                    error: self.tsig_error,
                    other: &other,
                }
                .append(response, from);
            }
        }
    }

    /// Other Data: our clock in 48 bits with BADTIME, else nothing.
    fn other(&self, now: u64) -> Vec<u8> {
        if self.tsig_error == tsig_error::BADTIME { now.to_be_bytes()[2..].to_vec() } else { Vec::new() }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reply::None => "no TSIG",
            Reply::Unsigned { .. } => "unsigned",
            Reply::Signed { .. } => "signed",
        })
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Rejected {}
