//! When to start something again that keeps dying.

use super::Millis;

/// A process that served at least this long was healthy; its death starts the count anew.
const HEALTHY_MS: Millis = 1_000;
/// Delay before the second try in a row; doubles with each further one.
const FIRST_DELAY_MS: Millis = 100;
/// Longest delay: a crash loop costs one try in this time and never ends the service.
const DELAY_MAX_MS: Millis = 5_000;

/// Counts the deaths in a row of one place (a worker number, the front).
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    quick_deaths: u32,
}

impl Backoff {
    /// Something died. `served_ms` is how long it had been ready, `None` if it never was.
    /// Returns how long to wait: the first death costs no wait at all.
    pub fn next_delay(&mut self, served_ms: Option<Millis>) -> Millis {
        if served_ms.is_some_and(|served| served >= HEALTHY_MS) {
            self.quick_deaths = 0;
            return 0;
        }
        self.quick_deaths = self.quick_deaths.saturating_add(1);
        match self.quick_deaths {
            1 => 0,
            again => {
                let doublings = (again - 2).min(16);
                (FIRST_DELAY_MS << doublings).min(DELAY_MAX_MS)
            }
        }
    }

    /// Deaths in a row without a healthy time between them.
    pub fn quick_deaths(&self) -> u32 {
        self.quick_deaths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_seconds_and_a_healthy_second_forgives_everything() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..9).map(|_| backoff.next_delay(None)).collect();
        assert_eq!(delays, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.next_delay(Some(1_000)), 0);
        assert_eq!(backoff.next_delay(Some(999)), 0);
        assert_eq!(backoff.next_delay(Some(999)), 100);
    }
}
