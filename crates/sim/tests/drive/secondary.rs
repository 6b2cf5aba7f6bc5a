//! What a job does with one question to a primary, without sockets: asks, reads the answer, judges and checks it.

use secondo_lifecycle::{Accept, Failure, Judgement, ProbeAnswer, Question};
use secondo_sim::{Key, Name, Over, World, Zone};
use secondo_transfer::{
    Arrived, Candidate, CheckedZone, Fault, Policy, Probe, ProbeStep, Request, Session, Step, Transport,
    Want, check,
};
use secondo_wire::Reason;
use secondo_zone::{BorderSecret, Limits};

use crate::state::SECRET;

pub(crate) enum Fetched {
    UpToDate {
        expire: Option<u32>,
        authoritative: bool,
    },
    /// A version that is fit to be served, as it arrived.
    Version(Box<CheckedZone>),
}

/// Who asks, and with what.
pub(crate) struct Asker<'a> {
    pub(crate) apex: &'a Name,
    pub(crate) key: &'a Key,
    pub(crate) unix: u64,
}

impl Asker<'_> {
    /// UDP, then TCP where UDP does not tell.
    pub(crate) fn probe(&self, primary: &mut World) -> Result<ProbeAnswer, Failure> {
        for (over, transport) in [(Over::Udp, Transport::Udp), (Over::Tcp, Transport::Tcp)] {
            let (mut probe, question) = Probe::new(self.apex, 99, Some(self.key), true, self.unix);
            let delivery = primary.respond(&question, None, over, self.unix);
            let whole = delivery.close_after.is_none() && delivery.pace.is_none();
            for message in delivery.messages.iter().filter(|_| whole) {
                if let ProbeStep::Done(verdict) = probe.receive(message, transport, self.unix) {
                    let found = verdict.map_err(|fault| Failure::from(fault.reason))?;
                    return Ok(ProbeAnswer { soa: found.soa, expire: found.expire });
                }
            }
        }
        Err(Reason::Timeout.into())
    }

    pub(crate) fn transfer(
        &self,
        primary: &mut World,
        question: Question,
        accept: Accept,
        current: Option<&Zone>,
    ) -> Result<Fetched, Failure> {
        let failure = |fault: Fault| Failure::from(fault.reason);
        let forced = accept == Accept::Any;
        match self.receive(primary, question, forced, current).map_err(failure)? {
            Arrived::UpToDate { expire, authoritative, .. } => {
                Ok(Fetched::UpToDate { expire, authoritative })
            }
            Arrived::Candidate(candidate) => {
                let serial = candidate.zone().serial();
                match accept.judge(serial, candidate.expire()) {
                    Judgement::UpToDate => Ok(Fetched::UpToDate {
                        expire: candidate.expire(),
                        authoritative: candidate.authoritative(),
                    }),
                    Judgement::Refuse(reason) => Err(Failure::from(reason).of_serial(serial)),
                    Judgement::Publish => fit(candidate, current, forced).map_err(failure),
                }
            }
        }
    }

    fn receive(
        &self,
        primary: &mut World,
        question: Question,
        forced: bool,
        current: Option<&Zone>,
    ) -> Result<Arrived, Fault> {
        let incremental = matches!(question, Question::Ixfr { .. });
        let (mut session, message) = Session::new(Request {
            zone: self.apex,
            want: if incremental { Want::Ixfr } else { Want::Axfr },
            current,
            secret: &BorderSecret::new(SECRET),
            limits: Limits::default(),
            key: Some(self.key),
            id: 77,
            edns: true,
            unix_now: self.unix,
            forced,
        });
        let delivery = primary.respond(&message, None, Over::Tcp, self.unix);
        if delivery.pace.is_some() {
            return Err(Fault::new(Reason::TooSlow, "octet by octet"));
        }
        let frames = delivery.frames();
        let mut rest = &frames[..];
        while let Some((length, behind)) = rest.split_first_chunk() {
            let Some((message, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))
            else {
                break;
            };
            match session.receive(message, self.unix)? {
                Step::More => rest = behind,
                Step::Done(arrived) => return Ok(arrived),
            }
        }
        Err(session.cut())
    }
}

fn fit(candidate: Candidate, current: Option<&Zone>, forced: bool) -> Result<Fetched, Fault> {
    check(candidate, current, &Policy { forced, ..Policy::default() })
        .map(|checked| Fetched::Version(Box::new(checked)))
}
