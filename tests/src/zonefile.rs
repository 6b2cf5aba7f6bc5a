//! Zones as text, the form in which a primary gets them.

use std::fmt::Write;

/// A zone at one serial. Records are lines of a master file, relative to the apex.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its name, absolute, as spelled everywhere.
    pub apex: String,
    /// Of its SOA.
    pub serial: u32,
    /// Of its SOA, in seconds.
    pub timers: Timers,
    /// Everything below the SOA.
    pub records: Vec<String>,
}

/// The timers of a SOA (RFC 1035 §3.3.13), in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// Between probes.
    pub refresh: u32,
    /// Between probes after a failure.
    pub retry: u32,
    /// From the last confirmation until the zone must not be answered from.
    pub expire: u32,
    /// TTL of negative answers.
    pub minimum: u32,
}

impl Timers {
    /// So long that nothing happens by itself during a test.
    pub const CALM: Self = Self { refresh: 7200, retry: 1800, expire: 1_209_600, minimum: 300 };
    /// Expiry within a few seconds.
    pub const SHORT: Self = Self { refresh: 1, retry: 1, expire: 5, minimum: 1 };
}

impl Zone {
    /// A small ordinary zone: two name servers, addresses, mail, an alias, a wildcard, a delegation with glue.
    pub fn ordinary(apex: &str) -> Self {
        let records = [
            "@ 3600 IN NS ns1",
            "@ 3600 IN NS ns2.elsewhere.test.",
            "@ 3600 IN MX 10 mail",
            "ns1 3600 IN A 192.0.2.1",
            "ns1 3600 IN AAAA 2001:db8::1",
            "mail 300 IN A 192.0.2.2",
            "www 300 IN A 192.0.2.3",
            "www 300 IN A 192.0.2.4",
            "alias 300 IN CNAME www",
            "out 300 IN CNAME somewhere.else.test.",
            "*.wild 300 IN TXT \"any of them\"",
            "leaf.branch.tree 300 IN TXT \"below an empty non-terminal\"",
            "child 3600 IN NS ns.child",
            "ns.child 3600 IN A 192.0.2.5",
            "moved 300 IN DNAME target",
            "here.target 300 IN A 192.0.2.6",
        ];
        Self::of(apex, records.map(str::to_owned).to_vec())
    }

    /// A zone with these records besides its SOA.
    pub fn of(apex: &str, records: Vec<String>) -> Self {
        assert!(apex.ends_with('.'), "{apex} is not absolute");
        Self { apex: apex.to_owned(), serial: 2024, timers: Timers::CALM, records }
    }

    /// With other timers.
    pub fn timers(mut self, timers: Timers) -> Self {
        self.timers = timers;
        self
    }

    /// The next version: the serial goes up by one, and these records are added.
    pub fn plus(&self, added: &[&str]) -> Self {
        let mut next = self.clone();
        next.serial += 1;
        next.records.extend(added.iter().map(|&r| r.to_owned()));
        next
    }

    /// The next version without the records that begin with `start`.
    pub fn minus(&self, start: &str) -> Self {
        let mut next = self.clone();
        next.serial += 1;
        next.records.retain(|record| !record.starts_with(start));
        assert!(next.records.len() < self.records.len(), "no record begins with {start}");
        next
    }

    /// With `count` owners of one address each, so that a difference is much smaller than the zone.
    pub fn with_hosts(mut self, count: usize) -> Self {
        self.records.extend((0..count).map(|i| format!("host{i} 3600 IN A 198.51.100.{}", i % 256)));
        self
    }

    /// The master file.
    pub fn master_file(&self) -> String {
        let Timers { refresh, retry, expire, minimum } = self.timers;
        let mut text = format!(
            "$ORIGIN {}\n$TTL 3600\n@ 3600 IN SOA ns1 hostmaster {} {refresh} {retry} {expire} {minimum}\n",
            self.apex, self.serial
        );
        for record in &self.records {
            let _ = writeln!(text, "{record}");
        }
        text
    }

    /// Octets of the apex in wire form (RFC 1035 §3.1).
    pub fn apex_length(&self) -> usize {
        assert!(!self.apex.contains('\\'), "only for plain names");
        self.apex.len() + usize::from(self.apex != ".")
    }
}

/// Names that are valid and that nobody expects, relative to an apex of `apex_length` octets.
pub fn odd_names(apex_length: usize) -> Vec<String> {
    let plain = [
        r"dot\.in.label",
        r"sp\032ace",
        r"nul\000inside",
        r"\000",
        r"\255\254\128",
        r"quo\034te",
        r"back\092slash",
        r"at\064sign",
        r"dol\036lar",
        r"semi\059colon",
        r"par\040en\041",
        r"tab\009",
        r"new\010line",
        r"utf\195\169",
        "MiXeD.CaSe",
        "_sip._tcp",
        "-dash-",
        "under_score",
        "1",
        "0.1.2.3",
        "a.*.b",
        "*",
        "*.*",
        "xn--bcher-kva",
        "0/25",
        "=",
        "a+b",
        "!",
        "%25",
        "[x]",
        "{x}",
        "~",
        "'",
    ];
    let mut names: Vec<String> = plain.map(str::to_owned).to_vec();
    names.push("l".repeat(63));
    names.push(filled(255 - apex_length, 63));
    names.push(filled(255 - apex_length, 1));
    names
}

/// Labels of `size` octets that take exactly `octets` in wire form.
fn filled(mut octets: usize, size: usize) -> String {
    let mut labels = Vec::new();
    while octets > 0 {
        let label = match octets {
            n if n > size + 2 => size,
            // Never leave one octet over: a label and its length take two.
            n if n == size + 2 && size > 1 => size - 1,
            n if n > size && size == 1 => n.min(3) - 1,
            n => n - 1,
        };
        labels.push("f".repeat(label));
        octets -= label + 1;
    }
    labels.join(".")
}

/// One RRset of about 60 KiB: 100 TXT records with 600 octets of RDATA each.
pub fn wide_rrset(owner: &str) -> Vec<String> {
    (0..100)
        .map(|i| {
            format!(
                "{owner} 300 IN TXT \"{i:03}{}\" \"{}\" \"{}\"",
                "w".repeat(252),
                "x".repeat(255),
                "y".repeat(87)
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire_length(name: &str) -> usize {
        name.split('.').map(|label| label.len() + 1).sum()
    }

    #[test]
    fn long_names_take_exactly_255_octets() {
        for apex_length in 3..70 {
            for size in [63, 1] {
                let name = filled(255 - apex_length, size);
                assert_eq!(wire_length(&name) + apex_length, 255, "{name}");
                assert!(name.split('.').all(|label| (1..=63).contains(&label.len())), "{name}");
            }
        }
    }

    #[test]
    fn the_length_of_an_apex_counts_its_root_label() {
        assert_eq!(Zone::ordinary("example.").apex_length(), 9);
        assert_eq!(Zone::ordinary(".").apex_length(), 1);
    }
}
