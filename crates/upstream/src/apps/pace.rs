//! How quickly an app answers this thread, and what follows from it: how many requests it gets
//! ahead, and whether a thread with nothing to do naps or sleeps.

use std::cell::Cell;
use std::time::Duration;

/// An app gets as many requests ahead as it answers in this time: the busier both sides are, the
/// less often they wake each other.
const AHEAD_US: u64 = 2_000;
/// And so many at most.
const AHEAD_MAX: u64 = 58;
/// How many answers the speed is measured by.
const ANSWERS: u64 = 32;
/// A measured speed is believed for so long.
const BELIEVED_US: u64 = 100_000;
/// A nap is to last for so many answers.
const NAP_ANSWERS: u64 = 3;
/// And so long at most: an answer, or a request for something else, may wait for its end. Longer
/// naps cost less CPU, but 50 µs on average is what a client of a busy app cannot notice.
const NAP_US_MAX: u64 = 150;
/// Shorter ones are not worth it.
const NAP_US_MIN: u64 = 20;

/// The speed of one app.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Answers since `since_us`.
    answers: Cell<u64>,
    since_us: Cell<u64>,
    /// What the last [`ANSWERS`] took; 0 if that is not known.
    took_us: Cell<u64>,
}

impl Pace {
    /// Counts an answer; true if the speed has been measured anew. `now_us` is only asked for
    /// then.
    pub fn note_answer(&self, now_us: impl FnOnce() -> u64) -> bool {
        let answers = self.answers.get() + 1;
        let enough = answers >= ANSWERS;
        self.answers.set(if enough { 0 } else { answers });
        if enough {
            let now = now_us();
            let took = now.saturating_sub(self.since_us.replace(now)).max(1);
            self.took_us.set(if took > BELIEVED_US { 0 } else { took });
        }
        enough
    }

    /// The speed may be that of a better time: forgets it then, and says so.
    pub fn is_forgotten(&self, now_us: u64) -> bool {
        let old = now_us.saturating_sub(self.since_us.get()) > BELIEVED_US;
        if old {
            self.took_us.set(0);
        }
        old
    }

    /// How many requests it gets ahead.
    pub fn ahead(&self) -> usize {
        let ahead = (ANSWERS * AHEAD_US).checked_div(self.took_us.get());
        ahead.unwrap_or(0).min(AHEAD_MAX) as usize
    }

    /// How long a thread with nothing to do naps rather than sleeps, if it should.
    ///
    /// While more requests wait than the app answers in that time, the thread has nothing to
    /// give to the workers that they could take, and no answer is far away. Being woken for each
    /// of them, and then for each next request, costs more than the requests: with Flask 6 µs of
    /// CPU where a nap costs 2.
    pub fn nap(&self, waiting: u32, now_us: impl FnOnce() -> u64) -> Option<Duration> {
        let took = self.took_us.get();
        let nap = took * NAP_ANSWERS / ANSWERS;
        if took == 0 || nap > NAP_US_MAX || u64::from(waiting) <= NAP_ANSWERS {
            return None;
        }
        if self.is_forgotten(now_us()) {
            return None;
        }
        Some(Duration::from_micros(nap.max(NAP_US_MIN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(took_us: u64) -> Pace {
        let pace = Pace::default();
        pace.since_us.set(1_000_000);
        for answer in 1..=ANSWERS {
            assert_eq!(pace.note_answer(|| 1_000_000 + took_us), answer == ANSWERS);
        }
        pace
    }

    #[test]
    fn the_app_gets_two_milliseconds_of_answers_ahead_and_a_slow_one_nothing() {
        let ahead = [1, 1_000, 4_000, 64_000, 64_001].map(|took| measured(took).ahead());
        assert_eq!(ahead, [58, 58, 16, 1, 0]);
        assert_eq!(measured(BELIEVED_US + 1).ahead(), 0);
    }

    #[test]
    fn a_thread_naps_only_while_a_quick_app_has_enough_to_do() {
        let nap = |took, waiting| {
            measured(took).nap(waiting, || 1_000_000 + took).map(|nap| nap.as_micros())
        };
        assert_eq!(nap(1_500, 10), Some(140));
        assert_eq!(nap(1_500, 3), None);
        assert_eq!(nap(100, 10), Some(20));
        assert_eq!(nap(3_200, 10), None);
        assert_eq!(Pace::default().nap(10, || 0), None);
    }

    #[test]
    fn an_old_speed_is_forgotten() {
        let pace = measured(1_000);
        assert!(!pace.is_forgotten(1_101_000));
        assert!(pace.is_forgotten(1_101_001));
        assert_eq!((pace.ahead(), pace.nap(10, || 1_000_000)), (0, None));
    }
}
