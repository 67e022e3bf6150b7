//! How long a source waits for its client before what it makes goes to a file.
//!
//! A client that keeps pace is full for a moment now and then. If its source went on into the
//! file meanwhile, nearly the whole of a long body would be written and read once more than
//! need be. A client that is slow must not hold a worker for that. So waiting is granted out of
//! an account: what the client takes is paid in, waiting is paid out.
//!
//! Invariant: a source waits no longer than [`GRACE_MAX`] and the time that the bytes of its
//! body take at 1 byte in [`TIME_PER_BYTE`], all in all, but for a tick of the clock each time.

use std::time::{Duration, Instant};

/// Most that is ever in the account, and what is in it at first.
const GRACE_MAX: Duration = Duration::from_millis(50);
/// What a byte that the client took is worth: one that takes less than 100 MB in a second is slow.
const TIME_PER_BYTE: Duration = Duration::from_nanos(10);
/// Less is not waited for: a timer ends after a millisecond or two.
const WORTH_WAITING: Duration = Duration::from_millis(5);

/// The account of one body.
#[derive(Debug)]
pub struct Grace {
    left: Duration,
    /// When the source began to wait, while it waits.
    since: Option<Instant>,
}

impl Grace {
    /// A full account.
    pub fn new() -> Grace {
        Grace { left: GRACE_MAX, since: None }
    }

    /// The client takes nothing: until when the source waits for it, `None` if it does not.
    pub fn handle_full(&mut self, now: Instant) -> Option<Instant> {
        if self.left < WORTH_WAITING {
            return None;
        }
        let end = *self.since.get_or_insert(now) + self.left;
        if end <= now {
            self.left = Duration::ZERO;
            self.since = None;
            return None;
        }
        Some(end)
    }

    /// The client has taken so many bytes. `now` is only asked for if the source waited.
    pub fn handle_taken(&mut self, bytes: u64, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(now().saturating_duration_since(since));
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.left = GRACE_MAX.min(self.left + TIME_PER_BYTE.saturating_mul(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a source waits for a client that takes `step` bytes every `pause`, and whether
    /// it stops waiting at some time.
    fn waited(step: u64, pause: Duration, bytes: u64) -> (Duration, bool) {
        let mut grace = Grace::new();
        let (mut now, mut waited, mut stopped) = (Instant::now(), Duration::ZERO, false);
        for _ in 0..bytes / step {
            let after = now + pause;
            match grace.handle_full(now) {
                Some(end) if end <= after => {
                    waited += end - now;
                    assert_eq!(grace.handle_full(end), None);
                    stopped = true;
                }
                Some(_) => waited += pause,
                None => stopped = true,
            }
            now = after;
            grace.handle_taken(step, || now);
        }
        (waited, stopped)
    }

    #[test]
    fn a_client_that_keeps_pace_is_waited_for_as_long_as_it_does() {
        let (_, stopped) = waited(1 << 20, Duration::from_millis(9), 1 << 30);
        assert!(!stopped);
    }

    #[test]
    fn a_slow_client_holds_its_source_no_longer_than_the_account_allows() {
        for (step, milliseconds) in [(1 << 10, 1), (64 << 10, 10), (64 << 10, 1), (1 << 20, 100)] {
            let bytes = 64 << 20;
            let (waited, stopped) = waited(step, Duration::from_millis(milliseconds), bytes);
            assert!(stopped, "{step} bytes every {milliseconds} ms");
            let most = GRACE_MAX + TIME_PER_BYTE * u32::try_from(bytes).unwrap();
            assert!(waited <= most, "{step} bytes every {milliseconds} ms: {waited:?}");
        }
    }

    #[test]
    fn a_client_that_takes_nothing_is_waited_for_once() {
        let mut grace = Grace::new();
        let now = Instant::now();
        assert_eq!(grace.handle_full(now), Some(now + GRACE_MAX));
        assert_eq!(grace.handle_full(now + GRACE_MAX / 2), Some(now + GRACE_MAX));
        assert_eq!(grace.handle_full(now + GRACE_MAX), None);
        assert_eq!(grace.handle_full(now + GRACE_MAX * 2), None);
    }

    #[test]
    fn no_timer_is_made_for_less_than_a_timer_can_tell() {
        let mut grace = Grace::new();
        let now = Instant::now();
        assert!(grace.handle_full(now).is_some());
        grace.handle_taken(1, || now + GRACE_MAX - WORTH_WAITING / 2);
        assert_eq!(grace.handle_full(now + GRACE_MAX), None);
    }
}
