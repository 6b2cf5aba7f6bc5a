//! # primary: the way to a primary
//!
//! **Job**: one question to one address, over the network: [`probe()`] asks for the SOA, [`transfer()`] for the zone.
//! **In**: what to ask and whom ([`Way`]), limits of time and rate.
//! **Out**: one verdict, a straight line each; what follows is the lifecycle's business.
//! **Never**: decides what to try next, beyond what belongs to one question (UDP then TCP, with EDNS then without, the
//! next key of a key roll).
//! **Source**: RFC 1034 §4.3.5, RFC 5452 §9, RFC 5936 §4, RFC 7766 §6 to §8, RFC 9103 §6 and §7.
//!
//! ```text
//! probe, transfer ─► exchange ─► line ─► connect ─► the primary
//!  one question      a place     one     a socket
//!                                 ▲
//!                               lines, which are kept for the next question
//! ```

mod connect;
mod exchange;
mod frames;
mod habits;
mod line;
mod lines;
mod overflow;
mod probe;
mod roll;
#[cfg(test)]
mod testing;
mod transfer;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use secondo_lifecycle::PrimaryId;
use secondo_transfer::Fault;
use secondo_tsig::Key;
use secondo_wire::{Name, Reason};

use crate::clock;
use crate::config::PrimaryConfig;
use habits::{Manner, Worked};

pub(crate) use habits::Habits;
pub(crate) use lines::{LINES, Lines};
pub(crate) use probe::probe;
pub(crate) use roll::{Did, Roll};
pub(crate) use transfer::{Fetched, TransferJob, aside, transfer};

/// One zone at one address of a primary.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The zone.
    pub zone: Name,
    /// The address.
    pub address: SocketAddr,
    /// The number of the primary that it belongs to.
    pub id: PrimaryId,
    /// That primary.
    pub primary: Arc<PrimaryConfig>,
    /// The connections that there are.
    pub lines: Lines,
    /// What was learnt of primaries.
    pub habits: Arc<Habits>,
}

impl Way {
    /// The local address to ask from, if the operator chose one.
    fn source(&self) -> Option<IpAddr> {
        self.primary.source_towards(self.address.ip())
    }

    fn place(&self) -> habits::Place {
        (self.id, self.address)
    }

    /// Asks with one key after another until one does, in the order in which they are worth a try. `ask` is told whether
    /// EDNS should go along, and tells whether it did. With several keys a fault tells what became of each.
    async fn with_keys<T, F>(&self, transfer: bool, ask: impl Fn(Option<Key>, bool) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<(T, bool), Fault>>,
    {
        let keys = &self.primary.keys;
        let Manner { edns, seals } = self.habits.manner(&self.place(), keys, clock::boot());
        let mut details: Vec<String> = Vec::new();
        let mut last = Fault::new(Reason::Internal, "no key to ask with");
        for key in seals {
            let name = key.as_ref().map(Key::name);
            match ask(key.clone(), edns).await {
                Ok((brought, edns)) => {
                    let at = clock::boot();
                    let did = name.filter(|_| keys.len() > 1).map(|key| {
                        let is_first = keys.first().map(Key::name) == Some(key);
                        (Did { key: key.clone(), zone: self.zone.clone(), transfer, at }, is_first)
                    });
                    let worked = Worked { edns, key: did, in_vain: !details.is_empty() };
                    self.habits.worked(self.place(), worked, at);
                    return Ok(brought);
                }
                Err(fault) => {
                    let may_be_the_key = fault.reason.may_be_the_key();
                    last = Fault { key: name.cloned(), ..fault };
                    if let Some(key) = name.filter(|_| keys.len() > 1) {
                        details.push(format!("key {key}: {}", last.detail));
                    }
                    if !may_be_the_key {
                        break;
                    }
                }
            }
        }
        Err(if details.len() > 1 { Fault { detail: details.join("; "), ..last } } else { last })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use secondo_tsig::Algorithm;

    use super::*;

    /// What a way with the keys `new.` and `old.` tells when these faults come of asking with them, and whom it asked with.
    async fn asked(way: &Way, faults: &[(&str, Reason)]) -> (Result<(), Fault>, Vec<String>) {
        let asked = Mutex::new(Vec::new());
        let verdict = way.with_keys(true, async |key, edns| {
            let name = key.unwrap().name().to_string();
            asked.lock().unwrap().push(name.clone());
            match faults.iter().find(|(of, _)| **of == name) {
                Some((_, reason)) => Err(Fault::new(*reason, "no")),
                None => Ok(((), edns)),
            }
        });
        let verdict = verdict.await;
        (verdict, asked.into_inner().unwrap())
    }

    fn way() -> Way {
        let mut way = testing::way(([127, 0, 0, 1], 53).into());
        let key = |name: &str| Key::new(name.parse().unwrap(), Algorithm::HmacSha256, b"secret").unwrap();
        Arc::get_mut(&mut way.primary).unwrap().keys = ["new.", "old."].map(key).to_vec();
        way
    }

    #[tokio::test]
    async fn a_key_that_is_refused_in_whatever_words_leads_to_the_next() {
        for reason in [Reason::Refused, Reason::NotAuth, Reason::TsigBadKey, Reason::TsigMissing] {
            let way = way();
            assert_eq!(asked(&way, &[("new.", reason)]).await, (Ok(()), vec!["new.".into(), "old.".into()]));
            assert_eq!(asked(&way, &[]).await.1, ["old."], "{reason}");
            way.habits.ask_anew(&way.place());
            assert_eq!(asked(&way, &[]).await.1, ["new."], "{reason}");
            assert!(way.habits.roll(&way.place(), &way.primary.keys, |_| true).unwrap().is_over());
        }
    }

    #[tokio::test]
    async fn primaries_of_one_name_and_address_with_other_keys_do_not_learn_from_each_other() {
        let both = way();
        let mut single = way();
        (single.id, single.habits) = (PrimaryId(7), Arc::clone(&both.habits));
        Arc::get_mut(&mut single.primary).unwrap().keys.truncate(1);
        assert_eq!(asked(&both, &[("new.", Reason::Refused)]).await.1, ["new.", "old."]);
        assert_eq!(asked(&single, &[]).await.1, ["new."]);
        assert_eq!(asked(&both, &[]).await.1, ["old."], "it is still the one that did");
    }

    #[tokio::test]
    async fn what_is_no_matter_of_keys_ends_the_question_and_names_the_key_that_it_was_asked_with() {
        for reason in [Reason::Timeout, Reason::ServerFailure, Reason::TlsUntrusted, Reason::BadAnswer] {
            let (verdict, asked) = asked(&way(), &[("new.", reason)]).await;
            assert_eq!(asked, ["new."]);
            let fault = verdict.unwrap_err();
            assert_eq!((fault.reason, fault.detail.as_str()), (reason, "no"));
            assert_eq!(fault.key.unwrap().to_string(), "new.");
        }
    }

    #[tokio::test]
    async fn where_no_key_does_the_fault_tells_what_became_of_each() {
        let (verdict, _) = asked(&way(), &[("new.", Reason::TsigBadKey), ("old.", Reason::Refused)]).await;
        let fault = verdict.unwrap_err();
        assert_eq!((fault.reason, fault.detail.as_str()), (Reason::Refused, "key new.: no; key old.: no"));
        assert_eq!(fault.key.unwrap().to_string(), "old.");
    }
}
