//! Attempts by the thousand, ended in every way that there is: nothing of them may stay behind.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use secondo_lifecycle::{
    Activity, AttemptId, Confirmation, Errand, Event, Health, Machine, Now, Permit, Restored, Ticket,
    Urgency, ZoneId,
};
use secondo_store::Store;
use secondo_transfer::Fault;
use secondo_wire::{Name, Reason, Serial, Soa};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::book::Reach;
use super::{Message, Parts, Scheduler, Secrets, table};
use crate::clock::Clock;
use crate::config;
use crate::notices::Notice;
use crate::publish::Publisher;
use crate::respond::Respond;

const ZONES: usize = 300;
const ROUNDS: usize = 24;

pub(super) fn scheduler(folder: &TempDir, zones: &str) -> (Scheduler, UnboundedReceiver<Message>) {
    let path = folder.path().join("secondo.yaml");
    let limits = "limits: { transfers: 5, transfers-per-primary: 3, probes-per-primary: 7 }";
    fs::write(&path, format!("listen: [\"127.0.0.1:53\"]\nstate-dir: state\n{limits}\nzones:\n{zones}"))
        .unwrap();
    let config = config::load(&path).unwrap();
    let state = &config.server.state_dir;
    let (store, opened) = Store::open(state, [1; 16], |_| true, |_| {}).unwrap();
    let (sender, inbox) = unbounded_channel();
    let scheduler = Scheduler::new(Parts {
        respond: Arc::new(Respond::new(table([], &config, &Secrets::random(), None), None)),
        path,
        config,
        store: Arc::new(store),
        secret: opened.secret,
        secrets: Secrets::random(),
        clock: Clock::new(),
        publisher: Publisher::start().unwrap(),
        sender,
    });
    (scheduler, inbox)
}

/// As if the zone had been loaded before: it is probed, not transferred blindly.
pub(super) fn loaded(scheduler: &mut Scheduler, id: ZoneId, now: Now) {
    let soa = Soa {
        mname: Name::root(),
        rname: Name::root(),
        serial: Serial(1),
        refresh: 3600,
        retry: 600,
        expire: 86_400,
        minimum: 60,
    };
    let confirmation = Confirmation {
        serial: Serial(1),
        boot: now.boot,
        boot_id: now.boot_id,
        wall: now.wall,
        expire_in: 86_400,
    };
    let restored = Restored { soa, confirmation: Some(confirmation) };
    let zone = scheduler.zones.get_mut(&id).unwrap();
    let settings = Arc::clone(zone.machine.settings());
    zone.machine = Machine::new(settings, Some(restored), now, u64::from(id.0));
}

/// Takes what comes until nothing comes for a moment.
async fn pump(scheduler: &mut Scheduler, inbox: &mut UnboundedReceiver<Message>) -> usize {
    let mut ends = 0;
    while let Ok(Some(message)) = timeout(Duration::from_millis(5), inbox.recv()).await {
        ends += usize::from(matches!(message, Message::Probed(..) | Message::Fetched(..)));
        scheduler.take(message);
    }
    ends
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_attempts_that_fail_hang_or_are_cancelled_leave_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    // One that hangs, one where nobody listens, one that cannot even be asked.
    let primaries = [
        format!("{{ addresses: [\"{silent}\"] }}"),
        "{ addresses: [\"127.0.0.1:1\", \"127.0.0.2:1\"] }".into(),
        "{ addresses: [\"127.0.0.3:1\"], source: [192.0.2.1] }".into(),
    ];
    let zone = |n: usize, shift: usize| {
        let both = [&primaries[(n + shift) % 3], &primaries[(n + shift + 1) % 3]];
        format!("  - {{ name: z{n}.test, primaries: [{}, {}] }}\n", both[0], both[1])
    };
    let all = |shift| (0..ZONES).map(|n| zone(n, shift)).collect::<String>();
    let (mut scheduler, mut inbox) = scheduler(&folder, &all(0));
    let others = {
        fs::write(
            folder.path().join("other.yaml"),
            format!("listen: [\"127.0.0.1:53\"]\nzones:\n{}", all(1)),
        )
        .unwrap();
        config::load(&folder.path().join("other.yaml")).unwrap().zones
    };
    scheduler.populate(Vec::new());
    let zones = scheduler.parts.config.zones.clone();
    let mut ends = 0;
    for round in 0..ROUNDS {
        let ids: Vec<ZoneId> = scheduler.zones.keys().copied().collect();
        for (n, &id) in ids.iter().enumerate() {
            if n % 10 == 0 {
                // Else the dead would soon be known, and no more jobs be started.
                scheduler.health = Health::new();
                ends += pump(&mut scheduler, &mut inbox).await;
            }
            let now = scheduler.now();
            match (n + round) % 6 {
                0 if round % 2 == 0 => loaded_anew(&mut scheduler, id, now),
                1 => {
                    // Late beyond all patience: given up and cancelled.
                    let late = Now { boot: now.boot + Duration::from_secs(86_400 * round as u64), ..now };
                    scheduler.tell(id, Event::Timeout, late);
                }
                2 => {
                    scheduler.change(&[if round % 2 == 0 { &others } else { &zones }[n % ZONES].clone()], now)
                }
                3 => scheduler.remove(&[zones[n % ZONES].clone()], now),
                4 => scheduler.tell(id, Event::Retransfer, now),
                _ => scheduler.tell(id, Event::Refresh, now),
            }
        }
        let missing: Vec<_> =
            zones.iter().filter(|zone| !scheduler.names.contains_key(&zone.name)).cloned().collect();
        let now = scheduler.now();
        scheduler.add(&missing, Vec::new(), now);
        ends += pump(&mut scheduler, &mut inbox).await;
    }
    assert!(ends > 2000, "{ends} jobs ran");
    // Time passes until all has come to its end.
    let mut now = scheduler.now();
    now.boot += Duration::from_secs(86_400 * 365);
    while scheduler.zones.values().any(|zone| zone.errand.is_some()) {
        now.boot += Duration::from_secs(86_400 * 30);
        let busy = scheduler.zones.iter().filter(|(_, zone)| zone.errand.is_some());
        let late: Vec<_> = busy.map(|(&id, _)| (id, Event::Timeout)).collect();
        scheduler.tell_all(late, now);
        pump(&mut scheduler, &mut inbox).await;
    }
    assert_eq!((scheduler.admission.running(), scheduler.admission.waiting()), ((0, 0), 0));
    assert!(scheduler.zones.values().all(|zone| zone.waiters.is_empty()));
    assert_eq!(scheduler.wheel.len(), ZONES);
    // And no address is left leased to a zone that does not ask any more: the next one may.
    now.boot += Duration::from_secs(86_400);
    let hold = scheduler.zones.values().next().unwrap().machine.hold_down();
    let settings = scheduler.zones.values().map(|zone| zone.machine.settings());
    let reaches: BTreeSet<Reach> = settings.flat_map(|settings| scheduler.book.reaches(settings)).collect();
    assert_eq!(reaches.len(), 4);
    for reach in reaches {
        assert_eq!(scheduler.health.ask(reach, now.boot, hold), Permit::Go, "{reach:?}");
    }
    let now = scheduler.now();
    scheduler.remove(&zones, now);
    scheduler.forget_primaries();
    assert!(scheduler.zones.is_empty() && scheduler.wheel.is_empty());
    assert_eq!(scheduler.book.keep(&Default::default()).len(), 0);
}

#[tokio::test]
async fn a_notify_does_not_wait_until_no_job_ends_any_more() {
    let folder = TempDir::new().unwrap();
    let zone = "  - { name: z.test, primaries: [{ addresses: [\"127.0.0.1:1\"] }] }\n";
    let (scheduler, inbox) = scheduler(&folder, zone);
    let (sender, respond) = (scheduler.parts.sender.clone(), Arc::clone(&scheduler.parts.respond));
    let notice = Notice { apex: Name::root(), from: [127, 0, 0, 1].into(), hint: None, key: None };
    respond.notices.pin(notice);
    for _ in 0..1000 {
        sender.send(Message::Confirmed(ZoneId(u32::MAX), Ok(()))).unwrap();
    }
    sender.send(Message::Stop).unwrap();
    scheduler.run(inbox).await;
    assert!(respond.notices.take().is_empty(), "it was taken before the last message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_cannot_be_reached_one_way_is_down_for_all_that_ask_so_and_for_nobody_else() {
    let folder = TempDir::new().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    // The first cannot even be asked from such a source.
    let sources = ["source: [192.0.2.1], ", "source: [192.0.2.1], ", ""];
    let zone = |(n, source)| {
        format!("  - {{ name: z{n}.test, primaries: [{{ {source}addresses: [\"{address}\"] }}] }}\n")
    };
    let zones: String = sources.iter().enumerate().map(zone).collect();
    let (mut scheduler, mut inbox) = scheduler(&folder, &zones);
    scheduler.populate(Vec::new());
    let ids: Vec<ZoneId> = scheduler.zones.keys().copied().collect();
    let now = scheduler.now();
    ids.iter().for_each(|id| loaded(&mut scheduler, *id, now));
    scheduler.tell(ids[0], Event::Refresh, now);
    while scheduler.zones[&ids[0]].errand.is_some() {
        let ended = timeout(Duration::from_secs(60), inbox.recv()).await.unwrap().unwrap();
        scheduler.take(ended);
    }
    let now = scheduler.now();
    for (id, asks) in [(ids[1], false), (ids[2], true)] {
        scheduler.tell(id, Event::Refresh, now);
        assert_eq!(scheduler.zones[&id].errand.is_some(), asks, "{}", scheduler.zones[&id].config.name);
    }
    assert_eq!(scheduler.zones[&ids[1]].last_try().unwrap().reason, Reason::PrimaryDown);
}

/// Whether what is kept for addresses that live is kept for that one too.
fn is_favoured(scheduler: &Scheduler, address: SocketAddr) -> bool {
    let mut admission = scheduler.admission.clone();
    for (&zone, of_zone) in &scheduler.zones {
        of_zone.errand.iter().for_each(|errand| admission.release(Ticket { zone, attempt: errand.attempt }));
    }
    let mut request = |zone, address, urgency| {
        let ticket = Ticket { zone: ZoneId(zone), attempt: AttemptId(0) };
        admission.request(ticket, Errand::Transfer, address, urgency);
        while admission.admit().is_some_and(|(admitted, ..)| admitted != ticket) {}
        admission.waiting()
    };
    let strangers = (0..5).map(|n| request(1000 + n, ([198, 51, 100, n as u8], 53).into(), Urgency::Asked));
    let waiting = strangers.last();
    Some(request(2000, address, Urgency::Routine(Duration::MAX))) == waiting
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_lives_as_long_as_it_does_for_any_of_the_ways_there() {
    let folder = TempDir::new().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let zones = format!(
        "  - {{ name: hindered.test, primaries: [{{ source: [192.0.2.1], addresses: [\"{address}\"] }}] }}\n  \
         - {{ name: plain.test, primaries: [{{ addresses: [\"{address}\"] }}] }}\n"
    );
    let (mut scheduler, mut inbox) = scheduler(&folder, &zones);
    scheduler.populate(Vec::new());
    let id = |name: &str| scheduler.names[&Name::parse(name).unwrap()];
    let (hindered, plain) = (id("hindered.test."), id("plain.test."));
    let reach_of = |id| scheduler.book.reaches(scheduler.zones[&id].machine.settings()).next().unwrap();
    let (bad, good) = (reach_of(hindered), reach_of(plain));
    let now = scheduler.now();
    assert!(!is_favoured(&scheduler, address));
    scheduler.health.answered(good, now.boot);
    // The end of an attempt that could not even begin says nothing of the other way.
    loaded(&mut scheduler, hindered, now);
    scheduler.tell(hindered, Event::Refresh, now);
    while scheduler.zones[&hindered].errand.is_some() {
        let ended = timeout(Duration::from_secs(60), inbox.recv()).await.unwrap().unwrap();
        scheduler.take(ended);
    }
    assert!(scheduler.health.down_until(bad).is_some());
    assert!(is_favoured(&scheduler, address));
    // Nor does it that nobody goes that way any more.
    let removed = scheduler.zones[&hindered].config.clone();
    let now = scheduler.now();
    scheduler.remove(&[removed], now);
    scheduler.forget_primaries();
    assert!(is_favoured(&scheduler, address));
    let removed = scheduler.zones[&plain].config.clone();
    scheduler.remove(&[removed], now);
    scheduler.forget_primaries();
    assert!(!is_favoured(&scheduler, address));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notify_shows_that_a_primary_lives_unless_it_is_known_to_be_down() {
    let folder = TempDir::new().unwrap();
    let sockets = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| UdpSocket::bind(address).unwrap());
    let [fresh, dead] = sockets.each_ref().map(|socket| socket.local_addr().unwrap());
    let zone = |name: &str, address| {
        format!("  - {{ name: {name}, primaries: [{{ addresses: [\"{address}\"] }}] }}\n")
    };
    let zones = zone("fresh.test", fresh) + &zone("dead.test", dead);
    let (mut scheduler, _inbox) = scheduler(&folder, &zones);
    scheduler.populate(Vec::new());
    let settings = scheduler.zones.values().map(|zone| zone.machine.settings());
    let reaches: BTreeSet<Reach> = settings.flat_map(|settings| scheduler.book.reaches(settings)).collect();
    let reach = *reaches.iter().find(|reach| reach.address == dead).unwrap();
    let hold = scheduler.zones.values().next().unwrap().machine.hold_down();
    let now = scheduler.now();
    scheduler.health.failed(reach, now.boot, hold);
    for (apex, from) in [("fresh.test.", fresh.ip()), ("dead.test.", dead.ip())] {
        let notice = Notice { apex: Name::parse(apex).unwrap(), from, hint: None, key: None };
        scheduler.parts.respond.notices.pin(notice);
    }
    scheduler.take_notices();
    assert!(is_favoured(&scheduler, fresh));
    assert!(!is_favoured(&scheduler, dead));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_at_a_primary_that_is_in_no_book_fails_at_once() {
    let folder = TempDir::new().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let zone = |n| format!("  - {{ name: z{n}.test, primaries: [{{ addresses: [\"{address}\"] }}] }}\n");
    // One more than may probe there at once.
    let (mut scheduler, _inbox) = scheduler(&folder, &(0..8).map(zone).collect::<String>());
    scheduler.populate(Vec::new());
    let now = scheduler.now();
    let ids: Vec<ZoneId> = scheduler.zones.keys().copied().collect();
    for &id in &ids {
        loaded(&mut scheduler, id, now);
        scheduler.tell(id, Event::Refresh, now);
    }
    assert_eq!((scheduler.admission.running(), scheduler.admission.waiting()), ((7, 0), 1));
    scheduler.book.keep(&BTreeSet::new());
    // By our own fault: the same again soon.
    let failed = |scheduler: &Scheduler, id, now: Now| {
        let zone = &scheduler.zones[&id];
        let soon = zone.machine.next_deadline() <= now.boot + Duration::from_secs(60);
        zone.errand.is_none() && matches!(zone.machine.activity(), Activity::Suspended(_)) && soon
    };
    // The one that waits has its turn when another is gone, and the other asks again.
    let ticket = Ticket { zone: ids[0], attempt: scheduler.zones[&ids[0]].errand.as_ref().unwrap().attempt };
    let fault = Fault::new(Reason::Disk, "");
    scheduler.take(Message::Probed(ticket, Err(fault)));
    assert!(failed(&scheduler, ids[7], now), "{:?}", scheduler.zones[&ids[7]].machine.activity());
    let later = Now { boot: now.boot + Duration::from_secs(60), ..now };
    scheduler.tell(ids[0], Event::Timeout, later);
    assert!(failed(&scheduler, ids[0], later), "{:?}", scheduler.zones[&ids[0]].machine.activity());
}

/// A fresh machine takes the place of one whose attempt is under way: as a caller would never do without a cancel.
fn loaded_anew(scheduler: &mut Scheduler, id: ZoneId, now: Now) {
    let idle = scheduler.zones.get(&id).is_some_and(|zone| zone.errand.is_none());
    if idle {
        loaded(scheduler, id, now);
        scheduler.tell(id, Event::Refresh, now);
    }
}
