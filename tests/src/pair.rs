//! One primary with secondo as its secondary: what most stories begin with.

use std::time::Duration;

use crate::events::Event;
use crate::secondo::Mark;
use crate::wait::SOON;
use crate::{Config, Key, Plan, Port, Primary, Secondo, Software, Zone, dig, primary};

/// The two, and what they share.
pub struct Pair {
    /// The primary.
    pub primary: Box<dyn Primary>,
    /// Its secondary.
    pub secondo: Secondo,
    /// The key between them.
    pub key: Option<Key>,
}

/// How the two are set up, where it differs from the simplest way.
pub struct Setting<'a> {
    software: Software,
    zone: &'a Zone,
    key: Option<&'a Key>,
    our_key: Option<&'a Key>,
    primary_lines: &'a [&'a str],
    zone_lines: &'a [&'a str],
    dead: bool,
}

impl<'a> Setting<'a> {
    /// One primary with one zone, no key.
    pub fn of(software: Software, zone: &'a Zone) -> Self {
        Self { software, zone, key: None, our_key: None, primary_lines: &[], zone_lines: &[], dead: false }
    }

    /// With a key on both sides.
    pub fn key(mut self, key: &'a Key) -> Self {
        self.key = Some(key);
        self.our_key = Some(key);
        self
    }

    /// With another key on our side.
    pub fn our_key(mut self, key: &'a Key) -> Self {
        self.our_key = Some(key);
        self
    }

    /// With further lines in our entry of the primary.
    pub fn primary_lines(mut self, lines: &'a [&'a str]) -> Self {
        self.primary_lines = lines;
        self
    }

    /// With further lines in our entry of the zone.
    pub fn zone_lines(mut self, lines: &'a [&'a str]) -> Self {
        self.zone_lines = lines;
        self
    }

    /// With a primary that is down when secondo starts.
    pub fn dead(mut self) -> Self {
        self.dead = true;
        self
    }

    /// Starts both and waits until secondo serves the zone.
    pub fn start(self) -> Pair {
        let zone = self.zone;
        let pair = self.launch();
        pair.secondo.until_published(Mark::START, &zone.apex, zone.serial);
        pair
    }

    /// Starts both and does not wait for the zone.
    pub fn launch(self) -> Pair {
        let port = Port::free();
        let mut plan = Plan::of(self.zone).notify(port.at_loopback());
        plan.key = self.key.cloned();
        let mut primary = primary::start(self.software, plan);
        if self.dead {
            primary.stop();
        }
        let lines = [&["allow-transfer: [{ address: 127.0.0.1 }]"], self.zone_lines].concat();
        let config = Config::new()
            .primary_with("upstream", &[primary.address()], self.our_key, self.primary_lines)
            .zone(&self.zone.apex, "upstream", &lines);
        let secondo = Secondo::start(port, &config);
        Pair { primary, secondo, key: self.key.cloned() }
    }
}

impl Pair {
    /// Starts both with one zone and waits until secondo serves it. `lines` are further keys of the zone.
    pub fn start(software: Software, zone: &Zone, key: Option<&Key>, lines: &[&str]) -> Self {
        let setting = Setting::of(software, zone).zone_lines(lines);
        match key {
            Some(key) => setting.key(key).start(),
            None => setting.start(),
        }
    }

    /// The configuration of the pair with another key on our side and other lines, for a reload.
    pub fn config(&self, zone: &Zone, key: Option<&Key>, lines: &[&str]) -> Config {
        let lines = [&["allow-transfer: [{ address: 127.0.0.1 }]"], lines].concat();
        Config::new().primary("upstream", self.primary.address(), key).zone(&zone.apex, "upstream", &lines)
    }

    /// Publishes a version at the primary and waits until secondo serves it: gives the end of the transfer.
    pub fn change(&mut self, zone: &Zone) -> Event {
        let mark = self.secondo.mark();
        self.primary.publish(zone);
        self.secondo.until_published(mark, &zone.apex, zone.serial);
        self.secondo.event(mark, "transfer.finished", |event| {
            event.is_about(&zone.apex) && event.number("serial") == Some(zone.serial.into())
        })
    }

    /// Fetches the zone from both and compares record by record.
    pub fn assert_same(&self, zone: &Zone) -> Vec<String> {
        dig::assert_same_zone(
            &zone.apex,
            self.primary.address(),
            self.key.as_ref(),
            self.secondo.address(),
            None,
        )
    }

    /// Waits until the zone is answered with SERVFAIL, and looks at why (RFC 8914).
    pub fn until_servfail(&self, zone: &Zone, code: u16, limit: Duration) {
        let mut last = String::new();
        crate::wait::until(
            &format!("SERVFAIL with EDE {code} for {}", zone.apex),
            limit.max(SOON),
            || self.secondo.tail(),
            || {
                let response = dig::ask(self.secondo.address(), &[&zone.apex, "SOA"]);
                last.clone_from(&response.text);
                (response.status == "SERVFAIL" && response.errors == [code]).then_some(())
            },
        );
    }
}
