//! Names and wildcards to whatever belongs to them: servers, and `map` with `hostnames`.
//!
//! The order is nginx's: the name itself, the longest wildcard at the start, the longest wildcard
//! at the end. The first one that was added under a name stays.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use plan::front::ServerName;

/// A map whose keys come out of the configuration.
pub type NameMap<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<NameHasher>>;

/// A quick hash for maps whose keys no client chooses: clients only look things up, so they
/// cannot pile up keys in one place.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameHasher(u64);

impl NameHasher {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.mix(rest ^ (bytes.len() as u64) << 56);
    }

    fn write_usize(&mut self, _length: usize) {
        // A slice's length, which is in what `write` mixes.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A table of names.
#[derive(Debug)]
pub(crate) struct NameTable<T> {
    exact: NameMap<T>,
    /// `.example.com` and what ends in it.
    endings: NameMap<T>,
    /// `www.example.` and what begins with it.
    beginnings: NameMap<T>,
    /// Invariant: no key of `endings` or `beginnings` is longer; bounds the work for long hosts.
    wildcard_bytes_max: usize,
}

impl<T: Clone> NameTable<T> {
    /// An empty table.
    pub(crate) fn new() -> NameTable<T> {
        NameTable {
            exact: NameMap::default(),
            endings: NameMap::default(),
            beginnings: NameMap::default(),
            wildcard_bytes_max: 0,
        }
    }

    /// Adds names in the order of the file; regexes are not for this table.
    pub(crate) fn extend<'a>(&mut self, names: impl Iterator<Item = (&'a ServerName, T)> + Clone) {
        for (name, value) in names.clone() {
            match name {
                ServerName::Exact(name) => keep_first(&mut self.exact, name, value),
                ServerName::Ending(end) | ServerName::EndingOrExact(end) => {
                    self.wildcard_bytes_max = self.wildcard_bytes_max.max(end.len());
                    keep_first(&mut self.endings, end, value);
                }
                ServerName::Beginning(start) => {
                    self.wildcard_bytes_max = self.wildcard_bytes_max.max(start.len());
                    keep_first(&mut self.beginnings, start, value);
                }
                ServerName::Regex(_) => {}
            }
        }
        // `.example.com` is also a name, but a server that has the very name goes before it.
        for (name, value) in names {
            if let ServerName::EndingOrExact(end) = name {
                keep_first(&mut self.exact, end.trim_start_matches('.'), value);
            }
        }
    }

    /// Whom names mean.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        [&self.exact, &self.endings, &self.beginnings].into_iter().flat_map(NameMap::values)
    }

    /// Whom a (normalised) name means.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&T> {
        if let Some(found) = self.exact.get(name) {
            return Some(found);
        }
        if self.wildcard_bytes_max == 0 {
            return None;
        }
        let dots = || name.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        let ending = dots()
            .filter(|at| name.len() - at <= self.wildcard_bytes_max)
            .find_map(|at| self.endings.get(name.get(at..)?));
        ending.or_else(|| {
            dots()
                .take_while(|at| *at < self.wildcard_bytes_max)
                .filter(|at| at + 1 < name.len())
                .filter_map(|at| self.beginnings.get(name.get(..=at)?))
                .last()
        })
    }
}

fn keep_first<T>(table: &mut NameMap<T>, name: &str, value: T) {
    table.entry(name.as_bytes().into()).or_insert(value);
}
