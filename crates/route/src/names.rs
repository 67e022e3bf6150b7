//! Names and wildcards to whatever belongs to them: servers, and `map` with `hostnames`.
//!
//! The order is nginx's: the name itself, the longest wildcard at the start, the longest wildcard
//! at the end. The first one that was added under a name stays.

use std::collections::HashMap;

use plan::front::ServerName;

/// A table of names.
#[derive(Debug)]
pub(crate) struct NameTable<T> {
    exact: HashMap<Box<[u8]>, T>,
    /// `.example.com` and what ends in it.
    endings: HashMap<Box<[u8]>, T>,
    /// `www.example.` and what begins with it.
    beginnings: HashMap<Box<[u8]>, T>,
    /// Invariant: no key of `endings` or `beginnings` is longer; bounds the work for long hosts.
    wildcard_bytes_max: usize,
}

impl<T: Clone> NameTable<T> {
    /// An empty table.
    pub(crate) fn new() -> NameTable<T> {
        NameTable {
            exact: HashMap::new(),
            endings: HashMap::new(),
            beginnings: HashMap::new(),
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

fn keep_first<T>(table: &mut HashMap<Box<[u8]>, T>, name: &str, value: T) {
    table.entry(name.as_bytes().into()).or_insert(value);
}
