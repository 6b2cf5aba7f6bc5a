//! How a primary behaves.

use std::time::Duration;

use secondo_sim::{Chance, Fault, Kind};

/// How a primary behaves until it behaves otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Honest,
    Dead,
    /// It has another secret.
    WrongKey,
    /// It lies in all answers of a kind, or in the next few.
    Lies(Kind, Fault, Option<u32>),
    /// Honest about how long its own copy lives (RFC 7314).
    Expiring(u32),
}

impl Manner {
    pub(crate) fn any(chance: &mut Chance) -> Manner {
        const PROBE: &[Fault] = &[
            Fault::Silence,
            Fault::CloseAfter(9),
            Fault::Rcode(5),
            Fault::Rcode(2),
            Fault::Truncate,
            Fault::WrongId,
            Fault::WrongQuestion,
            Fault::ForeignSoa,
            Fault::BadClass,
            Fault::Trailing,
            Fault::CutMessage,
            Fault::CountTooHigh,
            Fault::PointerLoop,
            Fault::Garbage,
            Fault::BadSignature,
            Fault::Unsigned,
            Fault::Clock(90_000),
        ];
        const TRANSFER: &[Fault] = &[
            Fault::InnerSoa,
            Fault::WrongSoa,
            Fault::NoClosingSoa,
            Fault::MetaType,
            Fault::BadRdata,
            Fault::AbsentDelete,
            Fault::BrokenChain,
            Fault::Empty,
            Fault::UnsignedEnd,
            Fault::Rcode(4),
            Fault::Rcode(1),
            Fault::Drip(Duration::from_secs(1)),
            Fault::CloseAfter(300),
        ];
        let times = (!chance.one_in(3)).then(|| 1 + chance.below(4) as u32);
        match chance.below(10) {
            0 | 1 => Manner::Dead,
            2 => Manner::WrongKey,
            3 => Manner::Expiring(chance.of(&[0, 1, 2, 600, 7200, 1 << 20])),
            // AA clear is tolerated in transfers; a zone that has another serial throughout is another zone. No world
            // comes to serial 500.
            4 if chance.one_in(4) => {
                Manner::Lies(Kind::Soa, chance.of(&[Fault::NotAuthoritative, Fault::Serial(500)]), times)
            }
            4 => Manner::Lies(Kind::Soa, chance.of(PROBE), times),
            // Not of differences: without its opening SOA, a difference from our version says that we are up to date.
            5 if chance.one_in(4) => Manner::Lies(Kind::Axfr, Fault::NoOpeningSoa, times),
            5 | 6 => Manner::Lies(Kind::Transfer, chance.of(PROBE), times),
            7 => Manner::Lies(Kind::Ixfr, chance.of(TRANSFER), times),
            _ => Manner::Lies(Kind::Transfer, chance.of(TRANSFER), times),
        }
    }
}
