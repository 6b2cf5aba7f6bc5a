//! Zones that share primaries, a scheduler, a store and two clocks; what befalls them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use secondo_lifecycle::ProbeAnswer;
use secondo_lifecycle::{
    Admission, AdmissionLimits, BootId, Event, Failure, Health, Machine, Now, Restored, Ticket, Validity,
    Wheel, ZoneId,
};
use secondo_sim::{Algorithm, Chance, Change, Key, Name, Script, World, Zone, read_zone};
use secondo_wire::Serial;

use crate::archive::{Archive, End, from_record};
use crate::content;
use crate::holding::Holding;
use crate::manner::Manner;
use crate::pace::Pace;
use crate::reference::{Reference, Vouched};
use crate::secondary::Fetched;
use crate::tally::Tally;

/// The boot clock when a process can start.
const BOOTED: Duration = Duration::from_secs(5);
/// A host that is no primary.
const STRANGER: usize = 200;

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn address(primary: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1 + primary as u8], 53))
}

/// What an attempt will bring, decided when it was sent, told when its answer arrives.
pub(crate) enum Brought {
    Probed(Result<ProbeAnswer, Failure>),
    Fetched(Result<Fetched, Failure>),
}

pub(crate) struct Flight {
    pub(crate) address: SocketAddr,
    pub(crate) sent: Duration,
    pub(crate) result: Brought,
    /// What the primary honestly vouched for.
    pub(crate) vouched: Option<Vouched>,
}

pub(crate) struct Stage {
    pub(crate) pace: &'static Pace,
    pub(crate) keys: [Key; 2],
    pub(crate) primaries: Vec<World>,
    pub(crate) manners: Vec<Manner>,
    pub(crate) holdings: Vec<Holding>,
    pub(crate) wheel: Wheel,
    pub(crate) admission: Admission,
    pub(crate) health: Health<SocketAddr>,
    /// What is under way, by when it arrives.
    pub(crate) flights: BTreeMap<(Duration, Ticket), Flight>,
    pub(crate) now: Now,
    pub(crate) archive: Archive,
    pub(crate) tally: Tally,
    pub(crate) delays: Chance,
    boots: u8,
    /// How long the boots before this one took.
    pub(crate) before: Duration,
}

impl Stage {
    /// So many zones of so many primaries, two for each zone.
    pub(crate) fn new(pace: &'static Pace, zones: usize, primaries: usize, chance: &mut Chance) -> Stage {
        let name = Name::parse("drive-key.").unwrap();
        let keys = [&b"the right secret"[..], b"the wrong secret"]
            .map(|secret| Key::new(name.clone(), Algorithm::HmacSha256, secret).unwrap());
        let now = Now { boot: seconds(1000), boot_id: BootId([0; 16]), wall: 1_800_000_000 };
        let apexes: Vec<Name> =
            (0..zones).map(|n| Name::parse(&format!("drive{n}.example.")).unwrap()).collect();
        let mut worlds = vec![World::default(); primaries];
        let holding = |apex: &Name| {
            let serial = if chance.one_in(2) { u32::MAX - 2 } else { 1000 };
            let large = chance.one_in(6);
            let zone = read_zone(&content::whole(serial, pace, large), apex).unwrap();
            let pair = Holding::any_pair(primaries, chance);
            pair.iter().for_each(|primary| worlds[*primary].publish(zone.clone()));
            let mut reference = Reference::new(pace.life());
            reference.publishes(&zone);
            let settings = pace.settings(&pair);
            let machine = Machine::new(settings.clone(), None, now, chance.below(u64::MAX));
            Holding {
                apex: apex.clone(),
                pair,
                settings,
                machine,
                zone: None,
                wanted: None,
                reference,
                large,
                hosts: 0,
            }
        };
        let holdings: Vec<Holding> = apexes.iter().map(holding).collect();
        for world in &mut worlds {
            world.records_per_message(if chance.one_in(2) { 40 } else { 4 });
        }
        let mut stage = Stage {
            pace,
            manners: vec![Manner::Honest; primaries],
            primaries: worlds,
            holdings,
            wheel: Wheel::new(),
            admission: Admission::new(AdmissionLimits::default()),
            health: Health::new(),
            flights: BTreeMap::new(),
            tally: Tally { worlds: 1, zones: zones as u64, ..Tally::default() },
            archive: Archive::new(&apexes, chance),
            keys,
            now,
            delays: Chance::new(chance.below(u64::MAX)),
            boots: 0,
            before: Duration::ZERO,
        };
        for primary in 0..primaries {
            stage.behave(primary, Manner::Honest);
        }
        stage.wind();
        stage.pass(0);
        stage
    }

    /// All deadlines anew.
    fn wind(&mut self) {
        self.wheel = Wheel::new();
        for (zone, holding) in (0..).zip(&self.holdings) {
            self.wheel.schedule(ZoneId(zone), holding.machine.next_deadline());
        }
    }

    pub(crate) fn tally(self) -> Tally {
        let mut tally = Tally { days: self.real().as_secs() / 86_400, ..self.tally };
        tally += &self.archive.tally;
        tally
    }

    pub(crate) fn any_zone(&self, chance: &mut Chance) -> usize {
        chance.below(self.holdings.len() as u64) as usize
    }

    pub(crate) fn any_primary(&self, chance: &mut Chance) -> usize {
        chance.below(self.primaries.len() as u64) as usize
    }

    pub(crate) fn behave(&mut self, primary: usize, manner: Manner) {
        self.manners[primary] = manner;
        let world = &mut self.primaries[primary];
        let key = if let Manner::WrongKey = manner { &self.keys[1] } else { &self.keys[0] };
        world.require(std::slice::from_ref(key));
        world.follow(match manner {
            Manner::Lies(kind, fault, Some(times)) => Script::honest().times(kind, fault, times),
            Manner::Lies(kind, fault, None) => Script::honest().always(kind, fault),
            _ => Script::honest(),
        });
        world.tell_expire(if let Manner::Expiring(life) = manner { Some(life) } else { None });
    }

    /// What the first primary of a zone has of it.
    pub(crate) fn newest(&self, zone: usize) -> &Zone {
        let Holding { apex, pair, .. } = &self.holdings[zone];
        self.primaries[pair[0]].zone(apex).unwrap()
    }

    /// The first primary of a zone gets a version; the second at times at once, else when it follows.
    pub(crate) fn change(&mut self, zone: usize, chance: &mut Chance) {
        let Holding { large, hosts, pair, .. } = self.holdings[zone];
        let lines = content::change(self.newest(zone), hosts, large, chance);
        let holding = &mut self.holdings[zone];
        holding.hosts += 1;
        let change = Change::parse(&lines, &holding.apex).unwrap();
        self.primaries[pair[0]].change(&holding.apex, &change).unwrap();
        let version = self.newest(zone).clone();
        let serial = version.serial();
        self.holdings[zone].reference.publishes(&version);
        if chance.one_in(2) {
            self.primaries[pair[1]].publish(version);
        }
        // It is told once, twice, or the network loses it.
        let told = chance.of(&[0, 1, 1, 2]);
        self.tally.untold += u64::from(told == 0);
        self.tally.notifies += told;
        for _ in 0..told {
            self.notified(zone, pair[0], Some(serial));
        }
    }

    /// The second primary of a zone takes the first one's version.
    pub(crate) fn follow(&mut self, zone: usize) {
        let version = self.newest(zone).clone();
        let Holding { apex, pair, .. } = &self.holdings[zone];
        let second = &mut self.primaries[pair[1]];
        if second.zone(apex).unwrap().serial() != version.serial() {
            second.publish(version);
        }
    }

    /// A primary loses its differences.
    pub(crate) fn forget(&mut self, zone: usize, primary: usize) {
        self.primaries[primary].forget(&self.holdings[zone].apex);
    }

    /// A NOTIFY that is forged, or says nothing, or nothing new; at times many at once.
    pub(crate) fn notify(&mut self, zone: usize, chance: &mut Chance) {
        for _ in 0..chance.of(&[1, 1, 1, 40]) {
            let [first, second] = self.holdings[zone].pair;
            let primary = chance.of(&[first, second, STRANGER]);
            let serial = self.newest(zone).serial();
            let hint = match chance.below(4) {
                0 => None,
                1 => Some(Serial(chance.below(1 << 32) as u32)),
                2 => Some(serial.advanced_by(1 + chance.below(9) as u32)),
                _ => Some(serial),
            };
            self.tally.forged += 1;
            self.notified(zone, primary, hint);
        }
    }

    /// An operator takes primaries away, puts them into another order, or changes the bounds.
    pub(crate) fn reconfigure(&mut self, zone: usize, chance: &mut Chance) {
        let [first, second] = self.holdings[zone].pair;
        let primaries = chance.of(&[[first, second], [second, first], [first, first], [second, second]]);
        let settings = match chance.below(3) {
            0 => self.pace.settings(&primaries),
            which => self.pace.other(which as usize - 1, &primaries),
        };
        self.configure(zone, settings);
    }

    fn configure(&mut self, zone: usize, settings: std::sync::Arc<secondo_lifecycle::Settings>) {
        self.tally.reconfigured += 1;
        self.holdings[zone].settings = settings.clone();
        self.tell(zone, Event::Reconfigure(settings));
    }

    /// The wall clock is set, by an operator or by what it is set from.
    pub(crate) fn step_clock(&mut self, chance: &mut Chance) {
        let by = chance.of(&[1, 60, 3600, 86_400, 86_400 * 400]);
        self.tally.steps += 1;
        if chance.one_in(2) {
            self.now.wall += by;
        } else {
            self.now.wall -= by;
            self.archive.clock_went_back(seconds(by));
        }
    }

    pub(crate) fn order(&mut self, zone: usize, chance: &mut Chance) {
        match chance.below(3) {
            0 => {
                // As the daemon does: whoever orders may know that a dead primary is back.
                for primary in self.holdings[zone].pair {
                    self.health.notified(address(primary), self.now.boot);
                }
                self.tell(zone, Event::Refresh);
            }
            1 => self.tell(zone, Event::Retransfer),
            _ => {
                let real = self.real();
                self.holdings[zone].reference.expired(real);
                self.tell(zone, Event::ExpireNow);
            }
        }
    }

    /// From now on the disk is in trouble.
    pub(crate) fn trouble(&mut self, chance: &mut Chance) {
        self.archive.trouble(chance);
    }

    /// The process ends and starts again; or the machine does, after it was off for a while.
    pub(crate) fn restart(&mut self, end: End, reboot: bool, off: u64, harm: bool) {
        self.now.wall += off;
        self.tally.restarts += 1;
        self.tally.reboots += u64::from(reboot);
        if reboot {
            self.boots = self.boots.wrapping_add(1);
            self.before += self.now.boot + seconds(off) - BOOTED;
            self.now.boot_id = BootId([self.boots; 16]);
            self.now.boot = BOOTED;
        } else {
            self.now.boot += seconds(off);
        }
        self.flights.clear();
        self.admission = Admission::new(AdmissionLimits::default());
        self.health = Health::new();
        self.archive.restart(end, harm, &mut self.delays);
        for (number, holding) in self.holdings.iter_mut().enumerate() {
            let kept = self.archive.kept(number);
            holding.wanted = None;
            holding.zone = kept.as_ref().map(|kept| kept.zone.clone());
            holding.reference.restored(kept.as_ref().map_or(Duration::ZERO, |kept| kept.allowed));
            let restored = kept.map(|kept| Restored {
                soa: kept.zone.soa().clone(),
                confirmation: Some(from_record(kept.confirmation)),
            });
            let seed = self.delays.below(u64::MAX);
            holding.machine = Machine::new(holding.settings.clone(), restored, self.now, seed);
        }
        self.wind();
        (0..self.holdings.len()).for_each(|zone| self.check(zone));
        self.pass(0);
    }

    /// Now, on a clock that no reboot sets back.
    pub(crate) fn real(&self) -> Duration {
        self.before + self.now.boot
    }

    /// All are honest and have the same: soon each zone is served, and equal in all.
    pub(crate) fn quiet(&mut self) {
        for primary in 0..self.primaries.len() {
            self.behave(primary, Manner::Honest);
        }
        for zone in 0..self.holdings.len() {
            self.follow(zone);
            let settings = self.pace.settings(&self.holdings[zone].pair);
            self.configure(zone, settings);
        }
        self.pass(self.pace.quiet());
        for zone in 0..self.holdings.len() {
            let (holding, theirs) = (&self.holdings[zone], self.newest(zone));
            let ours = holding.zone.as_ref().expect("nothing is served though all primaries are honest");
            assert_eq!(ours.serial(), theirs.serial(), "{:?} {:?}", self.now.boot, holding.machine);
            assert_eq!(ours.digest(), theirs.digest(), "the content is not the primary's");
            assert!(holding.is_served(), "{:?}", holding.machine);
        }
    }

    /// A sound disk with all that is served: after another start that is served at once.
    pub(crate) fn settle(&mut self) {
        self.archive.allow();
        let serials = |stage: &Stage| -> Vec<_> {
            stage.holdings.iter().map(|holding| holding.zone.as_ref().map(|zone| zone.serial())).collect()
        };
        let served = serials(self);
        self.restart(End::Clean, false, 1, false);
        assert_eq!(serials(self), served);
        assert!(self.holdings.iter().all(Holding::is_served));
    }

    /// What must hold at every moment.
    pub(crate) fn check(&self, zone: usize) {
        let holding = &self.holdings[zone];
        if let Validity::Current { until, .. } = holding.machine.validity() {
            holding.reference.check(self.before + until, self.real(), seconds(self.boots.into()));
            assert_eq!(holding.machine.serial(), holding.zone.as_ref().map(|zone| zone.serial()));
        }
        let deadline = holding.machine.next_deadline();
        assert!(deadline <= self.now.boot + self.pace.longest(), "idle without a deadline");
    }
}
