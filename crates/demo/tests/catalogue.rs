//! Every entry of the catalogue of misbehaving primaries over loopback sockets, against the real daemon: one daemon for each
//! chapter, one zone and its own primaries for each entry, all at once.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secondo_demo::{Daemon, Event, Folder};
use secondo_sim::catalogue::{
    Back, Begin, Entry, IDLE, MAX_RECORDS, MAX_SIZE, NAME_TYPES, RRSET_RECORDS, Seals, Second, Served,
    TRANSFER, Timers, entries, words,
};
use secondo_sim::{Name, Primary, Setup, Tidings, fetch};

/// For what should take seconds, on a machine under load.
const LIMIT: Duration = Duration::from_secs(90);

/// On what connections the lies are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Each of its own.
    Fresh,
    /// Those on which the first version came, and which are shared.
    Kept,
}

/// How far an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Loading,
    Lying,
    Honest,
    Done,
}

/// An entry on its way.
struct Play {
    entry: Entry,
    apex: Name,
    primaries: Vec<Primary>,
    /// What the log says of its zone since the last act began.
    seen: Vec<Event>,
    act: Act,
    old: u32,
    wrong: Vec<String>,
}

impl Play {
    fn new(mut entry: Entry, number: usize, way: Way) -> Play {
        let apex = Name::parse(&format!("c{number:04}.example.")).unwrap();
        if let (Way::Kept, Some(asks)) = (way, entry.expect.kept) {
            entry.expect.asks = asks.into();
        }
        let scene = &entry.scene;
        let count = if scene.second == Second::Absent { 1 } else { 2 };
        let start = || {
            // The key of NOTIFY is the one that transfers need.
            let keys: Vec<_> = scene.keys().pop().into_iter().collect();
            let setup = Setup { keys, notify_tries: 30, ..Setup::default() };
            let primary = Primary::start([scene.zone(&apex, timers(&entry))], setup).unwrap();
            primary.world().records_per_message(scene.per_message);
            primary
        };
        let (primaries, old) = ((0..count).map(|_| start()).collect(), scene.from);
        Play { apex, primaries, seen: Vec::new(), act: Act::Loading, old, wrong: Vec::new(), entry }
    }

    /// Its zone in the configuration.
    fn configuration(&self) -> String {
        let scene = &self.entry.scene;
        let address = |number: usize| format!("\"{}\"", self.primaries[number].address());
        let keys = match scene.seals {
            Seals::None => "",
            Seals::One => ", key: old",
            Seals::Roll => ", keys: [new, old]",
        };
        let primary = |addresses: String| {
            let ixfr = scene.ixfr;
            format!(
                "{{ addresses: [{addresses}], ixfr: {ixfr}, idle-timeout: {IDLE}s, transfer-timeout: {TRANSFER}s{keys} }}"
            )
        };
        let primaries = match scene.second {
            Second::Absent => primary(address(0)),
            Second::Address => primary(format!("{}, {}", address(0), address(1))),
            _ => format!("{}, {}", primary(address(0)), primary(address(1))),
        };
        format!(
            "  - name: {}\n    primaries: [{primaries}]\n    max-size: {MAX_SIZE}\n    max-records: {MAX_RECORDS}\n    \
             refresh-bounds: [1s, 1d]\n    retry-bounds: [1s, 2s]\n    allow-transfer: [{{ address: 127.0.0.1 }}]\n",
            self.apex
        )
    }

    /// The primaries begin to misbehave.
    fn mislead(&mut self) {
        (self.act, self.seen) = (Act::Lying, Vec::new());
        if let Some(second) = self.primaries.get(1) {
            self.entry.mislead_second(&mut second.world(), &self.apex);
            second.reopen().unwrap();
        }
        self.entry.mislead(&mut self.primaries[0].world(), &self.apex);
        if !self.entry.scene.shut.is_empty() || self.entry.scene.ended {
            self.primaries[0].reopen().unwrap();
        }
    }

    /// Whether a NOTIFY begins it because of which nothing must happen.
    fn is_quiet(&self) -> bool {
        matches!(self.entry.scene.begins, Begin::Told { .. }) && self.entry.expect.asks.is_empty()
    }

    /// NOTIFYs as the entry has them; how they are answered is what is written down.
    fn tell(&mut self, to: SocketAddr) {
        let Begin::Told { tidings, times } = self.entry.scene.begins else { return };
        let (heard, expected) = (self.send(tidings, times, to), self.entry.expect.rcode);
        let right = match expected {
            Some(rcode) => heard.iter().all(|heard| *heard == rcode),
            None => heard.is_empty(),
        };
        if !right {
            self.wrong.push(format!("NOTIFY answered: expected {expected:?}, seen {heard:?}"));
        }
    }

    /// Sends so many, and behind them one that is always refused; the response codes up to that one's, and at least one where
    /// one must be.
    fn send(&self, tidings: Tidings, times: u16, to: SocketAddr) -> Vec<u16> {
        const LAST: u16 = u16::MAX;
        let host = if tidings == Tidings::Stranger { 2 } else { 1 };
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        socket.connect(to).unwrap();
        let zone = self.primaries[0].zone(&self.apex).unwrap();
        let key = self.entry.scene.keys().pop();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let send = |tidings: Tidings, id| {
            socket.send(&tidings.message(&zone, key.as_ref(), id, unix)).unwrap();
        };
        (1..=times).for_each(|id| send(tidings, id));
        let (mut heard, mut last, start) = (Vec::new(), false, Instant::now());
        let silent = self.entry.expect.rcode.is_none();
        while start.elapsed() < LIMIT && !(last && (silent || !heard.is_empty())) {
            let mut buffer = [0; 1500];
            send(Tidings::OtherZone, LAST);
            while let Ok(length) = socket.recv(&mut buffer) {
                assert!(length >= 12);
                match u16::from_be_bytes([buffer[0], buffer[1]]) {
                    LAST => last = true,
                    _ => heard.push(u16::from(buffer[3] & 15)),
                }
                if last && heard.len() == usize::from(times) {
                    break;
                }
            }
        }
        heard
    }

    fn has_published(&self, serial: u32) -> bool {
        self.seen.iter().any(|event| event.name() == "zone.published" && event.serial() == Some(serial))
    }

    /// Whether the round is over: what may be the end of a probe that was under way does not count before our questions.
    fn is_over(&self) -> bool {
        if self.is_quiet() {
            return true;
        }
        let ends = |event: &Event| match event.name() {
            "refresh.failed" => event.seconds("next_in") != "?",
            "refresh.current" | "zone.published" => true,
            _ => false,
        };
        let asked = self.primaries.iter().enumerate().all(|(number, primary)| {
            let words = words(&primary.asked(), &self.entry.scene, number + 1);
            words.len() >= self.entry.expect.asks_of(number + 1).len()
        });
        asked && self.seen.iter().any(ends)
    }

    /// Goes on to the next act when this one is over.
    fn step(&mut self, daemon: &Daemon) {
        match self.act {
            Act::Lying if self.is_over() => {
                self.compare_words();
                self.compare_served(daemon);
                self.relent();
                // What was told may be forgotten by now.
                if self.entry.scene.begins != Begin::Ordered && self.entry.expect.served == Served::Old {
                    self.send(Tidings::Newest, 1, daemon.address());
                }
                self.act = Act::Honest;
            }
            Act::Honest if self.has_published(*self.entry.scene.to.last().unwrap()) => {
                let zone = fetch(daemon.address(), &self.apex, None, LIMIT).unwrap();
                let newest = |primary: &Primary| primary.zone(&self.apex).unwrap().digest() == zone.digest();
                if !self.primaries.iter().any(newest) {
                    self.wrong.push(format!("at last: serial {} is nobody's", zone.serial()));
                }
                let words = words(&self.primaries[0].asked(), &self.entry.scene, 1);
                if self.is_quiet() && words != ["ixfr"] {
                    self.wrong.push(format!("asked because of what tells nothing: {words:?}"));
                }
                self.act = Act::Done;
            }
            _ => {}
        }
    }

    /// What was asked and why it failed is what is written down.
    fn compare_words(&mut self) {
        let expect = self.entry.expect.clone();
        for (number, primary) in self.primaries.iter().enumerate() {
            let seen = words(&primary.asked(), &self.entry.scene, number + 1);
            let expected = expect.asks_of(number + 1);
            // The lies go on, and so do the questions, in another round.
            if !seen.iter().map(String::as_str).take(expected.len()).eq(expected.iter().copied()) {
                self.wrong.push(format!("asked: expected {:?}, seen {}", expect.asks, seen.join(" ")));
            }
        }
        let reasons: Vec<&str> = self.seen.iter().map(|event| event.text("reason")).collect();
        let mut told = reasons.iter();
        for reason in &expect.reasons {
            if !told.any(|told| *told == reason.code()) {
                self.wrong.push(format!("reasons: expected {:?}, seen {reasons:?}", expect.reasons));
                break;
            }
        }
        let unexpected =
            |reason: &&&str| !reason.is_empty() && !expect.reasons.iter().any(|r| r.code() == **reason);
        if expect.served == Served::New && reasons.iter().any(|reason| unexpected(&reason)) {
            self.wrong.push(format!("reasons: expected {:?}, seen {reasons:?}", expect.reasons));
        }
    }

    /// What is served is what is written down.
    fn compare_served(&mut self, daemon: &Daemon) {
        let expect = self.entry.expect.clone();
        match fetch(daemon.address(), &self.apex, None, LIMIT) {
            Err(error) => self.wrong.push(format!("nothing is served: {error}")),
            Ok(zone) => {
                let first = self.entry.scene.zone(&self.apex, timers(&self.entry));
                let newest = |primary: &Primary| primary.zone(&self.apex).unwrap().digest() == zone.digest();
                let right = match expect.served {
                    Served::Old => zone.digest() == first.digest(),
                    Served::New => zone.serial().0 != self.old && self.primaries.iter().any(newest),
                };
                if !right {
                    self.wrong.push(format!(
                        "served: expected {:?}, seen serial {}",
                        expect.served,
                        zone.serial()
                    ));
                }
            }
        }
    }

    fn relent(&self) {
        let shut = !self.entry.scene.shut.is_empty();
        self.entry.relent(&mut self.primaries[0].world());
        if shut {
            self.primaries[0].reopen().unwrap();
        }
    }
}

/// Those that wait a refresh interval after the failure have a short one.
fn timers(entry: &Entry) -> Timers {
    let waits = entry.expect.reasons.iter().any(|r| Back::after(*r) == Back::Refresh);
    let stays = entry.expect.served == Served::Old && entry.expect.reasons.is_empty();
    let ordered = entry.scene.begins == Begin::Ordered;
    Timers { refresh: if (waits || stays) && ordered { 3 } else { 3600 }, retry: 1, expire: 86_400 }
}

/// Gives the log's events to the plays that they are about, until all are as they should be, or it has been too long.
fn watch(
    plays: &mut [Play],
    daemon: &Daemon,
    read: &mut usize,
    mut done: impl FnMut(&mut Play) -> bool,
) -> bool {
    let start = Instant::now();
    loop {
        let news = daemon.log().since(*read);
        *read += news.len();
        for event in news {
            if let Some(play) = plays.iter_mut().find(|play| event.text("zone") == play.apex.to_string()) {
                play.seen.push(event);
            }
        }
        if plays.iter_mut().map(&mut done).filter(|done| !done).count() == 0 {
            return true;
        }
        if start.elapsed() > LIMIT {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn chapter(group: &str, way: Way) {
    let wanted = std::env::var("SECONDO_ENTRY").unwrap_or_default();
    let all = entries().into_iter().enumerate();
    let mine = all.filter(|(_, entry)| entry.group == group && entry.name.contains(&wanted));
    let mut plays: Vec<Play> = mine.map(|(number, entry)| Play::new(entry, number, way)).collect();
    let folder = Folder::fresh().unwrap();
    let mut daemon = Daemon::new(Path::new(env!("CARGO_BIN_EXE_secondo-demo")), folder.path()).unwrap();
    let zones: String = plays.iter().map(Play::configuration).collect();
    daemon
        .configure_within(
            &format!("transfers: 1000, rrset-records: {RRSET_RECORDS}, name-types: {NAME_TYPES}"),
            &format!(
                "keys:\n  old: {{ algorithm: hmac-sha256, secret: \"YSBzZWNyZXQgdGhhdCBib3RoIHNpZGVzIGtub3cuLi4=\" }}\n  \
                 new: {{ algorithm: hmac-sha256, secret: \"YSBzZWNyZXQgdGhhdCBvbmUgc2lkZSBrbm93cyB5ZXQ=\" }}\n\
                 zones:\n{zones}"
            ),
        )
        .unwrap();
    daemon.start().unwrap();
    let mut read = 0;
    let loaded = watch(&mut plays, &daemon, &mut read, |play| play.has_published(play.old));
    assert!(loaded, "the first versions do not come\n{}", daemon.log().tail(30));
    if way == Way::Fresh {
        let idle =
            watch(&mut plays, &daemon, &mut read, |play| !play.primaries.iter().any(Primary::is_connected));
        assert!(idle, "connections on which nothing is asked are kept for ever");
    }
    plays.iter_mut().for_each(Play::mislead);
    plays.iter_mut().for_each(|play| play.tell(daemon.address()));
    let ordered: Vec<_> = plays.iter().filter(|play| play.entry.scene.begins == Begin::Ordered).collect();
    if !ordered.is_empty() {
        daemon.refresh(ordered.iter().map(|play| play.apex.to_string()).collect()).unwrap();
    }
    watch(&mut plays, &daemon, &mut read, |play| {
        play.step(&daemon);
        play.act == Act::Done
    });
    let mut wrong = String::new();
    for play in &mut plays {
        match play.act {
            Act::Loading | Act::Lying => play.wrong.push("the round does not end".into()),
            Act::Honest => play.wrong.push("no way back".into()),
            Act::Done => {}
        }
        if !play.wrong.is_empty() {
            let _ = writeln!(wrong, "{} ({}): {}", play.entry.name, play.apex, play.wrong.join("; "));
            for event in play.seen.iter().take(8) {
                let (name, reason, detail) = (event.name(), event.text("reason"), event.text("detail"));
                let _ = writeln!(wrong, "    {name} {:?} {reason} {detail}", event.serial());
            }
        }
    }
    assert!(wrong.is_empty(), "{group}:\n{wrong}");
}

macro_rules! chapters {
    ($($group:ident)+) => {
        mod on_fresh_connections {
            $(
                #[test]
                fn $group() {
                    super::chapter(stringify!($group), super::Way::Fresh);
                }
            )+
        }

        mod on_connections_that_were_kept {
            $(
                #[test]
                fn $group() {
                    super::chapter(stringify!($group), super::Way::Kept);
                }
            )+
        }
    };
}

chapters! { probe connection stream content ixfr serial seal notify octets several }

#[test]
fn no_chapter_is_left_out() {
    let known =
        ["probe", "connection", "stream", "content", "ixfr", "serial", "seal", "notify", "octets", "several"];
    assert!(entries().iter().all(|entry| known.contains(&entry.group)));
}
