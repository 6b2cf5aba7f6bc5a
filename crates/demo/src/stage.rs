//! The stage: the primary, the daemon, and the ways to see what they do.

use std::env;
use std::time::{Duration, Instant};

use secondo_sim::{Algorithm, Answer, Key, Name, Primary, RecordType, Setup, ask, fetch, read_zone};

use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::interrupt::Interrupt;
use crate::log::Event;

/// The zone that is played.
const ZONE: &str = include_str!("../zone/duet.example.zone");
/// Its apex.
const APEX: &str = "duet.example.";
/// The key that both share, in octets and as the configuration writes them.
const SECRET: &[u8; 32] = b"four hands, one piano, no slips!";
const SECRET_BASE64: &str = "Zm91ciBoYW5kcywgb25lIHBpYW5vLCBubyBzbGlwcyE=";
/// The name of that key.
pub(crate) const KEY: &str = "transfer-key";

/// Bounds that hold the zone's timers so short that its whole life fits into half a minute.
pub(crate) const REFRESH: Duration = Duration::from_secs(2);
pub(crate) const RETRY: Duration = Duration::from_secs(1);
pub(crate) const EXPIRE: Duration = Duration::from_secs(7);

/// Waiting for anything that should take milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(8);
/// How long one question waits for its answer.
const ANSWER: Duration = Duration::from_secs(2);
/// The story ends by then, told or not.
const LONGEST: Duration = Duration::from_secs(36);

/// Everything that is needed to tell the story.
pub struct Stage {
    /// The scripted primary.
    pub primary: Primary,
    /// The daemon.
    pub daemon: Daemon,
    pub(crate) apex: Name,
    pub(crate) key: Key,
    deadline: Option<Instant>,
    interrupt: Interrupt,
    /// Dropped last: the daemon keeps its files there.
    folder: Folder,
}

impl Stage {
    /// Starts the primary and prepares the daemon; `interrupt` ends every wait.
    pub fn set(interrupt: &Interrupt) -> Result<Stage, String> {
        let apex = Name::parse(APEX).map_err(|error| error.to_string())?;
        let zone = read_zone(ZONE, &apex).map_err(|error| error.to_string())?;
        let key = key(SECRET)?;
        let folder = Folder::fresh().map_err(|error| format!("no folder for the story: {error}"))?;
        let program = env::current_exe().map_err(|error| format!("our own program: {error}"))?;
        let daemon =
            Daemon::new(&program, folder.path()).map_err(|error| format!("no free port: {error}"))?;
        let setup = Setup {
            keys: vec![key.clone()],
            secondaries: vec![daemon.address()],
            notify_wait: Duration::from_millis(500),
            ..Setup::default()
        };
        let primary = Primary::start([zone], setup).map_err(|error| format!("no primary: {error}"))?;
        daemon
            .configure(&configuration(&primary))
            .map_err(|error| format!("the configuration cannot be written: {error}"))?;
        let deadline = Some(Instant::now() + LONGEST);
        Ok(Stage { primary, daemon, apex, key, deadline, interrupt: interrupt.clone(), folder })
    }

    /// Ends the daemon in the ordinary way, and everything else with it.
    pub fn leave(mut self) -> Result<(), String> {
        let stopped = self.daemon.stop();
        drop(self.folder);
        stopped
    }

    /// From now on waits last as long as they need.
    pub(crate) fn stay(&mut self) {
        self.deadline = None;
    }

    /// Questions that anybody may ask.
    pub(crate) fn commands(&self) -> Vec<String> {
        let address = self.daemon.address();
        let dig = format!("dig @{} -p {}", address.ip(), address.port());
        let zone = APEX.trim_end_matches('.');
        vec![
            format!("{dig} {zone} SOA"),
            format!("{dig} tickets.{zone} A"),
            format!("{dig} anybody.guests.{zone} TXT        # from the wildcard"),
            format!("{dig} class.school.{zone} A            # a delegation, with glue"),
            format!("{dig} tour.archive.{zone} A            # a DNAME"),
            format!("{dig} {zone} AXFR"),
        ]
    }

    /// Whether somebody wants us to end.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.came()
    }

    /// Looks again and again until there is something to see, at most for `limit`.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&mut Stage) -> Option<T>,
    ) -> Result<T, String> {
        let start = Instant::now();
        loop {
            if let Some(seen) = look(self) {
                return Ok(seen);
            }
            if self.interrupted() {
                return Err(format!("interrupted while waiting for {what}"));
            }
            if let Some(status) = self.daemon.ended() {
                return Err(format!("the daemon ended with {status} while it should show {what}"));
            }
            let over = self.deadline.is_some_and(|deadline| Instant::now() > deadline);
            if over || start.elapsed() > limit {
                return Err(format!("not seen within {} s: {what}", start.elapsed().as_secs()));
            }
        }
    }

    /// Waits for an event of the log behind `mark`.
    pub(crate) fn event(
        &mut self,
        mark: usize,
        name: &str,
        limit: Duration,
        right: impl Fn(&Event) -> bool,
    ) -> Result<Event, String> {
        let short = Duration::from_millis(20);
        let right = |event: &Event| event.name() == name && right(event);
        self.until(&format!("`{name}` in the log"), limit, |stage| {
            stage.daemon.log().find(mark, short, right)
        })
    }

    /// Asks the daemon.
    pub(crate) fn ask(&self, name: &str, rtype: RecordType) -> Result<Answer, String> {
        let absolute = if name == "@" { APEX.into() } else { format!("{name}.{APEX}") };
        let parsed = Name::parse(&absolute).map_err(|error| error.to_string())?;
        ask(self.daemon.address(), &parsed, rtype, ANSWER)
            .map_err(|error| format!("{absolute} {rtype}: no answer from the daemon: {error}"))
    }

    /// Asks for the serial that the daemon serves; `None` while it answers with an error.
    pub(crate) fn serial(&self) -> Option<u32> {
        let answer = self.ask("@", RecordType::SOA).ok()?;
        let soa = answer.answers.first().filter(|_| answer.rcode == 0 && answer.authoritative)?;
        let serial = soa.rdata.len().checked_sub(20)?;
        Some(u32::from_be_bytes(*soa.rdata.get(serial..)?.first_chunk()?))
    }

    /// The serial that the primary has.
    pub(crate) fn newest(&self) -> u32 {
        self.primary.serial(&self.apex).map_or(0, |serial| serial.0)
    }

    /// Whether the whole zone that the daemon gives away is the one that the primary has; how many records it has.
    pub(crate) fn same_zone(&self) -> Result<u64, String> {
        let theirs = self.primary.zone(&self.apex).ok_or("the primary lost the zone")?;
        let ours = fetch(self.daemon.address(), &self.apex, Some(&self.key), ANSWER)
            .map_err(|error| format!("the zone cannot be fetched from the daemon: {error}"))?;
        match ours.digest() == theirs.digest() {
            true => Ok(ours.counts().records),
            false => Err("the zone fetched from the daemon is not the primary's".into()),
        }
    }

    /// When a primary last vouched for the zone, by the log.
    pub(crate) fn confirmed(&self) -> Option<Instant> {
        let vouched = ["refresh.current", "zone.published"];
        self.daemon.log().since(0).iter().rev().find(|e| vouched.contains(&e.name())).map(|e| e.at)
    }
}

/// A key by the name that both know.
pub(crate) fn key(secret: &[u8]) -> Result<Key, String> {
    let name = Name::parse(KEY).map_err(|error| error.to_string())?;
    Key::new(name, Algorithm::HmacSha256, secret).map_err(|error| error.to_string())
}

fn configuration(primary: &Primary) -> String {
    let (address, zone) = (primary.address(), APEX.trim_end_matches('.'));
    let bound = |duration: Duration| duration.as_secs();
    let (refresh, retry, expire) = (bound(REFRESH), bound(RETRY), bound(EXPIRE));
    format!(
        "keys:\n  {KEY}: {{ algorithm: hmac-sha256, secret: \"{SECRET_BASE64}\" }}\n\
         primaries:\n  scripted: {{ addresses: [\"{address}\"], key: {KEY} }}\n\
         zones:\n  - name: {zone}\n    primaries: [scripted]\n\
         \x20   refresh-bounds: [1s, {refresh}s]\n    retry-bounds: [1s, {retry}s]\n    expire-bounds: [1s, {expire}s]\n\
         \x20   allow-transfer: [{{ address: 127.0.0.1 }}]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_sim::read_records;

    #[test]
    fn the_zone_that_is_shipped_is_what_its_file_means() {
        let apex = Name::parse(APEX).unwrap();
        let records = read_records(ZONE, &apex).unwrap();
        assert!(records.iter().all(|rr| !rr.to_string().contains("\\@")), "@ was taken for a label");
        let www = records.iter().find(|rr| rr.rtype == RecordType::CNAME).unwrap();
        assert_eq!(www.to_string(), "www.duet.example. 3600 IN CNAME duet.example.");
        let types: std::collections::BTreeSet<u16> = records.iter().map(|rr| rr.rtype.0).collect();
        assert!(types.len() >= 14, "{types:?}");
        assert_eq!(read_zone(ZONE, &apex).unwrap().serial().0, 2_026_112_201);
    }
}
