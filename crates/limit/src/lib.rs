//! How many requests and connections a key may have: arithmetic without a clock, a lock or a
//! socket; time is an argument.
//!
//! `front` renders the keys, reads the clock and keeps one [`Buckets`] or [`Counts`] a zone.
//! Rooms: [`requests`] (`limit_req`: a leaky bucket a key), [`connections`] (`limit_conn`: a count
//! a key), `random` (for the tests of both).

pub mod connections;
#[cfg(test)]
mod random;
pub mod requests;

use std::hash::{BuildHasher, RandomState};

pub use connections::{Counts, Taken};
pub use recent::Hash;
pub use requests::{Buckets, Excess, Rule};

const MIB: u64 = 1024 * 1024;

/// How many entries a zone of so many bytes has, at so many per MiB.
fn entries_max(zone_bytes: u64, per_mib: u64) -> usize {
    let entries = zone_bytes.saturating_mul(per_mib) / MIB;
    usize::try_from(entries).unwrap_or(usize::MAX).clamp(1, recent::ENTRIES_MAX)
}

/// What makes keys of any length into hashes of one. Clients choose the keys: they must not be
/// able to find two with one hash, so a secret goes in.
#[derive(Debug, Default)]
pub struct Secret {
    halves: [RandomState; 2],
}

impl Secret {
    /// The hash that stands for a key.
    pub fn hash(&self, key: &[u8]) -> Hash {
        let [first, second] = &self.halves;
        let both = [first.hash_one(key), second.hash_one(key)].map(u64::to_le_bytes);
        let mut hash = Hash::default();
        hash.as_chunks_mut().0.copy_from_slice(&both);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, entries_max};

    #[test]
    fn a_key_has_one_hash_a_secret_and_other_keys_have_others() {
        let (secret, other) = (Secret::default(), Secret::default());
        assert_eq!(secret.hash(b"192.0.2.1"), secret.hash(b"192.0.2.1"));
        assert_ne!(secret.hash(b"192.0.2.1"), secret.hash(b"192.0.2.2"));
        assert_ne!(secret.hash(b"192.0.2.1"), other.hash(b"192.0.2.1"));
        let hash = secret.hash(b"192.0.2.1");
        assert_ne!(hash[..8], hash[8..]);
    }

    #[test]
    fn a_zone_has_at_least_one_entry_and_no_more_than_its_bytes_say() {
        assert_eq!(entries_max(0, 8000), 1);
        assert_eq!(entries_max(10 << 20, 8000), 80_000);
        assert_eq!(entries_max(u64::MAX, 8000), recent::ENTRIES_MAX);
    }
}
