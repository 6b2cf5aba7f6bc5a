//! From a request to its reply: the order of the checks, and which of them answers.

use std::sync::Arc;

use secondo_tsig::{Seal, verify_request};
use secondo_wire::{CLASS_IN, Compressor, KeyBuf, Name, Opcode, Rcode, RecordType, Serial};

use crate::notify::Accepted;
use crate::query::Asker;
use crate::refusal::{Refusal, Refused};
use crate::reply::Reply;
use crate::request::{Frame, Question};
use crate::table::{Entry, Table};
use crate::transfer::TransferRequest;
use crate::{Client, Clock, notify, query, transfer};

/// Space for one answer, to be used again and again: no answer on the common path allocates.
pub struct Scratch {
    compressor: Compressor,
    key: KeyBuf,
    refused: Option<Refused>,
}

impl Scratch {
    /// For one thread.
    pub fn new() -> Scratch {
        Scratch { compressor: Compressor::folding(), key: KeyBuf::new(), refused: None }
    }

    /// Why the last request was not granted: a NOTIFY or a transfer, or any request with a broken seal.
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
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
    /// Nothing is to be sent: too short for a header, or a response.
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
    scratch.refused = None;
    let Some(mut frame) = Frame::parse(request) else { return Outcome::Silence };
    let from = out.len();
    let mut seal = None;
    // RFC 8945 §5.2: a seal is verified before anything that it covers is acted on. A broken one is answered by the
    // rules of TSIG; the request is never looked at as an unsigned one.
    if frame.signed {
        match verify_request(frame.octets, table.keys(), clock.unix) {
            Ok(Some(verified)) => seal = Some(verified),
            Ok(None) => frame.fault = Some(Rcode::FORMERR),
            Err(rejected) => {
                let compressor = &mut scratch.compressor;
                let mut reply = Reply::new(&frame, client.transport, table.udp_payload(), 0, compressor, out);
                scratch.refused = Some(Refused::by_seal(&frame, &rejected));
                reply.fail(Refusal::plain(rejected.rcode));
                reply.finish();
                rejected.respond(out, from, clock.unix);
                return Outcome::Reply;
            }
        }
    }
    let tsig_len = seal.as_ref().map_or(0, Seal::tsig_len);
    let compressor = &mut scratch.compressor;
    let mut reply = Reply::new(&frame, client.transport, table.udp_payload(), tsig_len, compressor, out);
    let key = seal.as_ref().map(|seal| seal.key().name());
    let asker = Asker { table, client, clock, key };
    let outcome = match decide(&asker, &frame, &mut reply, &mut scratch.key) {
        Ok(outcome) => outcome,
        Err(refusal) => {
            scratch.refused = Refused::by(&frame, &refusal);
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
    reply.finish();
    // RFC 8945 §5.3: a signed request gets a signed reply, whatever it says.
    if let Some(seal) = &mut seal {
        seal.sign(out, from, clock.unix);
    }
    outcome
}

/// Chooses who answers, and lets them.
fn decide(
    asker: &Asker<'_>,
    frame: &Frame<'_>,
    reply: &mut Reply<'_>,
    key: &mut KeyBuf,
) -> Result<Outcome, Refusal> {
    if let Some(fault) = frame.fault {
        return Err(Refusal::plain(fault));
    }
    // RFC 6891 §6.1.3: before everything that depends on options.
    if frame.opt.is_some_and(|opt| opt.version > 0) {
        return Err(Refusal::plain(Rcode::BADVERS));
    }
    let question = frame.question.ok_or(Refusal::FORMAT)?;
    if frame.header.opcode() == Opcode::NOTIFY {
        let Accepted { entry, hint } = notify::judge(asker, frame, question)?;
        reply.set_authoritative();
        return Ok(Outcome::Notify { entry, hint, key: asker.key.cloned() });
    }
    if matches!(question.rtype, RecordType::AXFR | RecordType::IXFR) {
        let transfer = transfer::judge(asker, frame, question, reply)?;
        return Ok(transfer.map_or(Outcome::Reply, |transfer| Outcome::Transfer(Box::new(transfer))));
    }
    examine_query(question)?;
    query::answer(asker, frame, question, reply, key)?;
    Ok(Outcome::Reply)
}

/// Classes and types that no zone is asked for.
fn examine_query(question: Question<'_>) -> Result<(), Refusal> {
    match question.rtype {
        // RFC 6895 §3.1: these are never asked for.
        RecordType(0) | RecordType::OPT | RecordType::TKEY | RecordType::TSIG => return Err(Refusal::FORMAT),
        RecordType::NXNAME => return Err(Refusal::QUERY_TYPE),
        // RFC 6895 §3.1: the range of question types, of which IXFR, AXFR and ANY are known.
        RecordType(129..=254) => return Err(Refusal::plain(Rcode::NOTIMP)),
        _ => {}
    }
    if question.class == CLASS_IN { Ok(()) } else { Err(Refusal::CLASS) }
}
