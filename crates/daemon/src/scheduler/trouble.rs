//! What went wrong with a zone: kept for `status` and `explain`, and only while something is wrong.

use std::time::Duration;

use secondo_lifecycle::{Step, Target};
use secondo_wire::{Name, Reason, Serial};

/// Failed attempts of one round that are kept; of a longer round the last ones.
const TRIES: usize = 16;

/// A zone's troubles. A zone in good health has none, so it pays for a pointer only.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    tries: Vec<Try>,
    /// The tries belong to a round that has ended: the next one begins another.
    round_over: bool,
    /// Failures of single primaries that were logged, each once until the primary is in order again.
    told: Vec<(Target, Reason)>,
    /// IXFR was asked for and did not do, and has not worked since.
    ixfr: Option<NoIxfr>,
    /// What the disk said when it refused the version served.
    disk: Option<String>,
    /// A primary told of a newer version, which has not come yet.
    behind: Option<Behind>,
}

/// A version that we should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// Who told of it.
    pub(super) target: Target,
    pub(super) serial: Serial,
    /// When a primary first told of a newer version, on the boot clock.
    pub(super) since: Duration,
}

/// An attempt that failed.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) target: Target,
    pub(super) step: Step,
    pub(super) reason: Reason,
    /// Of the version that was refused, where it was seen.
    pub(super) serial: Option<Serial>,
    /// More about it; empty when the reason says all.
    pub(super) detail: String,
    /// The key that the reason is of.
    pub(super) key: Option<Name>,
    /// There was a connection, and the answer did not come to its end on it.
    pub(super) cut_short: bool,
    /// When it failed, on the boot clock.
    pub(super) at: Duration,
}

/// IXFR that did not do.
#[derive(Clone, Debug)]
pub(super) struct NoIxfr {
    pub(super) target: Target,
    pub(super) reason: Reason,
    /// More about the last failure; empty when the reason says all.
    pub(super) detail: String,
    /// When it last failed, on the boot clock.
    pub(super) at: Duration,
    /// So often in a row.
    pub(super) times: u32,
}

impl Trouble {
    /// Notes a failed attempt.
    pub(super) fn note(&mut self, failed: Try) {
        if std::mem::take(&mut self.round_over) {
            self.tries.clear();
        }
        if self.tries.len() >= TRIES {
            self.tries.remove(0);
        }
        self.tries.push(failed);
    }

    /// Notes what the machine itself says of a failed attempt, unless its job was heard already, which knew more.
    pub(super) fn confirm(&mut self, failed: Try) -> &Try {
        let same =
            |known: &Try| (known.target, known.reason, known.at) == (failed.target, failed.reason, failed.at);
        match self.tries.last_mut() {
            Some(known) if same(known) => {
                known.serial = known.serial.or(failed.serial);
                if known.detail.is_empty() {
                    known.detail = failed.detail;
                }
            }
            _ => self.note(failed),
        }
        self.tries.last().expect("one was noted or is the same")
    }

    /// The round is over; what it met is kept until another begins.
    pub(super) fn end_round(&mut self) {
        self.round_over = true;
    }

    /// IXFR did not do, and AXFR is tried instead.
    pub(super) fn no_ixfr(&mut self, target: Target, reason: Reason, detail: &str, at: Duration) {
        let same = self.ixfr.as_ref().filter(|known| known.target == target);
        let times = same.map_or(0, |known| known.times).saturating_add(1);
        self.ixfr = Some(NoIxfr { target, reason, detail: detail.into(), at, times });
    }

    /// IXFR works.
    pub(super) fn ixfr_works(&mut self) {
        self.ixfr = None;
    }

    /// Whether this is not known of the primary yet; from now on it is.
    pub(super) fn is_news(&mut self, target: Target, reason: Reason) -> bool {
        let news = !self.told.contains(&(target, reason));
        if news {
            self.told.push((target, reason));
        }
        news
    }

    /// A primary is in order: what is `settled` is forgotten; of failed transfers, only if `transfers` are in order too.
    pub(super) fn settle(&mut self, transfers: bool, settled: impl Fn(Target) -> bool) {
        let stays = |failed: &Try| failed.step != Step::Probe && !transfers || !settled(failed.target);
        self.tries.retain(stays);
        self.told.retain(|(target, _)| !settled(*target));
    }

    /// What primaries told that are `gone`, and what they could not do, is forgotten.
    pub(super) fn forget(&mut self, gone: impl Fn(Target) -> bool) {
        self.ixfr.take_if(|ixfr| gone(ixfr.target));
        self.behind.take_if(|behind| gone(behind.target));
    }

    /// The failed attempts of the running or the last round, oldest first.
    pub(super) fn tries(&self) -> &[Try] {
        &self.tries
    }

    /// The latest of them.
    pub(super) fn last(&self) -> Option<&Try> {
        self.tries.last()
    }

    /// The disk refused the version served, saying this, or has it now.
    pub(super) fn note_disk(&mut self, refused: Option<String>) {
        self.disk = refused;
    }

    /// A primary told of a newer version. Of what several tell the newest is kept.
    pub(super) fn fell_behind(&mut self, target: Target, serial: Serial, now: Duration) {
        let known = self.behind.get_or_insert(Behind { target, serial, since: now });
        if known.target == target || !known.serial.newer_than(serial) {
            (known.target, known.serial) = (target, serial);
        }
    }

    /// It came, or there is none any more.
    pub(super) fn caught_up(&mut self) {
        self.behind = None;
    }

    /// The version that we should have.
    pub(super) fn behind(&self) -> Option<Behind> {
        self.behind
    }

    /// What it said.
    pub(super) fn disk(&self) -> Option<&str> {
        self.disk.as_deref()
    }

    /// IXFR that did not do.
    pub(super) fn ixfr(&self) -> Option<&NoIxfr> {
        self.ixfr.as_ref()
    }

    /// Whether there is none.
    pub(super) fn is_over(&self) -> bool {
        self.tries.is_empty()
            && self.told.is_empty()
            && self.ixfr.is_none()
            && self.disk.is_none()
            && self.behind.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use secondo_lifecycle::PrimaryId;

    fn failed(port: u16, reason: Reason, at: u64, detail: &str) -> Try {
        let address = SocketAddr::from(([192, 0, 2, 1], port));
        let target = Target { primary: PrimaryId(1), address };
        Try {
            target,
            step: Step::Probe,
            reason,
            serial: None,
            detail: detail.into(),
            key: None,
            cut_short: false,
            at: Duration::from_secs(at),
        }
    }

    #[test]
    fn what_a_job_knew_is_kept_where_the_machine_says_the_same() {
        let mut trouble = Trouble::default();
        trouble.note(failed(1, Reason::Refused, 5, "REFUSED to the SOA question"));
        let known = trouble.confirm(failed(1, Reason::Refused, 5, ""));
        assert_eq!(known.detail, "REFUSED to the SOA question");
        trouble.confirm(failed(1, Reason::SerialBehind, 5, "serial 6"));
        assert_eq!(trouble.tries().len(), 2);
    }

    #[test]
    fn a_round_replaces_the_one_before_and_is_bounded() {
        let mut trouble = Trouble::default();
        trouble.note(failed(1, Reason::Refused, 5, ""));
        trouble.end_round();
        assert_eq!(trouble.last().map(|last| last.reason), Some(Reason::Refused));
        for port in 0..100 {
            trouble.note(failed(port, Reason::Timeout, 6, ""));
        }
        assert_eq!(trouble.tries().len(), TRIES);
        assert!(trouble.tries().iter().all(|failed| failed.reason == Reason::Timeout));
        assert_eq!(trouble.last().map(|last| last.target.address.port()), Some(99));
    }

    #[test]
    fn how_long_a_newer_version_is_known_counts_from_the_first_of_them() {
        let mut trouble = Trouble::default();
        let target = failed(1, Reason::Timeout, 0, "").target;
        trouble.fell_behind(target, Serial(5), Duration::from_secs(10));
        trouble.fell_behind(target, Serial(6), Duration::from_secs(20));
        let expected = Behind { target, serial: Serial(6), since: Duration::from_secs(10) };
        assert!(trouble.behind() == Some(expected) && !trouble.is_over());
        let other = failed(2, Reason::Timeout, 0, "").target;
        trouble.fell_behind(other, Serial(5), Duration::from_secs(30));
        assert_eq!(trouble.behind(), Some(expected), "what is older is no news");
        trouble.fell_behind(target, Serial(5), Duration::from_secs(30));
        assert_eq!(trouble.behind(), Some(Behind { serial: Serial(5), ..expected }), "it went back");
        trouble.fell_behind(other, Serial(7), Duration::from_secs(40));
        assert_eq!(trouble.behind(), Some(Behind { target: other, serial: Serial(7), ..expected }));
        trouble.caught_up();
        assert!(trouble.is_over());
    }

    #[test]
    fn a_primary_in_order_settles_what_was_wrong_with_it_but_not_with_ixfr() {
        let mut trouble = Trouble::default();
        let one = failed(1, Reason::Refused, 5, "");
        trouble.no_ixfr(one.target, Reason::IxfrBrokenChain, "", one.at);
        trouble.no_ixfr(one.target, Reason::IxfrBrokenChain, "", one.at);
        assert!(trouble.is_news(one.target, one.reason));
        assert!(!trouble.is_news(one.target, one.reason));
        trouble.note(one);
        trouble.note(Try { step: Step::Ixfr, ..failed(2, Reason::Timeout, 6, "") });
        trouble.settle(false, |_| true);
        assert_eq!(trouble.last().map(|last| last.reason), Some(Reason::Timeout), "no transfer has worked");
        trouble.settle(true, |_| true);
        assert!(trouble.last().is_none() && !trouble.is_over());
        assert_eq!(trouble.ixfr().map(|ixfr| ixfr.times), Some(2));
        trouble.ixfr_works();
        assert!(trouble.is_over());
    }
}
