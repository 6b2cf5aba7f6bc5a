//! Which arrived version may replace the one we have: decided here, asked by the job before it commits.

use secondo_wire::{Reason, Serial, SerialOrder};

/// What a transfer may bring. Travels with the attempt, because the version served may expire meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Any serial: nothing valid is served, or an operator insists.
    Any,
    /// Only what is newer than the version served.
    NewerThan(Serial),
}

/// What to do with a version that arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Check, commit and publish it, then report [`Transferred::Published`](crate::Transferred::Published).
    Publish,
    /// It is what we have: report [`Transferred::UpToDate`](crate::Transferred::UpToDate).
    UpToDate,
    /// Throw it away and report this.
    Refuse(Reason),
}

impl Accept {
    /// Judges the serial of a version that arrived, and the EDNS EXPIRE that came with it (seconds).
    pub fn judge(self, serial: Serial, expire: Option<u32>) -> Judgement {
        if at_its_end(expire) {
            return Judgement::Refuse(Reason::PrimaryExpiring);
        }
        let Accept::NewerThan(ours) = self else { return Judgement::Publish };
        match serial.compare(ours) {
            SerialOrder::Newer => Judgement::Publish,
            SerialOrder::Equal => Judgement::UpToDate,
            SerialOrder::Older => Judgement::Refuse(Reason::SerialBehind),
            // RFC 1982 §3.2: neither is newer, so neither may replace the other.
            SerialOrder::Undefined => Judgement::Refuse(Reason::SerialIncomparable),
        }
    }
}

/// RFC 7314 §3: the option is the life that the primary's own copy has left; with none left it vouches for nothing.
pub(crate) fn at_its_end(expire: Option<u32>) -> bool {
    expire.is_some_and(|seconds| seconds <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_serial_replaces_ours() {
        let ours = Accept::NewerThan(Serial(u32::MAX));
        assert_eq!(ours.judge(Serial(0), None), Judgement::Publish);
        assert_eq!(ours.judge(Serial(u32::MAX), None), Judgement::UpToDate);
        assert_eq!(ours.judge(Serial(u32::MAX - 1), None), Judgement::Refuse(Reason::SerialBehind));
        assert_eq!(ours.judge(Serial(0x7fff_ffff), None), Judgement::Refuse(Reason::SerialIncomparable));
    }

    #[test]
    fn any_serial_serves_when_nothing_is_served() {
        assert_eq!(Accept::Any.judge(Serial(0), None), Judgement::Publish);
    }

    #[test]
    fn a_primary_at_the_end_of_its_own_copy_is_no_source() {
        for left in [0, 1] {
            let refused = Judgement::Refuse(Reason::PrimaryExpiring);
            assert_eq!(Accept::Any.judge(Serial(1), Some(left)), refused);
        }
        assert_eq!(Accept::Any.judge(Serial(1), Some(2)), Judgement::Publish);
    }
}
