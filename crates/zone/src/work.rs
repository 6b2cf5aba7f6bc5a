//! How much this thread has searched: by this the bounds of what an answer may cost are tested. Counted in builds with assertions
//! alone.

use std::cell::Cell;

thread_local! {
    static SEARCHES: Cell<u64> = const { Cell::new(0) };
}

/// Notes that the page of a key is looked for.
#[inline]
pub(crate) fn search() {
    if cfg!(debug_assertions) {
        SEARCHES.set(SEARCHES.get() + 1);
    }
}

/// For how many keys this thread has looked for the page since it was last asked; without assertions none.
pub fn take_searches() -> u64 {
    SEARCHES.replace(0)
}
