//! The script of a primary: when which lie is told.

use secondo_wire::RecordType;

use crate::diary::Over;
use crate::fault::Fault;

/// What a rule of the script applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Soa,
    /// The SOA asked for over UDP.
    SoaUdp,
    /// The SOA asked for over TCP.
    SoaTcp,
    Axfr,
    Ixfr,
    /// Both kinds of transfer.
    Transfer,
    /// Every question.
    Any,
}

impl Kind {
    fn covers(self, rtype: RecordType, over: Over) -> bool {
        match self {
            Kind::Soa => rtype == RecordType::SOA,
            Kind::SoaUdp => rtype == RecordType::SOA && over == Over::Udp,
            Kind::SoaTcp => rtype == RecordType::SOA && over == Over::Tcp,
            Kind::Axfr => rtype == RecordType::AXFR,
            Kind::Ixfr => rtype == RecordType::IXFR,
            Kind::Transfer => Kind::Axfr.covers(rtype, over) || Kind::Ixfr.covers(rtype, over),
            Kind::Any => true,
        }
    }
}

#[derive(Clone, Debug)]
struct Rule {
    kind: Kind,
    faults: Vec<Fault>,
    /// Answers left that it spoils; `None`: all to come.
    left: Option<u32>,
}

/// When which faults are told: of the rules that cover a question, the one given first.
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<Rule>);

impl Script {
    /// No rule: honest.
    pub fn honest() -> Script {
        Script::default()
    }

    /// And this fault in each answer of the kind.
    pub fn always(self, kind: Kind, fault: Fault) -> Script {
        self.together(kind, &[fault])
    }

    /// And these faults, all at once, in each answer of the kind.
    pub fn together(self, kind: Kind, faults: &[Fault]) -> Script {
        self.mixed(kind, faults, None)
    }

    /// And this fault in the next `times` answers of the kind.
    pub fn times(self, kind: Kind, fault: Fault, times: u32) -> Script {
        self.mixed(kind, &[fault], Some(times))
    }

    /// And these faults, all at once, in the next `times` answers of the kind; `None`: in each.
    pub fn mixed(mut self, kind: Kind, faults: &[Fault], times: Option<u32>) -> Script {
        self.0.push(Rule { kind, faults: faults.to_vec(), left: times });
        self
    }

    /// The faults for the next answer to a question of this type; used up by asking.
    pub(crate) fn next(&mut self, rtype: RecordType, over: Over) -> Vec<Fault> {
        let rule = self.0.iter_mut().find(|rule| rule.kind.covers(rtype, over) && rule.left != Some(0));
        let Some(rule) = rule else { return Vec::new() };
        rule.left = rule.left.map(|left| left - 1);
        rule.faults.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_covers_a_question_is_used_up_before_the_next() {
        let mut script = Script::honest()
            .times(Kind::Axfr, Fault::Silence, 2)
            .always(Kind::Transfer, Fault::Truncate)
            .together(Kind::SoaTcp, &[Fault::Twice, Fault::Trailing])
            .always(Kind::Soa, Fault::WrongId);
        let mut next = |rtype| script.next(rtype, Over::Tcp);
        assert_eq!(next(RecordType::IXFR), [Fault::Truncate]);
        assert_eq!(next(RecordType::AXFR), [Fault::Silence]);
        assert_eq!(next(RecordType::AXFR), [Fault::Silence]);
        assert_eq!(next(RecordType::AXFR), [Fault::Truncate]);
        assert_eq!(next(RecordType::SOA), [Fault::Twice, Fault::Trailing]);
        assert_eq!(next(RecordType::A), []);
        assert_eq!(script.next(RecordType::SOA, Over::Udp), [Fault::WrongId]);
    }
}
