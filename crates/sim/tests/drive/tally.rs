//! What came to pass, so that a reader sees that the worlds are not empty.

use std::ops::AddAssign;

macro_rules! tally {
    ($($(#[doc = $text:literal])+ $field:ident,)+) => {
        /// Counts over one world or many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Tally { $($(#[doc = $text])+ pub(crate) $field: u64,)+ }

        impl AddAssign<&Tally> for Tally {
            fn add_assign(&mut self, other: &Tally) {
                $(self.$field += other.$field;)+
            }
        }

        impl Tally {
            /// What never came to pass.
            pub(crate) fn missing(&self) -> Vec<&'static str> {
                [$((stringify!($field), self.$field)),+].iter().filter(|(_, n)| *n == 0).map(|(name, _)| *name).collect()
            }
        }
    };
}

tally! {
    /// Worlds.
    worlds,
    /// Zones in them.
    zones,
    /// Primaries that were taken to be down, for all zones together.
    deaths,
    /// Questions that they were spared meanwhile.
    spared,
    /// Days in them.
    days,
    /// Primaries that said that we have what they have.
    refreshes,
    /// Versions that came whole.
    axfrs,
    /// Versions that came as differences.
    ixfrs,
    /// AXFR in the place of an IXFR that could not be had.
    fallbacks,
    /// Attempts that failed.
    failures,
    /// Zones that expired.
    expiries,
    /// And were valid again.
    revivals,
    /// NOTIFYs that were true.
    notifies,
    /// And those that were not: from strangers, of serials that nobody has.
    forged,
    /// Changes that no NOTIFY told.
    untold,
    /// Hints that were lies and are forgotten.
    forgotten,
    /// New settings.
    reconfigured,
    /// Answers that were lies.
    lies,
    /// Versions that were served and were on no disk.
    volatile,
    /// Versions before the newest that were made again.
    remade,
    /// Ends of the process.
    restarts,
    /// Of these with a machine that started again.
    reboots,
    /// Steps of the wall clock.
    steps,
    /// Ends after which a version was there.
    restored,
    /// Power cuts while a version was written.
    cut,
    /// Zones that were found damaged.
    damaged,
}
