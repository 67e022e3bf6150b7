//! Which objects there are, how recently each was asked for, and who has to go.

use std::collections::{BTreeMap, HashMap};

use crate::key::Hash;

/// Entries per MiB of `keys_zone`, as nginx documents.
const ENTRIES_PER_MIB: u64 = 8000;

/// An entry asked for again within this time keeps its place in the order, in milliseconds.
const TOUCH_GRAIN_MS: u64 = 1000;

/// What a zone may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Entries.
    pub entries_max: usize,
    /// Bytes of all objects; `None` is unlimited.
    pub bytes_max: Option<u64>,
    /// Entries not asked for during this time go.
    pub inactive_ms: u64,
}

impl Budget {
    /// From a zone's settings.
    pub fn of(zone: &plan::front::CacheZone) -> Budget {
        let entries = zone.keys_bytes.saturating_mul(ENTRIES_PER_MIB) / (1024 * 1024);
        Budget {
            entries_max: usize::try_from(entries).unwrap_or(usize::MAX).max(1),
            bytes_max: zone.max_size,
            inactive_ms: u64::try_from(zone.inactive.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Entries by hash, in the order of their last use; `T` is what is known about an object.
#[derive(Debug)]
pub struct Index<T> {
    entries: HashMap<Hash, Entry<T>>,
    /// Last use and hash. Invariant: the same entries as in `entries`.
    order: BTreeMap<(u64, Hash), ()>,
    bytes: u64,
}

#[derive(Debug)]
struct Entry<T> {
    object: Option<T>,
    bytes: u64,
    used_monotonic_ms: u64,
    uses: u32,
}

impl<T> Default for Index<T> {
    fn default() -> Index<T> {
        Index { entries: HashMap::new(), order: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> Index<T> {
    /// Counts a use and returns how many there were, this one included, with the object if it is
    /// stored. Uses are also counted of objects that are not.
    pub fn touch(&mut self, hash: Hash, now_monotonic_ms: u64) -> (u32, Option<&mut T>) {
        let entry = self.entries.entry(hash).or_insert_with(|| {
            self.order.insert((now_monotonic_ms, hash), ());
            Entry { object: None, bytes: 0, used_monotonic_ms: now_monotonic_ms, uses: 0 }
        });
        if now_monotonic_ms >= entry.used_monotonic_ms + TOUCH_GRAIN_MS {
            self.order.remove(&(entry.used_monotonic_ms, hash));
            entry.used_monotonic_ms = now_monotonic_ms;
            self.order.insert((now_monotonic_ms, hash), ());
        }
        entry.uses = entry.uses.saturating_add(1);
        (entry.uses, entry.object.as_mut())
    }

    /// What is known about a stored object, without counting a use.
    pub fn get(&mut self, hash: Hash) -> Option<&mut T> {
        self.entries.get_mut(&hash)?.object.as_mut()
    }

    /// When an entry was last asked for, within a second.
    pub fn last_use(&self, hash: Hash) -> Option<u64> {
        self.entries.get(&hash).map(|entry| entry.used_monotonic_ms)
    }

    /// Puts an object of so many bytes in, in place of an older one.
    pub fn insert(&mut self, hash: Hash, object: T, bytes: u64, now_monotonic_ms: u64) {
        let old = self.remove(hash);
        self.order.insert((now_monotonic_ms, hash), ());
        self.bytes += bytes;
        let uses = old.map_or(0, |old| old.uses);
        let entry =
            Entry { object: Some(object), bytes, used_monotonic_ms: now_monotonic_ms, uses };
        self.entries.insert(hash, entry);
    }

    /// Forgets an object, but not how often it was asked for.
    pub fn forget(&mut self, hash: Hash) {
        if let Some(entry) = self.entries.get_mut(&hash) {
            self.bytes -= entry.bytes;
            entry.bytes = 0;
            entry.object = None;
        }
    }

    fn remove(&mut self, hash: Hash) -> Option<Entry<T>> {
        let entry = self.entries.remove(&hash)?;
        self.order.remove(&(entry.used_monotonic_ms, hash));
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Removes at most `at_most` entries that have to go, the ones unused for longest first, and
    /// returns the hashes of those that were stored. Empty: nothing has to go.
    pub fn evict(&mut self, budget: &Budget, now_monotonic_ms: u64, at_most: usize) -> Vec<Hash> {
        let mut gone = Vec::new();
        for _ in 0..at_most {
            let Some((&(used, hash), ())) = self.order.first_key_value() else { break };
            let is_inactive = now_monotonic_ms.saturating_sub(used) > budget.inactive_ms;
            let too_many = self.entries.len() > budget.entries_max;
            let too_big = budget.bytes_max.is_some_and(|max| self.bytes > max);
            if !(is_inactive || too_many || too_big) {
                break;
            }
            if self.remove(hash).is_some_and(|entry| entry.object.is_some()) {
                gone.push(hash);
            }
        }
        gone
    }

    /// Removes the entry unused for longest, whatever the budget says; for a disk that is full.
    pub fn evict_oldest(&mut self) -> Option<Hash> {
        let (_, hash) = self.order.first_key_value().map(|(key, ())| *key)?;
        self.remove(hash).map(|_| hash)
    }

    /// Bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many entries, stored or only counted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Index};
    use crate::Hash;

    const PLENTY: Budget = Budget { entries_max: 100, bytes_max: None, inactive_ms: 1_000_000_000 };

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
}
