//! Values by hash and in an order, every step of either in constant time: one table of entries
//! that name each other by number, so that a use of one among a million touches few of them.
//!
//! ```text
//! buckets[mixed hash] ─► entry ─ next ─► entry ─ next ─► NOBODY
//! oldest ─► entry ⇄ entry ⇄ entry ◄─ newest
//! vacant ─► entry ─ next ─► NOBODY
//! ```
//!
//! Invariants: every number that is not [`NOBODY`] is a place in the table. An entry that is not
//! vacant is in the chain of its bucket and in the order, once in each.

use std::hash::{BuildHasher, RandomState};

/// What entries are found by: 128 bits that differ where the keys do. Whoever chooses the keys may
/// know the hashes: entries are spread by a secret as well.
pub type Hash = [u8; 16];

/// The number of no entry.
const NOBODY: u32 = u32::MAX;

/// Entries that one table may have: half of what its numbers could tell apart.
pub const ENTRIES_MAX: usize = (NOBODY / 2) as usize;

/// Buckets of an empty table; a power of two, as it always is.
const BUCKETS_MIN: usize = 16;

/// Values by hash, from the one renewed least recently to the newest.
#[derive(Debug)]
pub struct Entries<V> {
    /// Never shrinks: what is vacant is used again.
    table: Vec<Entry<V>>,
    /// The first entry of each chain. Invariant: at least twice as many as entries in use, so that
    /// most chains have one entry: each further one costs a read from a cold place.
    buckets: Vec<u32>,
    mix: Mix,
    vacant: u32,
    oldest: u32,
    newest: u32,
    count: usize,
}

#[derive(Debug)]
struct Entry<V> {
    hash: Hash,
    value: V,
    /// In the chain of its bucket, or of the vacant ones.
    next: u32,
    older: u32,
    newer: u32,
}

impl<V> Default for Entries<V> {
    fn default() -> Entries<V> {
        Entries {
            table: Vec::new(),
            buckets: vec![NOBODY; BUCKETS_MIN],
            mix: Mix::new(),
            vacant: NOBODY,
            oldest: NOBODY,
            newest: NOBODY,
            count: 0,
        }
    }
}

impl<V> Entries<V> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number of a hash's entry.
    pub fn find(&self, hash: Hash) -> Option<u32> {
        let mut number = self.buckets[self.bucket(hash)];
        while number != NOBODY {
            let entry = &self.table[number as usize];
            if entry.hash == hash {
                return Some(number);
            }
            number = entry.next;
        }
        None
    }

    /// An entry's value.
    pub fn value(&self, number: u32) -> &V {
        &self.table[number as usize].value
    }

    /// The same, to change it.
    pub fn value_mut(&mut self, number: u32) -> &mut V {
        &mut self.table[number as usize].value
    }

    /// The hash and the value that are last in the order.
    pub fn oldest(&self) -> Option<(Hash, &V)> {
        self.table.get(self.oldest as usize).map(|entry| (entry.hash, &entry.value))
    }

    /// The value that is first in the order.
    pub fn newest(&self) -> Option<&V> {
        self.table.get(self.newest as usize).map(|entry| &entry.value)
    }

    /// Adds a hash that has no entry yet, as the newest.
    pub fn add(&mut self, hash: Hash, value: V) -> u32 {
        debug_assert!(self.find(hash).is_none(), "one entry a hash");
        if 2 * (self.count + 1) > self.buckets.len() {
            self.double();
        }
        let bucket = self.bucket(hash);
        let next = self.buckets[bucket];
        let entry = Entry { hash, value, next, older: NOBODY, newer: NOBODY };
        let number = match self.vacant {
            NOBODY => {
                self.table.push(entry);
                u32::try_from(self.table.len() - 1).unwrap_or(NOBODY)
            }
            number => {
                let vacant = &mut self.table[number as usize];
                self.vacant = vacant.next;
                *vacant = entry;
                number
            }
        };
        self.buckets[bucket] = number;
        self.count += 1;
        self.link_newest(number);
        number
    }

    /// Makes an entry the newest.
    pub fn renew(&mut self, number: u32) {
        if number != self.newest {
            self.unlink(number);
            self.link_newest(number);
        }
    }

    /// Removes an entry and gives back its value; its place is kept for another one.
    pub fn remove(&mut self, hash: Hash) -> Option<V>
    where
        V: Default,
    {
        let number = self.find(hash)?;
        self.unlink(number);
        self.unchain(number, hash);
        self.count -= 1;
        let entry = &mut self.table[number as usize];
        entry.next = std::mem::replace(&mut self.vacant, number);
        Some(std::mem::take(&mut entry.value))
    }

    fn bucket(&self, hash: Hash) -> usize {
        self.mix.of(hash) as usize & (self.buckets.len() - 1)
    }

    /// Twice the buckets. Rare, and quick beside what filled them.
    fn double(&mut self) {
        self.buckets = vec![NOBODY; 2 * self.buckets.len()];
        let mut number = self.oldest;
        while number != NOBODY {
            let bucket = self.bucket(self.table[number as usize].hash);
            let entry = &mut self.table[number as usize];
            entry.next = std::mem::replace(&mut self.buckets[bucket], number);
            number = entry.newer;
        }
    }

    fn link_newest(&mut self, number: u32) {
        let older = std::mem::replace(&mut self.newest, number);
        let entry = &mut self.table[number as usize];
        (entry.older, entry.newer) = (older, NOBODY);
        match self.table.get_mut(older as usize) {
            Some(older) => older.newer = number,
            None => self.oldest = number,
        }
    }

    fn unlink(&mut self, number: u32) {
        let Entry { older, newer, .. } = self.table[number as usize];
        match self.table.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.table.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }

    fn unchain(&mut self, number: u32, hash: Hash) {
        let next = self.table[number as usize].next;
        let bucket = self.bucket(hash);
        if self.buckets[bucket] == number {
            self.buckets[bucket] = next;
            return;
        }
        let mut before = self.buckets[bucket];
        while self.table[before as usize].next != number {
            before = self.table[before as usize].next;
        }
        self.table[before as usize].next = next;
    }
}

/// Spreads hashes over buckets. They are spread already, but of keys that clients choose: who tries
/// enough keys finds many whose hashes agree in any bits that are known beforehand. Two words that
/// nobody outside knows go into the product, so there are no such bits.
#[derive(Debug)]
struct Mix {
    secrets: [u64; 2],
}

impl Mix {
    fn new() -> Mix {
        let random = RandomState::new();
        Mix { secrets: [random.hash_one(0), random.hash_one(1)] }
    }

    #[inline]
    fn of(&self, hash: Hash) -> u64 {
        let [first, second] = self.secrets;
        let both = u128::from_le_bytes(hash);
        let product = u128::from(both as u64 ^ first) * u128::from((both >> 64) as u64 ^ second);
        product as u64 ^ (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{Entries, Hash, NOBODY};

    /// Hashes that agree in all but a few bits, as an attacker would choose them.
    fn alike(number: u32) -> Hash {
        (u128::from(number) << 64).to_le_bytes()
    }

    #[test]
    fn hashes_that_agree_in_most_bits_do_not_share_their_buckets() {
        let mut entries = Entries::default();
        for number in 0..10_000 {
            entries.add(alike(number), ());
        }
        let longest = (0..entries.buckets.len()).map(|bucket| {
            let mut length = 0;
            let mut number = entries.buckets[bucket];
            while number != NOBODY {
                (length, number) = (length + 1, entries.table[number as usize].next);
            }
            length
        });
        assert!(longest.max() < Some(12));
    }

    #[test]
    fn a_place_that_became_vacant_is_used_again() {
        let mut entries = Entries::default();
        for number in 0..1000 {
            entries.add(alike(number), number);
            if number >= 10 {
                assert_eq!(entries.remove(alike(number - 10)), Some(number - 10));
            }
        }
        assert_eq!((entries.count(), entries.table.len()), (10, 11));
        assert_eq!(entries.oldest(), Some((alike(990), &990)));
        assert_eq!(entries.newest(), Some(&999));
        assert_eq!(entries.find(alike(989)), None);
    }
}
