//! What the index knows about an object: little if it has not been asked for lately, so that a
//! million objects stay small, all of it and a small body if it has.

use std::collections::VecDeque;

use cache::{Hash, Index, Period, Weighed};

use super::disk::Stamp;
use super::image::Image;

/// Objects that become cold at once: as small as they are, they make room for a large one.
const COOLED_MAX: usize = 128;

/// Objects that get another turn at once.
const TURNS_MAX: usize = 2;

/// An object in the index.
#[derive(Debug)]
pub(super) enum Stored {
    /// There is a file, and it is read when somebody asks.
    Cold,
    /// It was asked for or stored lately. (Its fields stand here, and not in a type of their own,
    /// because a million objects are eight bytes smaller that way.)
    Warm { image: Image, seen_monotonic_ms: u64, period: Period },
}

/// When a file was last looked at, and its directory's period before that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub monotonic_ms: u64,
    pub period: Period,
}

impl Stored {
    /// An object that has been looked at.
    pub fn warm(image: Image, seen: Seen) -> Stored {
        Stored::Warm { image, seen_monotonic_ms: seen.monotonic_ms, period: seen.period }
    }

    /// All that is known, unless it is cold.
    pub fn image(&self) -> Option<&Image> {
        match self {
            Stored::Warm { image, .. } => Some(image),
            Stored::Cold => None,
        }
    }

    /// What its file was, unless it is cold.
    pub fn stamp(&self) -> Option<Stamp> {
        self.image().map(|image| image.view().stamp())
    }

    /// Notes that its file has been looked at and is the one that was stamped.
    pub fn see(&mut self, stamp: Stamp, now: Seen) {
        match self {
            Stored::Warm { image, seen_monotonic_ms, period } if image.view().stamp() == stamp => {
                (*seen_monotonic_ms, *period) = (now.monotonic_ms, now.period);
            }
            _ => {}
        }
    }
}

impl Weighed for Stored {
    fn memory_bytes(&self) -> u64 {
        self.image().map_or(0, Image::memory_bytes)
    }
}

/// The warm objects in the order in which they became so; and those that have gone since.
#[derive(Debug, Default)]
pub(super) struct WarmOrder {
    queue: VecDeque<(Hash, u64)>,
}

impl WarmOrder {
    /// Notes an object that has become warm.
    pub fn push(&mut self, index: &Index<Stored>, hash: Hash, now_monotonic_ms: u64) {
        if self.queue.len() > 2 * index.len() + 1000 {
            // Most of them have been evicted since.
            self.queue.retain(|(hash, _)| index.get(*hash).is_some_and(|it| it.image().is_some()));
        }
        self.queue.push_back((hash, now_monotonic_ms));
    }

    /// Makes objects cold until no more than `bytes_max` are used, in the order in which they
    /// became warm; one that was asked for since then gets another turn.
    pub fn cool(&mut self, index: &mut Index<Stored>, bytes_max: u64) {
        let mut turns = 0;
        for _ in 0..COOLED_MAX {
            if index.memory_bytes() <= bytes_max {
                return;
            }
            let Some((hash, since)) = self.queue.pop_front() else { return };
            let last_use = index.last_use(hash).unwrap_or_default();
            match index.get(hash) {
                Some(Stored::Warm { .. }) if last_use > since && turns < TURNS_MAX => {
                    turns += 1;
                    self.queue.push_back((hash, last_use));
                }
                Some(_) => {
                    index.change(hash, |stored| *stored = Stored::Cold);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cache::{Hash, Index, Period, Times};

    use super::{Seen, Stored, WarmOrder};
    use crate::store::disk::Stamp;
    use crate::store::image::Image;

    const SEEN: Seen = Seen { monotonic_ms: 0, period: Period::NONE };

    fn hash(number: u8) -> Hash {
        Hash([number; 16])
    }

    fn image() -> Image {
        let stamp = Stamp { inode: 0, bytes: 104, modified_seconds: 0, modified_ns: 0 };
        Image::new(Times::default(), stamp, b"", Some(b"body"))
    }

    #[test]
    fn the_first_to_be_warm_becomes_cold_first_unless_it_was_asked_for_again() {
        let (mut index, mut order) = (Index::default(), WarmOrder::default());
        for number in 1..=3 {
            index.insert(hash(number), Stored::warm(image(), SEEN), 4, 0);
            order.push(&index, hash(number), 0);
        }
        let each = image().memory_bytes();
        assert_eq!(index.memory_bytes(), 3 * each);
        index.touch(hash(1), 5000);
        order.cool(&mut index, 2 * each);
        let is_warm = |index: &Index<Stored>, number| {
            index.get(hash(number)).is_some_and(|stored| stored.image().is_some())
        };
        assert_eq!([1, 2, 3].map(|number| is_warm(&index, number)), [true, false, true]);
        assert_eq!(index.memory_bytes(), 2 * each);
        order.cool(&mut index, 0);
        assert_eq!(index.memory_bytes(), 0);
        assert_eq!(index.len(), 3);
    }

    #[test]
    fn what_the_index_knows_of_an_object_is_four_words() {
        assert_eq!(size_of::<Option<Stored>>(), 32);
    }
}
