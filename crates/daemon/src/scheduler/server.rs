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
