//! Which objects there are, how recently each was asked for, and who has to go.

use recent::{ENTRIES_MAX, Entries};

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
            entries_max: usize::try_from(entries).unwrap_or(usize::MAX).clamp(1, ENTRIES_MAX),
            bytes_max: zone.max_size,
            inactive_ms: u64::try_from(zone.inactive.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What an index counts of the objects in it.
pub trait Weighed {
    /// Bytes of memory that it takes besides its entry.
    fn memory_bytes(&self) -> u64;
}

/// Entries by hash, in the order of their last use; `T` is what is known about an object.
#[derive(Debug)]
pub struct Index<T> {
    /// Invariant: who is newer in the order was not used earlier.
    entries: Entries<Entry<T>>,
    bytes: u64,
    memory_bytes: u64,
}

#[derive(Debug)]
struct Entry<T> {
    object: Option<T>,
    bytes: u64,
    used_monotonic_ms: u64,
    uses: u32,
}

impl<T> Default for Entry<T> {
    fn default() -> Entry<T> {
        Entry { object: None, bytes: 0, used_monotonic_ms: 0, uses: 0 }
    }
}

impl<T> Default for Index<T> {
    fn default() -> Index<T> {
        Index { entries: Entries::default(), bytes: 0, memory_bytes: 0 }
    }
}

impl<T: Weighed> Index<T> {
    /// Counts a use and returns how many there were, this one included, with the object if it is
    /// stored. Uses are also counted of objects that are not.
    pub fn touch(&mut self, hash: Hash, now_monotonic_ms: u64) -> (u32, Option<&T>) {
        let number = match self.entries.find(hash.0) {
            Some(number) => {
                let used = self.entries.value(number).used_monotonic_ms;
                if now_monotonic_ms >= used + TOUCH_GRAIN_MS {
                    self.renew(number, now_monotonic_ms);
                }
                number
            }
            None => self.add(hash, now_monotonic_ms),
        };
        let entry = self.entries.value_mut(number);
        entry.uses = entry.uses.saturating_add(1);
        (entry.uses, entry.object.as_ref())
    }

    /// What is known about a stored object, without counting a use.
    pub fn get(&self, hash: Hash) -> Option<&T> {
        self.entries.value(self.entries.find(hash.0)?).object.as_ref()
    }

    /// Changes what is known about a stored object.
    pub fn change<R>(&mut self, hash: Hash, how: impl FnOnce(&mut T) -> R) -> Option<R> {
        let object = self.entries.value_mut(self.entries.find(hash.0)?).object.as_mut()?;
        self.memory_bytes -= object.memory_bytes();
        let result = how(object);
        self.memory_bytes += object.memory_bytes();
        Some(result)
    }

    /// When an entry was last asked for, within a second.
    pub fn last_use(&self, hash: Hash) -> Option<u64> {
        self.entries.find(hash.0).map(|number| self.entries.value(number).used_monotonic_ms)
    }

    /// Puts an object of so many bytes in, in place of an older one.
    pub fn insert(&mut self, hash: Hash, object: T, bytes: u64, now_monotonic_ms: u64) {
        self.forget(hash);
        let number = match self.entries.find(hash.0) {
            Some(number) => {
                self.renew(number, now_monotonic_ms);
                number
            }
            None => self.add(hash, now_monotonic_ms),
        };
        self.bytes += bytes;
        self.memory_bytes += object.memory_bytes();
        let entry = self.entries.value_mut(number);
        (entry.object, entry.bytes) = (Some(object), bytes);
    }

    /// Forgets an object, but not how often it was asked for.
    pub fn forget(&mut self, hash: Hash) {
        let Some(number) = self.entries.find(hash.0) else { return };
        let entry = self.entries.value_mut(number);
        self.bytes -= std::mem::take(&mut entry.bytes);
        self.memory_bytes -= entry.object.take().map_or(0, |object| object.memory_bytes());
    }

    /// Removes at most `at_most` entries that have to go, the ones unused for longest first, and
    /// returns the hashes of those that were stored. Empty: nothing has to go.
    pub fn evict(&mut self, budget: &Budget, now_monotonic_ms: u64, at_most: usize) -> Vec<Hash> {
        let mut gone = Vec::new();
        for _ in 0..at_most {
            let Some((hash, oldest)) = self.entries.oldest() else { break };
            let unused_ms = now_monotonic_ms.saturating_sub(oldest.used_monotonic_ms);
            let is_inactive = unused_ms > budget.inactive_ms;
            let too_many = self.entries.count() > budget.entries_max;
            let too_big = budget.bytes_max.is_some_and(|max| self.bytes > max);
            if !(is_inactive || too_many || too_big) {
                break;
            }
            let hash = Hash(hash);
            if oldest.object.is_some() {
                gone.push(hash);
            }
            self.remove(hash);
        }
        gone
    }

    /// Removes the entry unused for longest, whatever the budget says; for a disk that is full.
    pub fn evict_oldest(&mut self) -> Option<Hash> {
        let (hash, _) = self.entries.oldest()?;
        self.remove(Hash(hash));
        Some(Hash(hash))
    }

    /// Bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of memory that all objects take besides their entries.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// How many entries, stored or only counted.
    pub fn len(&self) -> usize {
        self.entries.count()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.count() == 0
    }

    fn add(&mut self, hash: Hash, now_monotonic_ms: u64) -> u32 {
        let used_monotonic_ms = self.in_order(now_monotonic_ms);
        self.entries.add(hash.0, Entry { used_monotonic_ms, ..Entry::default() })
    }

    fn renew(&mut self, number: u32, now_monotonic_ms: u64) {
        let used_monotonic_ms = self.in_order(now_monotonic_ms);
        self.entries.value_mut(number).used_monotonic_ms = used_monotonic_ms;
        self.entries.renew(number);
    }

    /// Now, or the last use of all if another thread read the clock later and was quicker.
    fn in_order(&self, now_monotonic_ms: u64) -> u64 {
        let newest = self.entries.newest().map_or(0, |entry| entry.used_monotonic_ms);
        newest.max(now_monotonic_ms)
    }

    fn remove(&mut self, hash: Hash) {
        let Some(entry) = self.entries.remove(hash.0) else { return };
        self.bytes -= entry.bytes;
        self.memory_bytes -= entry.object.map_or(0, |object| object.memory_bytes());
    }
}

#[cfg(test)]
mod tests;
