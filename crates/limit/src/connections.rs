//! `limit_conn`: how many requests each key has under way.

use recent::{Entries, Hash};

use crate::entries_max;

/// Keys per MiB of a zone, as nginx documents. One takes 80 bytes at the worst: a full zone may be
/// a quarter larger than it says.
const KEYS_PER_MIB: u64 = 16_000;

/// The counts of a zone. Only keys that have something under way are in it; when it is full,
/// further keys are turned away: a count that was forgotten would be wrong for ever.
#[derive(Debug)]
pub struct Counts {
    /// Invariant: no count is zero.
    entries: Entries<u32>,
    entries_max: usize,
}

/// What asking for one more came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts until [`Counts::give_back`] is called for it.
    Yes,
    /// The key has as many as it may.
    TooMany,
    /// The zone has no room for another key.
    ZoneIsFull,
}

impl Counts {
    /// Nothing under way, in a zone of so many bytes.
    pub fn new(zone_bytes: u64) -> Counts {
        let entries_max = entries_max(zone_bytes, KEYS_PER_MIB);
        Counts { entries: Entries::default(), entries_max }
    }

    /// Counts one more for a key, up to `max`.
    pub fn take(&mut self, key: Hash, max: u32) -> Taken {
        let Some(number) = self.entries.find(key) else {
            if max == 0 {
                return Taken::TooMany;
            }
            if self.entries.count() >= self.entries_max {
                return Taken::ZoneIsFull;
            }
            self.entries.add(key, 1);
            return Taken::Yes;
        };
        let count = self.entries.value_mut(number);
        if *count >= max {
            return Taken::TooMany;
        }
        *count += 1;
        Taken::Yes
    }

    /// One that was taken has ended.
    pub fn give_back(&mut self, key: Hash) {
        let Some(number) = self.entries.find(key) else {
            debug_assert!(false, "only what was taken is given back");
            return;
        };
        match self.entries.value_mut(number) {
            0 | 1 => {
                self.entries.remove(key);
            }
            count => *count -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Counts, Taken};
    use crate::random::Random;

    #[test]
    fn counts_are_what_was_taken_and_not_given_back() {
        let mut random = Random(1);
        let (mut counts, mut model) = (Counts::new(32 * 1024), HashMap::<u64, u32>::new());
        assert_eq!(counts.entries_max, 500);
        let mut full = 0;
        for step in 0..100_000 {
            let number = random.below(700);
            let key = u128::from(number).to_le_bytes();
            let under_way = model.get(&number).copied().unwrap_or(0);
            // Seldom enough at times that the zone fills up, often enough that it empties.
            if random.below(10) < 3 + step / 20_000 {
                if under_way > 0 {
                    counts.give_back(key);
                    model.insert(number, under_way - 1);
                }
            } else {
                let max = 1 + random.below(4) as u32;
                let keys = model.values().filter(|count| **count > 0).count();
                let expected = match under_way {
                    0 if keys == 500 => Taken::ZoneIsFull,
                    under_way if under_way >= max => Taken::TooMany,
                    _ => Taken::Yes,
                };
                full += u32::from(expected == Taken::ZoneIsFull);
                assert_eq!(counts.take(key, max), expected);
                if expected == Taken::Yes {
                    model.insert(number, under_way + 1);
                }
            }
        }
        assert!(full > 0, "the zone was never full");
        for (number, under_way) in model {
            (0..under_way).for_each(|_| counts.give_back(u128::from(number).to_le_bytes()));
        }
        assert_eq!(counts.entries.count(), 0);
    }
}
