//! From a request to its reply: the order of the checks, and which of them answers.

use std::sync::Arc;

use secondo_tsig::{Seal, verify_request};
use secondo_wire::{CLASS_CH, CLASS_IN, Compressor, KeyBuf, Name, Opcode, Rcode, RecordType, Serial};

use crate::acl::IpPrefix;
use crate::cookies::{Cookie, Malformed, Standing};
use crate::flaws::{Flawed, Flaws};
use crate::limiter::{Kind, Subject, Verdict};
use crate::notify::Accepted;
use crate::query::Asker;
use crate::refusal::{Refusal, Refused};
use crate::reply::{Reply, Terms};
use crate::request::{Frame, Question};
use crate::scene::{Approached, Scene};
use crate::table::{Entry, Table};
use crate::together::TOGETHER;
use crate::transfer::TransferRequest;
use crate::{Client, Clock, Transport, notify, query, transfer};

/// Space for answers, to be used again and again: no answer on the common path allocates.
pub struct Scratch {
    /// Of the names asked for, for each request that is taken together with others.
    pub(crate) keys: [KeyBuf; TOGETHER],
    pub(crate) desk: Desk,
}

/// Space for the answer at hand, and what is to be told of it and of those before.
pub(crate) struct Desk {
    compressor: Compressor,
    refused: Option<Refused>,
    limited: Option<Limited>,
    flaws: Flaws,
}

/// Answers that were limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// The range of addresses of the last of them.
    pub range: IpPrefix,
    /// How many were not sent.
    pub dropped: u64,
    /// How many were sent without data.
    pub slipped: u64,
}

impl Scratch {
    /// For one thread.
    pub fn new() -> Scratch {
        let desk =
            Desk { compressor: Compressor::folding(), refused: None, limited: None, flaws: Flaws::default() };
        Scratch { keys: std::array::from_fn(|_| KeyBuf::new()), desk }
    }

    /// The answers that were limited since this was last taken.
    pub fn take_limited(&mut self) -> Option<Limited> {
        self.desk.limited.take()
    }

    /// The answers since this was last taken that were not whole by fault of their zone.
    pub fn take_flawed(&mut self) -> Option<Flawed> {
        self.desk.flaws.take()
    }

    /// Why the last request was not granted: a NOTIFY or a transfer, or any request with a broken seal.
    pub fn refused(&self) -> Option<&Refused> {
        self.desk.refused()
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The reply stands in `out`.
    Reply,
    /// Nothing is to be sent: too short for a header, a response, or one too many where answers are limited.
    Silence,
    /// The reply stands in `out`, and the zone's primary has a change to tell.
    Notify {
        /// The zone.
        entry: Arc<Entry>,
        /// The serial that the primary hints at; not authenticated by itself.
        hint: Option<Serial>,
        /// The key of the verified seal.
        key: Option<Name>,
    },
    /// Nothing stands in `out`: a transfer is to be sent.
    Transfer(Box<TransferRequest>),
}

/// Answers one request. The reply is appended to `out`; what stands there already is left alone.
///
/// Total: every input has an outcome, and the work for one request is bounded (see [`crate::bounds`]).
pub fn respond(
    request: &[u8],
    client: Client,
    table: &Table,
    clock: Clock,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Outcome {
    let Scratch { keys: [key, ..], desk } = scratch;
    let Some(frame) = Frame::parse(request) else { return desk.pass_over() };
    let scene =
        frame.question.and_then(|question| Scene::of(table.presumed(question.name)?, question, table, clock));
    let approached = scene.as_ref().zip(frame.question);
    let approached = approached.map(|(scene, question)| scene.approach(question, key));
    desk.answer(&frame, approached, Asker::new(table, client, clock), key, out)
}

impl Desk {
    /// Why the last request was not granted.
    pub(crate) fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// Takes what is no request.
    pub(crate) fn pass_over(&mut self) -> Outcome {
        self.refused = None;
        Outcome::Silence
    }

    /// Answers a request whose name was approached, if we may have it. `key` holds the name's key.
    pub(crate) fn answer(
        &mut self,
        frame: &Frame<'_>,
        approached: Option<Approached<'_>>,
        asker: Asker<'_>,
        key: &mut KeyBuf,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Asker { table, client, clock, .. } = asker;
        let Desk { compressor, refused, limited, flaws } = self;
        *refused = None;
        let from = out.len();
        let presented = frame.asks.cookie.zip(table.cookies());
        let cookie = presented.map(|(option, cookies)| cookies.examine(option, client.addr.ip(), clock.unix));
        let asker = Asker { cookie, ..asker };
        let mut terms = terms(frame, client, table, cookie);
        let (mut seal, mut fault) = (None, frame.fault);
        // RFC 8945 §5.2: a seal is verified before anything that it covers is acted on. A broken one is answered by the
        // rules of TSIG; the request is never looked at as an unsigned one.
        if frame.signed {
            match verify_request(frame.octets, table.keys(), clock.unix) {
                Ok(Some(verified)) => seal = Some(verified),
                Ok(None) => fault = Some(Rcode::FORMERR),
                Err(rejected) => {
                    terms.tsig_len = rejected.tsig_len();
                    let mut reply = Reply::new(frame, terms, compressor, flaws, out);
                    *refused = Some(Refused::by_seal(frame, &rejected));
                    reply.fail(Refusal::plain(rejected.rcode));
                    if !limit(&asker, frame, &mut reply, limited) {
                        drop(reply);
                        out.truncate(from);
                        return Outcome::Silence;
                    }
                    reply.finish();
                    rejected.respond(out, from, clock.unix);
                    return Outcome::Reply;
                }
            }
        }
        terms.tsig_len = seal.as_ref().map_or(0, Seal::tsig_len);
        let mut reply = Reply::new(frame, terms, compressor, flaws, out);
        let asker = Asker { key: seal.as_ref().map(|seal| seal.key().name()), ..asker };
        let decided = match fault {
            Some(fault) => Err(Refusal::plain(fault)),
            None => decide(&asker, frame, approached, &mut reply, key),
        };
        let outcome = match decided {
            Ok(outcome) => outcome,
            Err(refusal) => {
                *refused = Refused::by(frame, &refusal);
                reply.fail(refusal);
                Outcome::Reply
            }
        };
        if let Outcome::Transfer(mut transfer) = outcome {
            drop(reply);
            out.truncate(from);
            transfer.seal = seal;
            return Outcome::Transfer(transfer);
        }
        if matches!(outcome, Outcome::Reply) && !limit(&asker, frame, &mut reply, limited) {
            drop(reply);
            out.truncate(from);
            return Outcome::Silence;
        }
        reply.finish();
        // RFC 8945 §5.3: a signed request gets a signed reply, whatever it says.
        if let Some(seal) = &mut seal {
            seal.sign(out, from, clock.unix);
        }
        outcome
    }
}

/// Counts a reply where answers are limited; false when it is one too many, and not to be sent. One that slips has lost
/// its data.
fn limit(asker: &Asker<'_>, frame: &Frame<'_>, reply: &mut Reply<'_>, limited: &mut Option<Limited>) -> bool {
    let Some(limiter) = asker.table.limiter() else { return true };
    // Who has had an answer at this address before did not make it up: over TCP, with a cookie (RFC 7873 §5.2.5). Nor do
    // those who have a key of ours.
    let good_cookie = matches!(asker.cookie, Some(Ok(Cookie { standing: Standing::Good, .. })));
    if asker.client.transport != Transport::Udp || asker.key.is_some() || good_cookie {
        return true;
    }
    let Subject { kind, below } = reply.subject();
    let name = frame.question.filter(|_| kind != Kind::Error).map(|question| question.name.ancestor(below));
    let verdict = limiter.judge(asker.address(), kind, name, asker.clock.boot_ms);
    if verdict == Verdict::Pass {
        return true;
    }
    // An error has nothing to lose: one that slips is sent as it is.
    if verdict != Verdict::Drop && kind == Kind::Error {
        return true;
    }
    let range = limiter.range_of(asker.address());
    let so_far = limited.take().unwrap_or(Limited { range, dropped: 0, slipped: 0 });
    if verdict == Verdict::Drop {
        *limited = Some(Limited { range, dropped: so_far.dropped + 1, ..so_far });
        return false;
    }
    *limited = Some(Limited { range, slipped: so_far.slipped + 1, ..so_far });
    match asker.cookie {
        // RFC 7873 §5.2.3, §5.2.4: with the cookie in this reply the client is heard the next time.
        Some(Ok(_)) => reply.fail(Refusal::plain(Rcode::BADCOOKIE)),
        _ => reply.slip(),
    }
    true
}

/// What holds for the reply whatever it will say.
fn terms<'t>(
    frame: &Frame<'_>,
    client: Client,
    table: &'t Table,
    cookie: Option<Result<Cookie, Malformed>>,
) -> Terms<'t> {
    let asks = &frame.asks;
    // RFC 7828 §3.3.2: over TCP alone. RFC 5001 §2.2: whatever a request has in it.
    let over_tcp = client.transport != Transport::Udp;
    let keepalive = table.keepalive().filter(|_| over_tcp && asks.keepalive == Some(&[]));
    let nsid = table.identity().nsid.as_deref().filter(|_| asks.nsid.is_some());
    Terms {
        transport: client.transport,
        udp_payload: table.udp_payload(),
        tsig_len: 0,
        cookie: cookie.and_then(Result::ok).map(|cookie| cookie.answer),
        keepalive,
        nsid: nsid.map(str::as_bytes),
        // RFC 7830 §4: only to who padded, and never where it could be read anyway.
        padded: client.transport == Transport::Tls && asks.padding.is_some(),
    }
}

/// Chooses who answers a request without a fault, and lets them.
fn decide(
    asker: &Asker<'_>,
    frame: &Frame<'_>,
    approached: Option<Approached<'_>>,
    reply: &mut Reply<'_>,
    key: &mut KeyBuf,
) -> Result<Outcome, Refusal> {
    examine_options(asker, frame)?;
    let Some(question) = frame.question else {
        return match asker.cookie {
            // RFC 7873 §5.4: whoever asks with nothing but a cookie is told what it is worth.
            Some(Ok(Cookie { standing: Standing::Bad, .. })) => Err(Refusal::plain(Rcode::BADCOOKIE)),
            Some(Ok(_)) => Ok(Outcome::Reply),
            _ => Err(Refusal::FORMAT),
        };
    };
    if frame.header.opcode() == Opcode::NOTIFY {
        let Accepted { entry, hint } = notify::judge(asker, frame, question)?;
        reply.set_authoritative();
        return Ok(Outcome::Notify { entry, hint, key: asker.key.cloned() });
    }
    if matches!(question.rtype, RecordType::AXFR | RecordType::IXFR) {
        let transfer = transfer::judge(asker, frame, question, reply)?;
        return Ok(transfer.map_or(Outcome::Reply, |transfer| Outcome::Transfer(Box::new(transfer))));
    }
    examine_type(question)?;
    match question.class {
        CLASS_IN => {}
        CLASS_CH => return asker.table.identity().answer(question, reply).map(|()| Outcome::Reply),
        _ => return Err(Refusal::CLASS),
    }
    let approached = approached.ok_or(Refusal::NOT_OURS)?;
    query::answer(asker, frame, question, approached, reply, key)?;
    Ok(Outcome::Reply)
}

/// Options of a length that none of their kind has, and one that comes once.
fn examine_options(asker: &Asker<'_>, frame: &Frame<'_>) -> Result<(), Refusal> {
    let has_value = |option: Option<&[u8]>| option.is_some_and(|value| !value.is_empty());
    // RFC 7873 §5.2.2; RFC 7828 §3.2.1, and §3.3.1: over UDP that option is ignored; RFC 9660 §3.2.1.
    let over_tcp = asker.client.transport != Transport::Udp;
    if asker.cookie == Some(Err(Malformed))
        || (over_tcp && has_value(frame.asks.keepalive))
        || has_value(frame.asks.zone_version)
        || frame.asks.zone_version_again
    {
        return Err(Refusal::FORMAT);
    }
    Ok(())
}

/// Types that nobody is asked for.
fn examine_type(question: Question<'_>) -> Result<(), Refusal> {
    match question.rtype {
        // RFC 6895 §3.1: these are never asked for.
        RecordType(0) | RecordType::OPT | RecordType::TKEY | RecordType::TSIG => Err(Refusal::FORMAT),
        RecordType::NXNAME => Err(Refusal::QUERY_TYPE),
        // RFC 6895 §3.1: the range of question types, of which IXFR, AXFR and ANY are known.
        RecordType(129..=254) => Err(Refusal::plain(Rcode::NOTIMP)),
        _ => Ok(()),
    }
}
