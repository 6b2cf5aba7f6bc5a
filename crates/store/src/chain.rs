//! The chain of differences of a zone: which steps there are, and where among them the image stands.
//!
//! ```text
//! first             image              next
//!   ○── ── ── ── ── ──●── ── ── ── ── ──○
//! oldest   lead back  │     lead on   newest
//! ```
//!
//! The steps behind the image make the newest version out of it; those before it are kept only because earlier versions
//! are wanted. Each step holds the checksum of the one before it, so that a chain is known by its last checksum: from
//! there back each step is the right one or is found out.

/// Which steps there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Number of the first step kept.
    pub(crate) first: u32,
    /// Number of the first step behind the image.
    pub(crate) image: u32,
    /// Number that the next step gets.
    pub(crate) next: u32,
    /// Checksum of the last step before the image; of the image itself when there never was one.
    pub(crate) image_sum: u32,
    /// Checksum of the last step; `image_sum` when there is none behind the image.
    pub(crate) last_sum: u32,
    /// Octets of the steps before the image.
    pub(crate) back: u64,
    /// Octets of those behind it.
    pub(crate) on: u64,
}

impl Chain {
    /// No step yet: for an image with this checksum.
    pub(crate) fn new(image_sum: u32) -> Chain {
        Chain { first: 0, image: 0, next: 0, image_sum, last_sum: image_sum, back: 0, on: 0 }
    }

    /// Whether the parts can be those of one chain.
    pub(crate) fn is_sound(&self) -> bool {
        let behind = self.image < self.next || self.last_sum == self.image_sum && self.on == 0;
        let before = self.first < self.image || self.back == 0;
        self.first <= self.image && self.image <= self.next && behind && before
    }

    /// Number of all steps: of versions before the newest.
    pub(crate) fn steps(&self) -> u32 {
        self.next.saturating_sub(self.first)
    }

    /// Number of steps behind the image.
    pub(crate) fn steps_on(&self) -> u32 {
        self.next.saturating_sub(self.image)
    }

    /// Octets of all steps.
    pub(crate) fn octets(&self) -> u64 {
        self.back.saturating_add(self.on)
    }

    /// Whether one more step can have a number.
    pub(crate) fn has_room(&self) -> bool {
        self.next < u32::MAX
    }

    /// With one more step, behind the last. Needs [`Chain::has_room`].
    pub(crate) fn appended(self, sum: u32, octets: u64) -> Chain {
        Chain { next: self.next + 1, last_sum: sum, on: self.on.saturating_add(octets), ..self }.checked()
    }

    /// With the image where the chain ended when it was `then`, an earlier state of it.
    pub(crate) fn rebased(self, then: &Chain) -> Chain {
        Chain {
            image: then.next,
            image_sum: then.last_sum,
            back: self.back.saturating_add(then.on),
            on: self.on.saturating_sub(then.on),
            ..self
        }
        .checked()
    }

    /// Without its first step, of so many octets; it stands before the image.
    pub(crate) fn shortened(self, octets: u64) -> Chain {
        let first = self.first + 1;
        let back = if first == self.image { 0 } else { self.back.saturating_sub(octets) };
        Chain { first, back, ..self }.checked()
    }

    /// Without all steps before `first`; those that stay before the image have so many octets.
    pub(crate) fn cut(self, first: u32, back: u64) -> Chain {
        Chain { first, back, ..self }.checked()
    }

    fn checked(self) -> Chain {
        debug_assert!(self.is_sound(), "{self:?}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_moves_on_and_the_steps_it_passes_lead_back() {
        let chain = Chain::new(7).appended(1, 10).appended(2, 20);
        assert_eq!((chain.steps(), chain.steps_on(), chain.back, chain.on), (2, 2, 0, 30));
        // A third step is added while the new image is written.
        let chain = chain.appended(3, 30).rebased(&chain);
        assert_eq!((chain.steps(), chain.steps_on(), chain.back, chain.on), (3, 1, 30, 30));
        assert_eq!((chain.image_sum, chain.last_sum), (2, 3));
        let again = chain.rebased(&chain);
        assert_eq!((again.back, again.on, again.image_sum), (60, 0, 3));
        let chain = chain.shortened(10);
        assert_eq!((chain.first, chain.steps(), chain.back), (1, 2, 20));
        let chain = chain.shortened(19);
        assert_eq!((chain.first, chain.back, chain.octets()), (2, 0, 30));
    }

    #[test]
    fn parts_of_no_chain_are_found_out() {
        let sound = Chain::new(7).appended(1, 10);
        assert!(sound.is_sound());
        let sound = sound.rebased(&sound);
        assert!(sound.is_sound());
        for wrong in [
            Chain { first: 2, ..sound },
            Chain { image: 2, ..sound },
            Chain { on: 1, ..sound },
            Chain { last_sum: 2, ..sound },
            Chain { first: 1, ..sound },
        ] {
            assert!(!wrong.is_sound(), "{wrong:?}");
        }
    }
}
