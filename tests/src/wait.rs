//! Waiting for a condition: the only way in which these tests let time pass.

use std::time::{Duration, Instant};

/// What a loaded machine needs at most for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(40);

/// Looks again and again until `look` finds something.
///
/// # Panics
/// After `limit`, with what was waited for and what `why_not` tells (the tail of a log).
pub fn until<T>(
    what: &str,
    limit: Duration,
    why_not: impl Fn() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    within(limit, &mut look).unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}\n{}", why_not()))
}

/// The same without a panic: `None` after `limit`.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        let found = look();
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_until_something_is_found() {
        let mut looks = 0;
        let found = until("the third look", SOON, String::new, || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "in vain for nothing\nthe reason")]
    fn gives_up_with_the_reason() {
        until("nothing", Duration::ZERO, || "the reason".into(), || None::<()>);
    }
}
