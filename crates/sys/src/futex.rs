//! futex(2): a thread that sleeps until another one rings. Unlike the standard library's
//! waiting it says when a signal has ended the sleep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One sleeper's bell. A ring that nobody hears is kept for the next [`Bell::wait`].
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicU32,
}

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody rang.
    Rung,
    /// The time is over.
    TimedOut,
    /// A signal came.
    Signal,
}

impl Bell {
    /// Rings; the sleeper, if there is one, wakes up.
    pub fn ring(&self) {
        if self.rung.swap(1, Ordering::AcqRel) == 0 {
            let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
            // SAFETY: wakes waiters of a word that lives as long as `self`; nothing is written.
            unsafe { libc::syscall(libc::SYS_futex, self.rung.as_ptr(), wake, 1) };
        }
    }

    /// Sleeps until a ring, a signal, or the end of `timeout` (`None` is for ever). Hears one
    /// ring, and all that came before it.
    pub fn wait(&self, timeout: Option<Duration>) -> Woken {
        if self.rung.swap(0, Ordering::AcqRel) == 1 {
            return Woken::Rung;
        }
        let limit = timeout.map(|time| libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: the word lives as long as `self`, the time (or null) until the call returns.
        let result = unsafe { libc::syscall(libc::SYS_futex, self.rung.as_ptr(), wait, 0, limit) };
        let error = std::io::Error::last_os_error().raw_os_error();
        if self.rung.swap(0, Ordering::AcqRel) == 1 {
            return Woken::Rung;
        }
        match error {
            Some(libc::ETIMEDOUT) if result < 0 => Woken::TimedOut,
            // Also a wake without a cause: callers look around and sleep again.
            _ => Woken::Signal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_nobody_heard_ends_the_next_sleep_at_once_and_only_that() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert_eq!(bell.wait(None), Woken::Rung);
        assert_eq!(bell.wait(Some(Duration::from_millis(1))), Woken::TimedOut);
    }

    #[test]
    fn a_sleeper_hears_the_ring_of_another_thread() {
        let bell = Bell::default();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| bell.wait(None));
            bell.ring();
            assert_eq!(sleeper.join().unwrap(), Woken::Rung);
        });
    }
}
