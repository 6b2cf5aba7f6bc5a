//! Watches over the certificates that say who we are: whoever forgets to renew one is told in time, in the log and by
//! `status`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use secondo_lifecycle::Now;

use crate::config::OwnCertificate;
use crate::control::ServerProblem;
use crate::event::Event;
use crate::tls::Standing;

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often the same is said again.
const SAY_EVERY: Duration = Duration::from_secs(86_400);

/// What was last said of each.
#[derive(Debug, Default)]
pub(super) struct Watch {
    said: HashMap<PathBuf, (Standing, Duration)>,
    next: Duration,
}

impl Watch {
    /// Says what is new, at most once a day the same.
    pub(super) fn look(&mut self, certificates: &[OwnCertificate], now: Now) {
        if now.boot < self.next {
            return;
        }
        self.next = now.boot.saturating_add(LOOK_EVERY);
        for certificate in self.news(certificates, now) {
            let concern = certificate.concern(now.wall);
            let (name, phrase) = match certificate.standing(now.wall) {
                Standing::Ending => ("certificate.expiring", "a certificate of ours ends soon"),
                _ => ("certificate.expired", "a certificate of ours is out of its time"),
            };
            let event = Event { detail: concern.as_deref(), ..Event::new(name, phrase) };
            if name == "certificate.expiring" { event.warn() } else { event.error() }
        }
    }

    /// Those that something is to be said of now.
    fn news<'c>(&mut self, certificates: &'c [OwnCertificate], now: Now) -> Vec<&'c OwnCertificate> {
        self.said.retain(|file, _| certificates.iter().any(|certificate| certificate.file == *file));
        let mut news = Vec::new();
        for certificate in certificates {
            let standing = certificate.standing(now.wall);
            let said = self.said.get(&certificate.file).copied();
            if standing == Standing::Good {
                self.said.remove(&certificate.file);
            } else if said.is_none_or(|(was, at)| was != standing || now.boot >= at.saturating_add(SAY_EVERY))
            {
                self.said.insert(certificate.file.clone(), (standing, now.boot));
                news.push(certificate);
            }
        }
        news
    }
}

/// Those that need a person, at that moment, seconds since 1970.
pub(super) fn problems(certificates: &[OwnCertificate], unix: u64) -> impl Iterator<Item = ServerProblem> {
    certificates.iter().filter_map(move |certificate| {
        let code = match certificate.standing(unix) {
            Standing::Ending => "certificate-expiring",
            _ => "certificate-expired",
        };
        Some(ServerProblem { code: code.into(), detail: certificate.concern(unix)? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Validity;
    use secondo_lifecycle::BootId;

    const DAY: u64 = 86_400;

    #[test]
    fn an_end_is_said_when_it_comes_near_once_a_day_and_when_it_has_come() {
        let validity = Some(Validity { from: 1000 * DAY, until: 1365 * DAY });
        let mut certificates = [OwnCertificate::for_test("cert.pem", validity)];
        let mut watch = Watch::default();
        let mut told = |certificates: &[OwnCertificate], days: u64, hours: u64| {
            let seconds = days * DAY + hours * 3600;
            let now = Now { boot: Duration::from_secs(seconds), boot_id: BootId([0; 16]), wall: seconds };
            watch.news(certificates, now).len()
        };
        for (days, hours, expected) in [
            (1340, 0, 0),
            (1355, 0, 1),
            (1355, 23, 0),
            (1356, 0, 1),
            (1365, 1, 1),
            (1365, 20, 0),
            (1366, 1, 1),
        ] {
            assert_eq!(told(&certificates, days, hours), expected, "day {days}, {hours} h");
        }
        let shown =
            |days: u64| problems(&certificates, days * DAY).map(|problem| problem.code).collect::<Vec<_>>();
        assert_eq!(shown(1340), [""; 0]);
        assert_eq!(
            (shown(1355), shown(1366)),
            (vec!["certificate-expiring".into()], vec!["certificate-expired".into()])
        );
        certificates[0].validity = Some(Validity { from: 1360 * DAY, until: 1700 * DAY });
        assert_eq!(told(&certificates, 1366, 2), 0);
        certificates[0].validity = validity;
        assert_eq!(told(&certificates, 1366, 3), 1, "the old one again");
    }
}
