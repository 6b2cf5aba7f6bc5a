//! What `status` tells of the server itself, beside its zones.

use secondo_lifecycle::Now;

use super::{Scheduler, certificates};
use crate::clock;
use crate::control::{Limited, ServerProblem};
use crate::descriptors::{self, Descriptors};

impl Scheduler {
    /// What needs a person and is no zone's own.
    pub(super) fn server_problems(&self, now: Now) -> Vec<ServerProblem> {
        let config = self.config();
        certificates::problems(&config.certificates, now.wall)
            .chain(self.disk.problem(&config.server.state_dir, now.boot))
            .chain(self.parts.respond.problems(clock::boot_ms()))
            .chain(self.descriptors.problem())
            .collect()
    }

    /// Takes the descriptors that we may have, and says as `event` when the configuration may need more.
    pub(super) fn weigh_descriptors(&mut self, event: &'static str) {
        descriptors::raise();
        self.descriptors = Descriptors::of(self.config());
        self.descriptors.look(event);
    }

    /// What came of the rate limit, where there is one.
    pub(super) fn limited(&self) -> Option<Limited> {
        let is_on = self.config().answers.rate_limit.is_some();
        is_on.then(|| self.parts.respond.floods.limited(clock::boot_ms()))
    }
}

#[cfg(test)]
mod tests {
    use secondo_answer::Flawed;
    use tempfile::TempDir;

    use super::*;
    use crate::config::OwnCertificate;
    use crate::tls::Validity;

    #[tokio::test]
    async fn what_needs_a_person_is_told_whichever_part_of_the_server_it_is_of() {
        let folder = TempDir::new().unwrap();
        let (mut scheduler, _inbox) = super::super::storm::scheduler(&folder, "  []\n");
        let now = scheduler.now();
        let codes = |scheduler: &Scheduler| -> Vec<String> {
            scheduler.server_problems(now).into_iter().map(|problem| problem.code).collect()
        };
        assert_eq!(codes(&scheduler), [""; 0]);
        let ended = Some(Validity { from: 0, until: 1 });
        scheduler.parts.config.certificates = vec![OwnCertificate::for_test("cert.pem", ended)];
        let _ = scheduler.disk.refused_confirmation("full", now.boot);
        let flawed = Flawed { zone: "a.test".parse().unwrap(), counts: [1, 0, 0, 0] };
        scheduler.parts.respond.flaws.note(flawed, clock::boot_ms());
        scheduler.parts.config.server.limits.tcp_clients = usize::MAX >> 1;
        scheduler.weigh_descriptors("daemon.started");
        assert_eq!(codes(&scheduler), ["certificate-expired", "disk", "answers-flawed", "descriptors"]);
    }
}
