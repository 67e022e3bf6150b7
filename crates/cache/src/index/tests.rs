//! The index against one that looks at every entry.

use super::{Budget, Index, TOUCH_GRAIN_MS, Weighed};
use crate::Hash;

const PLENTY: Budget = Budget { entries_max: 100, bytes_max: None, inactive_ms: 1_000_000_000 };

impl Weighed for () {
    fn memory_bytes(&self) -> u64 {
        0
    }
}

impl Weighed for u64 {
    fn memory_bytes(&self) -> u64 {
        *self
    }
}

fn hash(number: u8) -> Hash {
    Hash([number; 16])
}

fn three() -> Index<()> {
    let mut index = Index::default();
    for number in 1..=3 {
        index.insert(hash(number), (), 100, u64::from(number) * 1000);
    }
    index
}

#[test]
fn the_entry_unused_for_longest_goes_first() {
    let mut index = three();
    index.touch(hash(1), 9000);
    let budget = Budget { bytes_max: Some(250), ..PLENTY };
    assert_eq!(index.evict(&budget, 9000, 10), [hash(2)]);
    assert_eq!(index.bytes(), 200);
    let budget = Budget { entries_max: 1, ..PLENTY };
    assert_eq!(index.evict(&budget, 9000, 10), [hash(3)]);
    assert_eq!(index.evict_oldest(), Some(hash(1)));
    assert!(index.is_empty());
}

#[test]
fn what_nobody_asks_for_goes_after_its_time() {
    let mut index = three();
    let budget = Budget { inactive_ms: 5000, ..PLENTY };
    assert_eq!(index.evict(&budget, 6000, 10), []);
    assert_eq!(index.evict(&budget, 7500, 10), [hash(1), hash(2)]);
    assert_eq!(index.len(), 1);
}

#[test]
fn uses_are_counted_before_and_after_storing() {
    let mut index: Index<()> = Index::default();
    assert_eq!(index.touch(hash(1), 0), (1, None));
    assert_eq!(index.touch(hash(1), 0), (2, None));
    index.insert(hash(1), (), 1, 0);
    assert_eq!(index.touch(hash(1), 0).0, 3);
    index.forget(hash(1));
    assert_eq!(index.touch(hash(1), 0), (4, None));
    assert_eq!(index.bytes(), 0);
}

/// What an index should do, done by looking at every entry.
#[derive(Default)]
struct Model {
    /// The newest at the end.
    entries: Vec<Modelled>,
}

#[derive(Clone, Copy)]
struct Modelled {
    hash: Hash,
    object: Option<Sizes>,
    used: u64,
    uses: u32,
}

#[derive(Clone, Copy)]
struct Sizes {
    file: u64,
    memory: u64,
}

impl Model {
    fn entry(&mut self, hash: Hash) -> Option<&mut Modelled> {
        self.entries.iter_mut().find(|entry| entry.hash == hash)
    }

    fn object(&mut self, hash: Hash) -> Option<&mut Sizes> {
        self.entry(hash)?.object.as_mut()
    }

    fn touch(&mut self, hash: Hash, now: u64) -> (u32, Option<u64>) {
        let absent = Modelled { hash, object: None, used: now, uses: 0 };
        let mut entry = self.entry(hash).copied().unwrap_or(absent);
        entry.uses += 1;
        match self.entry(hash) {
            Some(same) if now < entry.used + TOUCH_GRAIN_MS => *same = entry,
            _ => self.put_last(Modelled { used: now, ..entry }),
        }
        (entry.uses, entry.object.map(|object| object.memory))
    }

    fn insert(&mut self, hash: Hash, object: Sizes, now: u64) {
        let uses = self.entry(hash).map_or(0, |entry| entry.uses);
        self.put_last(Modelled { hash, object: Some(object), used: now, uses });
    }

    fn put_last(&mut self, entry: Modelled) {
        self.entries.retain(|other| other.hash != entry.hash);
        self.entries.push(entry);
    }

    fn evict(&mut self, budget: &Budget, now: u64, at_most: usize) -> Vec<Hash> {
        let mut gone = Vec::new();
        for _ in 0..at_most {
            let Some(&oldest) = self.entries.first() else { break };
            let too_big = budget.bytes_max.is_some_and(|max| self.sum(|object| object.file) > max);
            let too_many = self.entries.len() > budget.entries_max;
            if !(too_big || too_many || now - oldest.used > budget.inactive_ms) {
                break;
            }
            self.entries.remove(0);
            gone.extend(oldest.object.map(|_| oldest.hash));
        }
        gone
    }

    fn sum(&self, of: impl Fn(Sizes) -> u64) -> u64 {
        self.entries.iter().filter_map(|entry| entry.object).map(of).sum()
    }
}

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }
}

#[test]
fn whatever_is_done_the_index_is_what_looking_at_every_entry_would_make_it() {
    let budget = Budget { bytes_max: Some(2000), inactive_ms: 20_000, entries_max: 90 };
    let (mut index, mut model) = (Index::<u64>::default(), Model::default());
    let (mut random, mut now) = (Random(1), 0);
    for _ in 0..40_000 {
        now += random.below(3) * random.below(300);
        let hash = hash(random.below(120) as u8);
        match random.below(16) {
            0..8 => {
                let (uses, object) = index.touch(hash, now);
                assert_eq!((uses, object.copied()), model.touch(hash, now));
            }
            8..12 => {
                let sizes = Sizes { file: random.below(100), memory: random.below(50) };
                index.insert(hash, sizes.memory, sizes.file, now);
                model.insert(hash, sizes, now);
            }
            12 => {
                index.forget(hash);
                if let Some(entry) = model.entry(hash) {
                    entry.object = None;
                }
            }
            13 => {
                let before = index.change(hash, |memory| std::mem::replace(memory, 1));
                let object = model.object(hash);
                assert_eq!(before, object.map(|object| std::mem::replace(&mut object.memory, 1)));
            }
            _ => assert_eq!(index.evict(&budget, now, 3), model.evict(&budget, now, 3)),
        }
        assert_eq!(index.get(hash).copied(), model.object(hash).map(|object| object.memory));
        assert_eq!(index.len(), model.entries.len());
        assert_eq!(index.bytes(), model.sum(|object| object.file));
        assert_eq!(index.memory_bytes(), model.sum(|object| object.memory));
    }
    while let Some(oldest) = index.evict_oldest() {
        assert_eq!(oldest, model.entries.remove(0).hash);
    }
    assert_eq!((model.entries.len(), index.bytes(), index.memory_bytes()), (0, 0, 0));
}

#[test]
fn a_clock_that_was_read_too_early_does_not_disturb_the_order() {
    let mut index = three();
    index.insert(hash(4), (), 100, 2500);
    assert_eq!(index.last_use(hash(4)), Some(3000));
    let budget = Budget { inactive_ms: 0, ..PLENTY };
    assert_eq!(index.evict(&budget, 3001, 10), [1, 2, 3, 4].map(hash));
}
