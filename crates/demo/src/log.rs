//! The daemon's log, read line by line while it is written.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Lines kept for the tail.
const TAIL: usize = 200;
/// Events kept.
const KEPT: usize = 20_000;

/// One event of the daemon's log.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it was read.
    pub at: Instant,
    fields: Value,
}

impl Event {
    /// Its name, as `zone.published`.
    pub fn name(&self) -> &str {
        self.text("event")
    }

    /// A field as text; empty when it is absent or no text.
    pub fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap_or_default()
    }

    /// A field as number.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields[field].as_u64()
    }

    /// A field in seconds, as it was written.
    pub fn seconds(&self, field: &str) -> String {
        match &self.fields[field] {
            Value::Number(seconds) => seconds.to_string(),
            other => other.as_str().unwrap_or("?").to_owned(),
        }
    }

    /// The serial that it is about.
    pub fn serial(&self) -> Option<u32> {
        self.number("serial").and_then(|serial| u32::try_from(serial).ok())
    }
}

#[derive(Debug, Default)]
struct Lines {
    events: Vec<Event>,
    tail: VecDeque<String>,
}

/// All events so far. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<(Mutex<Lines>, Condvar)>);

impl Log {
    /// Nothing yet.
    pub fn new() -> Log {
        Log::default()
    }

    /// Reads a log to its end, on a thread of its own.
    pub fn follow(&self, source: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n') {
                let Ok(line) = line else { return };
                log.take(&String::from_utf8_lossy(&line));
            }
        });
    }

    fn take(&self, line: &str) {
        let at = Instant::now();
        let event = serde_json::from_str(line).ok().map(|fields| Event { at, fields });
        let mut lines = self.lines();
        if lines.tail.len() == TAIL {
            lines.tail.pop_front();
        }
        lines.tail.push_back(line.to_owned());
        if let Some(event) = event.filter(|_| lines.events.len() < KEPT) {
            lines.events.push(event);
        }
        self.0.1.notify_all();
    }

    /// How many events there are: a place in the log.
    pub fn mark(&self) -> usize {
        self.lines().events.len()
    }

    /// The events behind a place.
    pub fn since(&self, mark: usize) -> Vec<Event> {
        self.lines().events.get(mark..).unwrap_or_default().to_vec()
    }

    /// The first event behind a place that is right; waits at most `wait` for something new to be written.
    pub fn find(&self, mark: usize, wait: Duration, right: impl Fn(&Event) -> bool) -> Option<Event> {
        let lines = self.lines();
        let find =
            |lines: &Lines| lines.events.get(mark..).and_then(|all| all.iter().find(|e| right(e)).cloned());
        if let Some(event) = find(&lines) {
            return Some(event);
        }
        let (lines, _) = self.0.1.wait_timeout(lines, wait).unwrap_or_else(PoisonError::into_inner);
        find(&lines)
    }

    /// The last lines, as they were written.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        let skipped = lines.tail.len().saturating_sub(count);
        lines.tail.iter().skip(skipped).map(|line| format!("{line}\n")).collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_behind_their_mark_and_other_lines_are_kept_for_the_tail() {
        let log = Log::new();
        log.take(r#"{"event":"zone.published","serial":7}"#);
        let mark = log.mark();
        log.take("thread panicked");
        log.take(r#"{"event":"zone.published","serial":8}"#);
        let found = log.find(mark, Duration::ZERO, |e| e.name() == "zone.published").unwrap();
        assert_eq!(found.serial(), Some(8));
        assert!(log.find(0, Duration::ZERO, |e| e.name() == "zone.expired").is_none());
        assert!(log.tail(2).starts_with("thread panicked\n"));
    }
}
