//! Response rate limiting: so many answers of one kind a second to one range of addresses, for whoever sends us requests
//! with somebody else's address wants many that are alike.
//!
//! One table of fixed size for all threads, without a lock: what one answer touches is one line of the processor's cache,
//! found by a keyed hash of range, kind and name. Threads meet on a line when they answer the same to the same range at
//! once, which is what is to be limited, or by chance, one line in thousands. A table for each thread would not count
//! what it says: the kernel spreads the requests of one range over all threads, but those of one port go to one.
//!
//! A bucket is one number: when it will be empty. Each answer adds to it what `responses_per_second` makes of a second,
//! and it holds one second, so a range that was quiet may have a second's answers at once. Where a line is full, the
//! bucket that is nearest to empty makes room.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use secondo_wire::{MAX_NAME, NameRef};
use siphasher::sip::SipHasher13;

use crate::acl::{IpPrefix, PrefixSet};

/// Buckets in a line of the cache.
const LINE: usize = 8;
/// Lines of the table, which takes two mebibytes: room for the kinds of answers of one second, not for all there are.
const LINES: usize = 1 << 15;
/// What a bucket holds, microseconds.
const SECOND: u64 = 1_000_000;
/// Further ahead no clock of two threads is; a bucket that says so is years old. Microseconds.
const STALE: u64 = 60 * SECOND;
/// Bits of a bucket's time: microseconds that come round in twelve days.
const TIME: u32 = 40;
/// Bits of the count of answers left out since one was cut short.
const SLIPS: u32 = 4;
/// How often another thread may come first at the same bucket, before that alone tells of a flood.
const TRIES: usize = 8;

/// How answers over UDP are limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Answers of one kind to one range of addresses, 1 to 100,000 a second.
    pub responses_per_second: u32,
    /// Each so-manieth answer beyond is sent without data and with TC, so that a client behind the range is heard over
    /// TCP; 0: none, 1: all; at most 10.
    pub slip: u8,
    /// Length of a range of IPv4 addresses, 1 to 32.
    pub ipv4_prefix: u8,
    /// Length of a range of IPv6 addresses, 1 to 128.
    pub ipv6_prefix: u8,
    /// Never limited.
    pub exempt: Vec<IpPrefix>,
}

/// Counts answers and limits them.
pub struct Limiter {
    settings: RateLimit,
    exempt: PrefixSet,
    /// What an answer adds to its bucket, microseconds.
    cost: u64,
    hasher: SipHasher13,
    lines: Box<[Line]>,
}

#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE]);

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Data of a name.
    Answer,
    /// What a wildcard or DNAME makes for any name.
    Synthesis,
    /// A name without the type.
    NoData,
    /// No name: of a zone.
    NameError,
    /// To the zone below a cut.
    Referral,
    /// Who answers.
    Identity,
    /// Any other response code, whatever was asked.
    Error,
}

/// What a reply is counted as: its kind, and the ancestor of the name asked that it stands for, so many labels above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) below: usize,
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent.
    Pass,
    /// It is sent without data.
    Slip,
    /// It is not sent.
    Drop,
}

impl Limiter {
    /// Nothing counted; numbers out of their range are taken for its nearest end. `secret` keys the hash: those who ask
    /// must not choose whose bucket they fill.
    pub fn new(settings: RateLimit, secret: &[u8; 16]) -> Limiter {
        let settings = RateLimit {
            responses_per_second: settings.responses_per_second.clamp(1, 100_000),
            slip: settings.slip.min(10),
            ipv4_prefix: settings.ipv4_prefix.clamp(1, 32),
            ipv6_prefix: settings.ipv6_prefix.clamp(1, 128),
            exempt: settings.exempt,
        };
        Limiter {
            exempt: PrefixSet::of(settings.exempt.iter().copied()),
            cost: SECOND / u64::from(settings.responses_per_second),
            hasher: SipHasher13::new_with_key(secret),
            lines: std::iter::repeat_with(Line::default).take(LINES).collect(),
            settings,
        }
    }

    /// How answers are limited.
    pub fn settings(&self) -> &RateLimit {
        &self.settings
    }

    /// The range that an address is counted in.
    pub(crate) fn range_of(&self, client: IpAddr) -> IpPrefix {
        let length = match client.to_canonical() {
            IpAddr::V4(_) => self.settings.ipv4_prefix,
            IpAddr::V6(_) => self.settings.ipv6_prefix,
        };
        IpPrefix::around(client, length)
    }

    /// Counts a reply about `name` to `client` and decides on it.
    pub(crate) fn judge(
        &self,
        client: IpAddr,
        kind: Kind,
        name: Option<NameRef<'_>>,
        boot_ms: u64,
    ) -> Verdict {
        if self.exempt.contains(client) {
            return Verdict::Pass;
        }
        let hash = self.hash(self.range_of(client), kind, name);
        self.spend(hash, boot_ms.wrapping_mul(1000) & bits(TIME))
    }

    fn hash(&self, range: IpPrefix, kind: Kind, name: Option<NameRef<'_>>) -> u64 {
        let mut octets = [0; 18 + MAX_NAME];
        octets[..17].copy_from_slice(&range.octets());
        octets[17] = kind as u8;
        let name = name.map_or(&[][..], |name| name.as_wire());
        octets[18..18 + name.len()].copy_from_slice(name);
        // Lengths of labels are below the letters.
        octets[18..18 + name.len()].make_ascii_lowercase();
        let mut hasher = self.hasher;
        hasher.write(&octets[..18 + name.len()]);
        hasher.finish()
    }

    /// Adds an answer to the bucket of `hash`, if there is room.
    fn spend(&self, hash: u64, now: u64) -> Verdict {
        let Line(line) = &self.lines[hash as usize & (LINES - 1)];
        let tag = hash >> (TIME + SLIPS);
        let slip = u64::from(self.settings.slip);
        for _ in 0..TRIES {
            let (place, seen) = place_of(line, tag, now);
            let bucket = Bucket::read(seen);
            let (level, slips) = if bucket.tag == tag { (bucket.level(now), bucket.slips) } else { (0, 0) };
            let (next, verdict) = if level + self.cost <= SECOND {
                (Bucket { tag, slips, empty_at: now + level + self.cost }, Verdict::Pass)
            } else {
                let slips = (slips + 1) % slip.max(1);
                let verdict = if slip > 0 && slips == 0 { Verdict::Slip } else { Verdict::Drop };
                (Bucket { slips, ..bucket }, verdict)
            };
            let next = next.packed();
            // Nothing else is read by what stands here.
            let order = Ordering::Relaxed;
            if next == seen || place.compare_exchange(seen, next, order, order).is_ok() {
                return verdict;
            }
        }
        Verdict::Drop
    }
}

/// Where the bucket with this tag is, or would be: at the one nearest to empty.
fn place_of(line: &[AtomicU64; LINE], tag: u64, now: u64) -> (&AtomicU64, u64) {
    let mut lowest = (u64::MAX, &line[0], 0);
    for place in line {
        let seen = place.load(Ordering::Relaxed);
        let bucket = Bucket::read(seen);
        if bucket.tag == tag {
            return (place, seen);
        }
        if bucket.level(now) < lowest.0 {
            lowest = (bucket.level(now), place, seen);
        }
    }
    (lowest.1, lowest.2)
}

/// As it stands in the table: twenty bits of tag, the count of slips, the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    tag: u64,
    slips: u64,
    empty_at: u64,
}

impl Bucket {
    fn read(packed: u64) -> Bucket {
        let slips = packed >> TIME & bits(SLIPS);
        Bucket { tag: packed >> (TIME + SLIPS), slips, empty_at: packed & bits(TIME) }
    }

    fn packed(self) -> u64 {
        self.tag << (TIME + SLIPS) | (self.slips & bits(SLIPS)) << TIME | self.empty_at & bits(TIME)
    }

    /// Microseconds until it is empty.
    fn level(self, now: u64) -> u64 {
        let ahead = self.empty_at.wrapping_sub(now) & bits(TIME);
        if ahead <= STALE { ahead } else { 0 }
    }
}

const fn bits(count: u32) -> u64 {
    (1 << count) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use secondo_wire::Name;
    use std::thread;

    fn limiter(responses_per_second: u32, slip: u8) -> Limiter {
        let settings =
            RateLimit { responses_per_second, slip, ipv4_prefix: 24, ipv6_prefix: 56, exempt: Vec::new() };
        Limiter::new(settings, &[3; 16])
    }

    fn ask(limiter: &Limiter, client: &str, kind: Kind, name: &str, ms: u64) -> Verdict {
        let name: Name = name.parse().unwrap();
        limiter.judge(client.parse().unwrap(), kind, Some(name.as_ref()), ms)
    }

    /// How many of so many answers at one moment pass.
    fn passing(limiter: &Limiter, count: usize, client: &str, ms: u64) -> usize {
        let passes = |_: &usize| ask(limiter, client, Kind::Answer, "a.", ms) == Verdict::Pass;
        (0..count).filter(passes).count()
    }

    #[test]
    fn a_second_holds_a_seconds_answers_and_they_come_back_one_by_one() {
        for rate in [1, 3, 5, 1000, 99_999, 100_000] {
            let limiter = limiter(rate, 0);
            let most = rate as usize;
            let at = |ms| passing(&limiter, most + 10, "192.0.2.1", ms);
            // The cost of an answer is a whole number of microseconds.
            let first = at(10_000);
            assert!(first >= most && first <= most + most / 9, "{rate}: {first}");
            assert_eq!(at(10_000), 0);
            if rate <= 1000 {
                assert_eq!((at(10_999) + 1, at(11_000), at(11_000)), (most, 1, 0), "{rate}");
            }
        }
    }

    #[test]
    fn ranges_kinds_and_names_are_counted_apart_and_spelling_is_not() {
        let limiter = limiter(1, 0);
        let judge = |client, kind, name| ask(&limiter, client, kind, name, 5000);
        assert_eq!(judge("192.0.2.1", Kind::Answer, "a.example."), Verdict::Pass);
        for (client, kind, name) in [
            ("192.0.3.1", Kind::Answer, "a.example."),
            ("2001:db8::1", Kind::Answer, "a.example."),
            ("2001:db8:0:100::1", Kind::Answer, "a.example."),
            ("192.0.2.1", Kind::NoData, "a.example."),
            ("192.0.2.1", Kind::Answer, "b.example."),
            ("192.0.2.1", Kind::Answer, "a\\.example."),
        ] {
            assert_eq!(judge(client, kind, name), Verdict::Pass, "{client} {kind:?} {name}");
            assert_eq!(judge(client, kind, name), Verdict::Drop, "{client} {kind:?} {name}");
        }
        for (client, name) in
            [("192.0.2.255", "A.EXAMPLE."), ("::ffff:192.0.2.9", "a.example."), ("192.0.2.1", "a.example.")]
        {
            assert_eq!(judge(client, Kind::Answer, name), Verdict::Drop, "{client} {name}");
        }
        assert_eq!(judge("2001:db8:0:ff::1", Kind::Answer, "a.example."), Verdict::Drop);
    }

    #[test]
    fn each_so_manieth_answer_beyond_slips() {
        for (slip, expected) in [
            (0, [Verdict::Drop; 6]),
            (1, [Verdict::Slip; 6]),
            (2, [Verdict::Drop, Verdict::Slip].repeat(3).try_into().unwrap()),
            (3, [Verdict::Drop, Verdict::Drop, Verdict::Slip].repeat(2).try_into().unwrap()),
        ] {
            let limiter = limiter(1, slip);
            let all: [Verdict; 7] = std::array::from_fn(|_| ask(&limiter, "::1", Kind::Error, ".", 5000));
            assert_eq!((all[0], &all[1..]), (Verdict::Pass, &expected[..]), "{slip}");
        }
    }

    #[test]
    fn nobody_exempt_is_counted() {
        let exempt = vec!["192.0.2.7".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let settings = RateLimit { exempt, ..limiter(1, 0).settings().clone() };
        let limiter = Limiter::new(settings, &[3; 16]);
        assert_eq!(passing(&limiter, 9, "192.0.2.7", 5000), 9);
        assert_eq!(passing(&limiter, 9, "2001:db8::7", 5000), 9);
        assert_eq!(passing(&limiter, 9, "192.0.2.8", 5000), 1);
    }

    #[test]
    fn a_full_line_lets_go_of_what_is_nearest_to_empty() {
        let limiter = limiter(10, 0);
        // Nine that meet in one line; the first is limited, the others have had one answer each.
        let hash = |n: u64| n << (TIME + SLIPS);
        let now = 5_000_000;
        for _ in 0..10 {
            assert_eq!(limiter.spend(hash(1), now), Verdict::Pass);
        }
        for n in 2..=9 {
            assert_eq!(limiter.spend(hash(n), now), Verdict::Pass);
        }
        assert_eq!(limiter.spend(hash(1), now), Verdict::Drop);
    }

    #[test]
    fn a_bucket_is_read_as_it_was_written_and_times_come_round() {
        let bucket = Bucket { tag: bits(20), slips: 9, empty_at: bits(TIME) - 5 };
        assert_eq!(Bucket::read(bucket.packed()), bucket);
        assert_eq!((bucket.level(bits(TIME) - 10), bucket.level(bits(TIME))), (5, 0));
        let round = Bucket { empty_at: (bits(TIME) + 100) & bits(TIME), ..bucket };
        assert_eq!(round.level(bits(TIME) - 100), 200);
        assert_eq!(Bucket::read(0).level(bits(TIME) / 2), 0);
        // Another thread's clock may be a little ahead: what it wrote still counts.
        let limiter = limiter(1, 0);
        assert_eq!(passing(&limiter, 3, "192.0.2.1", 5010), 1);
        assert_eq!(passing(&limiter, 3, "192.0.2.1", 5000), 0);
    }

    #[test]
    fn threads_together_let_no_more_pass_than_one() {
        let limiter = limiter(1000, 0);
        let together: usize = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| passing(&limiter, 2000, "192.0.2.1", 5000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(together, 1000);
    }
}
