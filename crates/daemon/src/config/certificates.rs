//! The certificates that say who we are, towards clients or towards primaries: kept to tell when one nears its end, or
//! was renewed.

use std::path::{Path, PathBuf};

use super::problem::Findings;
use crate::calendar::utc;
use crate::tls::{Fingerprint, Identity, Standing, Validity};

/// A `cert-file` that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// Where it was read from.
    pub file: PathBuf,
    /// When its whole chain is good; `None`: that cannot be read.
    pub validity: Option<Validity>,
    fingerprint: Fingerprint,
}

impl OwnCertificate {
    /// Of an identity that was read from `file`.
    pub(super) fn new(file: PathBuf, identity: &Identity) -> OwnCertificate {
        OwnCertificate { file, validity: identity.validity(), fingerprint: identity.fingerprint() }
    }

    /// One with these dates.
    #[cfg(test)]
    pub(crate) fn for_test(file: &str, validity: Option<Validity>) -> OwnCertificate {
        let identity = crate::tls::testing::Authority::new().issue("x.example").identity();
        OwnCertificate { validity, ..OwnCertificate::new(file.into(), &identity) }
    }

    /// How things stand at that moment, seconds since 1970.
    pub fn standing(&self, unix: u64) -> Standing {
        self.validity.map_or(Standing::Good, |validity| validity.standing(unix))
    }

    /// What a person should know of it at that moment, seconds since 1970, if anything.
    pub fn concern(&self, unix: u64) -> Option<String> {
        let Validity { from, until } = self.validity?;
        let who = "those whom it is shown to, and who look, turn away";
        let file = self.file.display();
        match self.standing(unix) {
            Standing::Good => None,
            Standing::Ending => {
                let left = until.saturating_sub(unix);
                let (left, unit) =
                    if left >= 86_400 { (left / 86_400, "days") } else { (left / 3600, "hours") };
                Some(format!(
                    "the certificate in {file} ends {}, in {left} {unit}: renew it and reload",
                    utc(until)
                ))
            }
            Standing::Early => Some(format!(
                "the certificate in {file} begins {}, here it is {}: {who}; see to the clock, or wait",
                utc(from),
                utc(unix)
            )),
            Standing::Over => {
                Some(format!("the certificate in {file} ended {}: {who}; renew it and reload", utc(until)))
            }
        }
    }

    /// The certificates of `new` that are not in `old`, in words.
    pub fn renewed(old: &[OwnCertificate], new: &[OwnCertificate]) -> Vec<String> {
        let words = |new: &OwnCertificate| match new.validity {
            Some(validity) => format!("{}, good {validity}", new.file.display()),
            None => new.file.display().to_string(),
        };
        new.iter().filter(|new| !old.contains(new)).map(words).collect()
    }
}

impl Findings {
    /// Takes note of who we are by `file`.
    pub(super) fn own_certificate(&mut self, file: &Path, identity: &Identity) {
        let certificate = OwnCertificate::new(file.to_owned(), identity);
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn a_certificate_is_of_concern_before_after_and_shortly_before_the_end_of_its_time() {
        let validity = Some(Validity { from: 1000 * DAY, until: 1365 * DAY });
        let certificate = OwnCertificate::for_test("cert.pem", validity);
        let concern = |day: u64| certificate.concern(day * DAY).unwrap_or_default();
        assert_eq!(concern(1300), "");
        for (day, words) in [
            (999, "the certificate in cert.pem begins 1972-09-27 00:00:00 UTC, here it is 1972-09-26"),
            (
                1360,
                "the certificate in cert.pem ends 1973-09-27 00:00:00 UTC, in 5 days: renew it and reload",
            ),
            (1366, "the certificate in cert.pem ended 1973-09-27 00:00:00 UTC: those whom it is shown to"),
        ] {
            assert!(concern(day).starts_with(words), "{}", concern(day));
        }
    }

    #[test]
    fn a_certificate_is_renewed_when_its_file_holds_another() {
        let authority = crate::tls::testing::Authority::new();
        let read = |year| {
            OwnCertificate::new("cert.pem".into(), &authority.issue_until("x.example", year).identity())
        };
        let (old, new) = (read(2030), read(2031));
        assert!(OwnCertificate::renewed(from_ref(&old), from_ref(&old)).is_empty());
        let words = "cert.pem, good from 2000-01-01 00:00:00 UTC until 2031-01-01 00:00:00 UTC";
        assert_eq!(OwnCertificate::renewed(&[old], &[new]), [words]);
    }
}
