//! How much this thread has searched: by this the bounds of what an answer may cost are tested. Counted in builds with assertions
//! alone.

#[cfg(debug_assertions)]
thread_local! {
    static SEARCHES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes that the page of a key is looked for.
#[inline]
pub(crate) fn search() {
    #[cfg(debug_assertions)]
    SEARCHES.set(SEARCHES.get() + 1);
}

/// For how many keys this thread has looked for the page since it was last asked.
#[cfg(debug_assertions)]
#[doc(hidden)]
pub fn take_searches() -> u64 {
    SEARCHES.replace(0)
}
