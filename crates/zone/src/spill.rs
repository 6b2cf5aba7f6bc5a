//! Where owners go that came out of order and are too many to be kept in memory: a place that the caller gives.

/// A place outside of memory for octets that are needed once more and then never again; a file of the caller, say.
///
/// What is read back is checked against sums that are kept in memory: a place that forgets or confuses spoils the build,
/// and never the zone.
pub trait Spill: Send + Sync {
    /// Puts octets behind all those before. After an error nothing more is put; what was put before is still read.
    fn append(&mut self, octets: &[u8]) -> Result<(), SpillError>;

    /// Fills `octets` with those that begin at `at`, counted from the first ever put.
    fn read(&mut self, at: u64, octets: &mut [u8]) -> Result<(), SpillError>;
}

/// A place for octets out of memory failed; in the words of who gave it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpillError(pub String);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Octets in memory; with faults to order.
    #[derive(Clone, Default)]
    pub(crate) struct Pool {
        pub(crate) octets: Arc<Mutex<Vec<u8>>>,
        /// Octets that find room.
        pub(crate) room: Option<usize>,
        /// Whether reading fails.
        pub(crate) unreadable: bool,
        /// Whether each read has a flipped bit.
        pub(crate) flips: bool,
    }

    impl Spill for Pool {
        fn append(&mut self, octets: &[u8]) -> Result<(), SpillError> {
            let mut all = self.octets.lock().unwrap();
            if let Some(room) = self.room.filter(|room| all.len() + octets.len() > *room) {
                // Some of them are there, and later ones would find room again, at the wrong place.
                let fit = room.saturating_sub(all.len());
                all.extend_from_slice(&octets[..fit]);
                self.room = None;
                return Err(SpillError("full".into()));
            }
            all.extend_from_slice(octets);
            Ok(())
        }

        fn read(&mut self, at: u64, octets: &mut [u8]) -> Result<(), SpillError> {
            if self.unreadable {
                return Err(SpillError("unreadable".into()));
            }
            octets.copy_from_slice(&self.octets.lock().unwrap()[at as usize..][..octets.len()]);
            if self.flips {
                octets[octets.len() / 2] ^= 4;
            }
            Ok(())
        }
    }
}
