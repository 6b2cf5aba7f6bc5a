//! Versions as a primary sends them, and the truth about all that was asked of the store.

use secondo_sim::{Change, Name, Operation, Over, RecordType, Trouble, World, Zone, read_zone};
use secondo_store::{Committed, Confirmation, Durability, Opened, Restored};
use secondo_transfer::{Arrived, CheckedZone, Policy, Request, Session, Step, Want, check};
use secondo_wire::Serial;
use secondo_zone::{BorderSecret, Limits};

use crate::state::{Running, SECRET, StateDir};

const NOW: u64 = 1_800_000_000;
/// Records that make a zone too large for a row of the database.
const OWNERS: u32 = 260;

pub(crate) fn large() -> Name {
    Name::parse("large.example.").unwrap()
}

pub(crate) fn small() -> Name {
    Name::parse("small.example.").unwrap()
}

/// A primary with both zones.
pub(crate) fn primary() -> World {
    let head = "$TTL 300\n@ SOA ns h 1 1800 300 43200 60\n@ NS ns\nns A 192.0.2.1\n";
    let mut text = String::from(head);
    for owner in 0..OWNERS {
        text += &line(owner, 1);
    }
    World::new([read_zone(&text, &large()).unwrap(), read_zone(head, &small()).unwrap()])
}

fn line(owner: u32, generation: u32) -> String {
    format!("n{owner} TXT \"{}\"\n", format!("{generation:04}").repeat(60))
}

/// The next version of the large zone, in which some owners have another content.
pub(crate) fn change(primary: &mut World, owners: std::ops::Range<u32>) {
    let serial = primary.zone(&large()).unwrap().serial().0;
    let mut text = String::new();
    for owner in owners {
        let record = primary.zone(&large()).unwrap();
        let mut key = secondo_wire::KeyBuf::new();
        key.set(Name::parse(&format!("n{owner}.large.example.")).unwrap().as_ref(), large().as_ref());
        let node = record.find(key.as_slice()).unwrap();
        let set = node.rrset(RecordType::TXT).unwrap();
        let rdata = set.rdatas().next().unwrap();
        text += &format!("- n{owner} TXT \"{}\"\n", std::str::from_utf8(&rdata[1..]).unwrap());
        text += &format!("+ {}", line(owner, serial + 1).replace(" TXT", " 300 TXT"));
    }
    primary.change(&large(), &Change::parse(&text, &large()).unwrap()).unwrap();
}

/// What a transfer of a zone brings: the whole zone, or what leads on from a version.
pub(crate) fn transfer(primary: &mut World, apex: &Name, current: Option<&Zone>) -> CheckedZone {
    let (mut session, question) = Session::new(Request {
        zone: apex,
        want: if current.is_some() { Want::Ixfr } else { Want::Axfr },
        current,
        secret: &BorderSecret::new(SECRET),
        limits: Limits::default(),
        key: None,
        id: 7,
        edns: true,
        unix_now: NOW,
        forced: false,
    });
    for message in primary.respond(&question, None, Over::Tcp, NOW).messages {
        if let Step::Done(Arrived::Candidate(candidate)) = session.receive(&message, NOW).unwrap() {
            return check(candidate, current, &Policy::default()).unwrap();
        }
    }
    panic!("{:?}", session.cut())
}

/// All that was asked of the store about the large zone.
#[derive(Clone, Default)]
pub(crate) struct Truth {
    /// Oldest first.
    pub(crate) versions: Vec<Zone>,
    pub(crate) confirmations: Vec<Confirmation>,
    /// How many of both were answered as durable: nothing older may come back.
    pub(crate) durable: (usize, usize),
}

impl Truth {
    /// A confirmation of its own for everything that is asked.
    fn confirmation(&mut self, serial: Serial) -> Confirmation {
        let at = self.confirmations.len() as u64;
        let confirmation =
            Confirmation { serial, wall: NOW + at, boot_ms: at, boot_id: [3; 16], expire_in: 43_200 + at };
        self.confirmations.push(confirmation);
        confirmation
    }

    /// All that was asked for is durable.
    pub(crate) fn durable(&mut self) {
        self.durable = (self.versions.len(), self.confirmations.len());
    }

    pub(crate) fn commit(&mut self, running: &Running, checked: CheckedZone) -> Durability {
        self.versions.push(checked.zone().clone());
        let confirmation = self.confirmation(checked.zone().serial());
        let committed: Committed = running.commit(checked, confirmation, 4);
        assert_eq!(Some(committed.zone()), self.versions.last());
        if *committed.durability() == Durability::Durable && running.has_power() {
            self.durable();
        }
        committed.durability().clone()
    }

    pub(crate) fn confirm(&mut self, running: &Running) -> Result<(), String> {
        let confirmation = self.confirmation(self.versions.last().unwrap().serial());
        let result = running.confirm(&large(), confirmation);
        if result.is_ok() && running.has_power() {
            self.durable();
        }
        result
    }

    /// Commits what the primary has now, whole.
    pub(crate) fn commit_whole(&mut self, running: &Running, primary: &mut World) -> Durability {
        self.commit(running, transfer(primary, &large(), None))
    }

    /// Commits what leads on from the newest version to what the primary has now.
    pub(crate) fn commit_on(&mut self, running: &Running, primary: &mut World) -> Durability {
        let checked = transfer(primary, &large(), self.versions.last());
        assert!(checked.difference().is_some());
        self.commit(running, checked)
    }

    /// Whether what came back is something that was asked for, and nothing older than what was durable; which version
    /// it is. Then that is the truth.
    pub(crate) fn check(&mut self, opened: &Opened, what: &str) -> Option<usize> {
        let Some(restored) = find(opened, &large()) else {
            assert_eq!(self.durable, (0, 0), "{what}: a durable version is gone: {:?}", opened.damages);
            return None;
        };
        let zone = restored.committed.zone();
        let same = |known: &Zone| known == zone && known.digest() == zone.digest();
        let at =
            self.versions.iter().rposition(same).unwrap_or_else(|| panic!("{what}: a version of nobody's"));
        assert!(at + 1 >= self.durable.0, "{what}: version {at} came back, {:?} were durable", self.durable);
        let confirmation = restored.confirmation.unwrap_or_else(|| panic!("{what}: no confirmation"));
        assert_eq!(confirmation.serial, zone.serial(), "{what}");
        let given = self.confirmations.iter().position(|given| *given == confirmation);
        let given = given.unwrap_or_else(|| panic!("{what}: a confirmation of nobody's"));
        assert!(given + 1 >= self.durable.1, "{what}: confirmation {given}, {:?} were durable", self.durable);
        self.versions.truncate(at + 1);
        self.confirmations.truncate(given + 1);
        self.durable();
        Some(at)
    }
}

/// What was restored of a zone.
pub(crate) fn find<'o>(opened: &'o Opened, apex: &Name) -> Option<&'o Restored> {
    opened.restored.iter().find(|restored| restored.committed.zone().apex() == apex)
}

/// Opens what a crash left and checks it: without damage, ready for the next version, and that comes back too.
pub(crate) fn reopen(state: &StateDir, truth: &mut Truth, primary: &mut World, what: &str) -> Option<usize> {
    let found = {
        let running = state.open();
        assert_eq!(running.opened.refused, None, "{what}");
        assert!(running.opened.damages.is_empty(), "{what}: {:?}", running.opened.damages);
        let found = truth.check(&running.opened, what);
        let needed = usize::from(found.is_some());
        assert_eq!(state.disk.files().len(), needed, "{what}: a file stays that nobody needs");
        change(primary, 0..2);
        assert_eq!(truth.commit_whole(&running, primary), Durability::Durable, "{what}");
        found
    };
    // A clean end, and then the power goes.
    let running = state.after_power_cut(0).open();
    assert!(running.opened.damages.is_empty(), "{what}: {:?}", running.opened.damages);
    assert_eq!(truth.check(&running.opened, what), Some(truth.versions.len() - 1), "{what}");
    found
}

/// Life of a zone: its first version, another one in its place, and differences until it is written anew; shorter when
/// the power goes.
pub(crate) fn live(state: &StateDir, truth: &mut Truth, primary: &mut World) -> Running {
    let running = state.open();
    truth.commit_whole(&running, primary);
    // Who vouches for a version that is not on disk is told so.
    let _ = truth.confirm(&running);
    change(primary, 0..3);
    for generation in 1..5 {
        if !state.disk.has_power() {
            break;
        }
        if generation == 1 {
            truth.commit_whole(&running, primary);
        } else {
            truth.commit_on(&running, primary);
        }
        if generation < 4 {
            // A quarter of the zone each time: the third outgrows the image.
            change(primary, generation * 40..generation * 40 + 50);
        }
    }
    running
}

/// The operations of such a life, from when the store is open.
pub(crate) fn operations() -> Vec<Operation> {
    let state = StateDir::new(0);
    drop(state.open());
    let first = state.disk.count();
    let running = live(&state, &mut Truth::default(), &mut primary());
    let removed = |done: &[Operation]| done.iter().filter(|done| **done == Operation::Remove).count();
    assert!(state.disk.wait_until(|done| removed(done) == 2), "it is written anew: {:?}", state.disk);
    drop(running);
    state.disk.operations().split_off(first)
}

/// Such a life with trouble at one operation.
pub(crate) fn struck(
    number: usize,
    trouble: Trouble,
    truth: &mut Truth,
    primary: &mut World,
) -> (StateDir, Running) {
    let state = StateDir::new(number as u64);
    drop(state.open());
    let number = state.disk.count() + number;
    state.disk.strike(number, trouble);
    let running = live(&state, truth, primary);
    assert!(state.disk.wait_until(|done| done.len() > number), "{:?}", state.disk);
    (state, running)
}
