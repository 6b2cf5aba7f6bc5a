//! A primary without sockets: zones, keys and a script; a request goes in, an answer comes out.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use secondo_tsig::{Key, KeyRing, Rejected, Seal, verify_request};
use secondo_wire::{Header, Name, Rcode, RecordType, SerialOrder, flags};
use secondo_zone::Zone;

use crate::change::{Change, ChangeError};
use crate::compose::Draft;
use crate::deliver::Delivery;
use crate::diary::{Asked, Diary, Over};
use crate::fault::Fault;
use crate::history::History;
use crate::record::{Rr, body, halves};
use crate::request::Request;
use crate::script::Script;
use crate::{misshape, octets, wax};

/// UDP payload without EDNS (RFC 1035 §4.2.1), and the most that we send with it.
const UDP_PLAIN: usize = 512;
const UDP_MOST: usize = 1232;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct World {
    zones: BTreeMap<Name, History>,
    keys: KeyRing,
    /// A key is required for transfers.
    sealed: bool,
    script: Script,
    diary: Diary,
    /// Seconds until the copy here expires (RFC 7314 §3); the SOA's when left out.
    expire: Option<u32>,
    per_message: usize,
    /// The MAC of the last sealed message, for a script that sends it again.
    last_mac: Vec<u8>,
    /// Where nobody listens.
    shut: Vec<Over>,
}

impl World {
    /// Serves `zones` to everybody.
    pub fn new(zones: impl IntoIterator<Item = Zone>) -> World {
        let zones = zones.into_iter().map(|zone| (zone.apex().clone(), History::new(zone))).collect();
        World { zones, per_message: 50, ..World::default() }
    }

    /// From now on transfers need one of these keys; none: everybody may transfer.
    pub fn require(&mut self, keys: &[Key]) {
        self.sealed = !keys.is_empty();
        self.keys = KeyRing::new(keys.iter().cloned());
    }

    /// From now on lies by this script.
    pub fn follow(&mut self, script: Script) {
        self.script = script;
    }

    /// From now on tells this time to expiry, in seconds, to those who ask (RFC 7314 §3.1); `None`: the SOA's.
    pub fn tell_expire(&mut self, seconds: Option<u32>) {
        self.expire = seconds;
    }

    /// From now on puts at most so many records into a message; 50 at first, so that small zones take several.
    pub fn records_per_message(&mut self, most: usize) {
        self.per_message = most;
    }

    /// The newest version of a zone.
    pub fn zone(&self, apex: &Name) -> Option<&Zone> {
        self.zones.get(apex).map(History::newest)
    }

    /// Makes the next version of a zone.
    pub fn change(&mut self, apex: &Name, change: &Change) -> Result<(), ChangeError> {
        self.zones.get_mut(apex).ok_or_else(|| ChangeError::NoZone(apex.clone()))?.change(change)
    }

    /// Takes a zone, or another version of one, whatever its serial.
    pub fn publish(&mut self, zone: Zone) {
        let apex = zone.apex().clone();
        match self.zones.get_mut(&apex) {
            Some(history) => history.publish(zone),
            None => drop(self.zones.insert(apex, History::new(zone))),
        }
    }

    /// Forgets the past of a zone: IXFR is answered with the whole zone until the next change.
    pub fn forget(&mut self, apex: &Name) {
        if let Some(history) = self.zones.get_mut(apex) {
            history.forget();
        }
    }

    /// No longer serves a zone.
    pub fn remove(&mut self, apex: &Name) {
        self.zones.remove(apex);
    }

    /// From now on nobody listens there, or somebody does again.
    pub fn shut(&mut self, over: &[Over]) {
        self.shut = over.to_vec();
    }

    /// Whether somebody listens there.
    pub fn is_open(&self, over: Over) -> bool {
        !self.shut.contains(&over)
    }

    /// What was asked, the newest last.
    pub fn asked(&self) -> Vec<Asked> {
        self.diary.entries()
    }

    /// Forgets what was asked.
    pub fn clear_asked(&mut self) {
        self.diary.clear();
    }

    /// Answers a request. `unix_now` in seconds since 1970.
    pub fn respond(
        &mut self,
        octets: &[u8],
        client: Option<SocketAddr>,
        over: Over,
        unix_now: u64,
    ) -> Delivery {
        let Some(request) = Request::read(octets) else { return Delivery::silence() };
        let faults = self.script.next(request.rtype, over);
        let verified = verify_request(octets, &self.keys, unix_now);
        let seal = verified.as_ref().ok().and_then(Option::as_ref);
        let mut asked = Asked {
            client,
            over,
            zone: request.zone.clone(),
            rtype: request.rtype,
            from: request.from,
            key: seal.map(|seal| seal.key().name().clone()),
            edns: request.edns.is_some(),
            rcode: None,
            fault: None,
        };
        let answer = match &verified {
            Err(rejected) => self.rejection(&request, rejected, unix_now),
            Ok(seal) => {
                let honest = self.answer(&request, seal.is_some(), over);
                let sent = |faults: &[Fault], mac: &mut Vec<u8>| {
                    self.sealed(honest.clone(), &request, seal.clone(), over, faults, unix_now, mac)
                };
                let mut mac = self.last_mac.clone();
                let bent = sent(&faults, &mut mac);
                // What has no place in this answer was not told.
                let told = faults.first().filter(|_| bent.differs_from(&sent(&[], &mut Vec::new())));
                asked.fault = told.copied();
                self.last_mac = mac;
                bent
            }
        };
        asked.rcode = answer.messages.first().and_then(|octets| Header::read(octets)).map(|h| h.rcode().0);
        self.diary.note(asked);
        answer
    }

    /// The answer to a request whose seal is broken (RFC 8945 §5.3.2).
    fn rejection(&self, request: &Request, rejected: &Rejected, unix_now: u64) -> Delivery {
        let mut draft = Draft::to(request, rejected.rcode.0);
        draft.seal = rejected.tsig_len();
        let mut messages = draft.stream(1);
        for message in &mut messages {
            rejected.respond(message, 0, unix_now);
        }
        Delivery { messages, ..Delivery::default() }
    }

    /// The answer as it goes out: bent by the faults, in messages, sealed. `mac` is that of the answer before, and becomes
    /// that of this one.
    #[expect(clippy::too_many_arguments, reason = "each is a part of one answer")]
    fn sealed(
        &self,
        mut draft: Draft,
        request: &Request,
        seal: Option<Seal>,
        over: Over,
        faults: &[Fault],
        unix_now: u64,
        mac: &mut Vec<u8>,
    ) -> Delivery {
        draft.seal = seal.as_ref().map_or(0, Seal::tsig_len);
        faults.iter().for_each(|fault| misshape::draft(&mut draft, request, *fault));
        let mut messages = match over {
            Over::Tcp => draft.stream(self.per_message),
            Over::Udp => vec![datagram(draft, request)],
        };
        faults.iter().for_each(|fault| octets::unsealed(&mut messages, *fault));
        wax::seal(&mut messages, seal, faults, unix_now, mac);
        let mut delivery = Delivery { messages, ..Delivery::default() };
        faults.iter().for_each(|fault| octets::around(&mut delivery, *fault, over));
        faults.iter().for_each(|fault| octets::pace(&mut delivery, *fault, over));
        delivery
    }

    /// The honest answer.
    fn answer(&self, request: &Request, sealed: bool, over: Over) -> Draft {
        let refuse = |rcode: Rcode| Draft::to(request, rcode.0);
        if !request.is_query() {
            return refuse(Rcode::NOTIMP);
        }
        let transfer = matches!(request.rtype, RecordType::AXFR | RecordType::IXFR);
        if transfer && self.sealed && !sealed {
            return refuse(Rcode::REFUSED);
        }
        let Some(history) = self.zones.get(&request.zone) else {
            return refuse(if transfer { Rcode::NOTAUTH } else { Rcode::REFUSED });
        };
        let zone = history.newest();
        let mut draft = refuse(Rcode::NOERROR);
        draft.expire = request
            .edns
            .filter(|edns| edns.wants_expire)
            .map(|_| self.expire.unwrap_or_else(|| zone.soa().expire));
        let soa = Rr::soa_of(zone);
        draft.records = match (request.rtype, request.from) {
            (RecordType::SOA, _) => vec![soa],
            // RFC 5936 §4.2: AXFR over UDP is not defined. RFC 1995 §3: IXFR tells the client's serial.
            (RecordType::AXFR, _) if over == Over::Udp => return refuse(Rcode::FORMERR),
            (RecordType::AXFR, _) => whole(zone),
            (RecordType::IXFR, None) => return refuse(Rcode::FORMERR),
            (RecordType::IXFR, Some(from)) => match (from.compare(zone.serial()), history.since(from)) {
                // RFC 1995 §2: a client that is as new gets the SOA alone.
                (SerialOrder::Equal | SerialOrder::Newer, _) => vec![soa],
                (_, None) => whole(zone),
                (_, Some(chain)) => {
                    let chain: Vec<_> = chain.collect();
                    let targets = chain.iter().skip(1).map(|step| &step.0).chain([zone]);
                    let mut records = vec![soa.clone()];
                    for ((old, difference), new) in chain.iter().zip(targets) {
                        let (removed, added) = halves(difference);
                        records.push(Rr::soa_of(old));
                        records.extend(removed);
                        records.push(Rr::soa_of(new));
                        records.extend(added);
                    }
                    records.push(soa);
                    records
                }
            },
            _ => return refuse(Rcode::NOTIMP),
        };
        draft
    }
}

/// SOA, everything else, SOA (RFC 5936 §2.2).
fn whole(zone: &Zone) -> Vec<Rr> {
    let soa = Rr::soa_of(zone);
    let mut records = vec![soa.clone()];
    records.extend(body(zone));
    records.push(soa);
    records
}

/// One message: what does not fit is the SOA alone for IXFR (RFC 1995 §2), else truncated (RFC 2181 §9).
fn datagram(mut draft: Draft, request: &Request) -> Vec<u8> {
    let payload = request.edns.map_or(UDP_PLAIN, |edns| usize::from(edns.payload).clamp(UDP_PLAIN, UDP_MOST));
    if let Some(message) = draft.datagram(payload) {
        return message;
    }
    draft.records.truncate(1);
    if request.rtype == RecordType::IXFR
        && let Some(message) = draft.datagram(payload)
    {
        return message;
    }
    draft.records.clear();
    draft.flags |= flags::TC;
    draft.stream(1).swap_remove(0)
}
