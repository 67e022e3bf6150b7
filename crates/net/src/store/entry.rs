//! What the index knows about an object: little if it has not been asked for lately, so that a
//! million objects stay small, all of it and a small body if it has.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cache::{Hash, Index, Period, Times, Weighed};

use super::disk::{Checked, Loaded, Stamp};

/// Bytes that a warm object needs in memory besides its description and its body.
const WARM_BYTES: u64 = 700;

/// Objects that become cold at once: as small as they are, they make room for a large one.
const COOLED_MAX: usize = 128;

/// Objects that get another turn at once.
const TURNS_MAX: usize = 2;

/// An object in the index.
#[derive(Debug)]
pub(super) enum Stored {
    /// There is a file, and it is read when somebody asks.
    Cold,
    /// It was asked for or stored lately.
    Warm(Box<Warm>),
}

/// All that is known of an object.
#[derive(Clone, Debug)]
pub(super) struct Warm {
    pub loaded: Arc<Loaded>,
    pub times: Times,
    pub stamp: Stamp,
    pub seen: Seen,
    pub kept: Arc<Kept>,
}

/// When a file was last looked at, and its directory's period before that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub monotonic_ms: u64,
    pub period: Period,
}

/// A small body, and the object's share of the memory its zone may use.
#[derive(Debug)]
pub(super) struct Kept {
    pub body: Option<Bytes>,
    bytes: u64,
}

impl Weighed for Stored {
    fn memory_bytes(&self) -> u64 {
        self.warm().map_or(0, |warm| warm.kept.bytes)
    }
}

impl Stored {
    /// All that is known, unless it is cold.
    pub fn warm(&self) -> Option<&Warm> {
        match self {
            Stored::Warm(warm) => Some(warm),
            Stored::Cold => None,
        }
    }

    /// The same, to change it, if its file is still the one that was stamped.
    pub fn warm_of(&mut self, stamp: Stamp) -> Option<&mut Warm> {
        match self {
            Stored::Warm(warm) if warm.stamp == stamp => Some(warm),
            _ => None,
        }
    }
}

impl Warm {
    /// From a file that has just been checked.
    pub fn new(file: Checked, seen: Seen) -> Warm {
        let body_bytes = file.body.as_ref().map_or(0, Bytes::len) as u64;
        let bytes = WARM_BYTES + file.loaded.body_offset + body_bytes;
        Warm {
            loaded: file.loaded,
            times: file.times,
            stamp: file.stamp,
            seen,
            kept: Arc::new(Kept { body: file.body, bytes }),
        }
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
            self.queue.retain(|(hash, _)| index.get(*hash).is_some_and(|it| it.warm().is_some()));
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
                Some(Stored::Warm(_)) if last_use > since && turns < TURNS_MAX => {
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
    use std::sync::Arc;

    use bytes::Bytes;
    use cache::{Hash, Index, Period, Times};
    use message::{BodyLength, ResponseHead};

    use super::{Seen, Stored, WARM_BYTES, Warm, WarmOrder};
    use crate::store::disk::{Checked, Loaded, Stamp};
    use crate::store::format::{Description, FixedHead};

    const BODY: Bytes = Bytes::from_static(b"body");

    fn hash(number: u8) -> Hash {
        Hash([number; 16])
    }

    fn checked() -> Checked {
        let fixed = FixedHead {
            times: Times::default(),
            body_len: 4,
            description_len: 0,
            body_sum: hash(0),
            description_sum: hash(0),
        };
        let head = ResponseHead::new(200, BodyLength::Length(4));
        let description = Description { key: BODY, vary: String::new(), variant: hash(0), head };
        let loaded = Arc::new(Loaded::new(description, fixed, 100));
        let stamp = Stamp::of_nothing();
        Checked { loaded, times: Times::default(), stamp, body: Some(BODY) }
    }

    #[test]
    fn the_first_to_be_warm_becomes_cold_first_unless_it_was_asked_for_again() {
        let (mut index, mut order) = (Index::default(), WarmOrder::default());
        for number in 1..=3 {
            let warm = Warm::new(checked(), Seen { monotonic_ms: 0, period: Period::NONE });
            index.insert(hash(number), Stored::Warm(Box::new(warm)), 4, 0);
            order.push(&index, hash(number), 0);
        }
        assert_eq!(index.memory_bytes(), 3 * (WARM_BYTES + 104));
        index.touch(hash(1), 5000);
        order.cool(&mut index, 2 * (WARM_BYTES + 104));
        let is_warm = |index: &Index<Stored>, number| {
            index.get(hash(number)).is_some_and(|stored| stored.warm().is_some())
        };
        assert_eq!([1, 2, 3].map(|number| is_warm(&index, number)), [true, false, true]);
        assert_eq!(index.memory_bytes(), 2 * (WARM_BYTES + 104));
        order.cool(&mut index, 0);
        assert_eq!(index.memory_bytes(), 0);
        assert_eq!(index.len(), 3);
    }
}
