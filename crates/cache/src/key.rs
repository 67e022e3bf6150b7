//! A cache key, its hash, and the file name made from it.

use std::path::PathBuf;

use bytes::Bytes;
use md5::{Digest, Md5};

/// MD5 of a key; the name of the file. Two keys with one hash are told apart by the key text that
/// every file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 16]);

impl Hash {
    /// The hash of some pieces, one after the other.
    pub fn of(pieces: &[&[u8]]) -> Hash {
        let mut digest = Md5::new();
        for piece in pieces {
            digest.update(piece);
        }
        Hash(digest.finalize().into())
    }

    /// 32 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// Reads 32 hexadecimal digits, lower case as we write them.
    pub fn from_hex(text: &str) -> Option<Hash> {
        let digits = text.as_bytes();
        if digits.len() != 32 || digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Hash(bytes))
    }

    /// The file's path below the zone's directory: with levels 1 and 2, the last digit is the
    /// first directory and the two digits before it are the second.
    pub fn path(&self, levels: &[u8]) -> PathBuf {
        let hex = self.hex();
        let mut path = PathBuf::new();
        let mut end = hex.len();
        for level in levels {
            let start = end.saturating_sub(usize::from(*level));
            path.push(hex.get(start..end).unwrap_or_default());
            end = start;
        }
        path.push(hex);
        path
    }
}

/// A key, rendered for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheKey {
    /// The text.
    pub text: Bytes,
    /// Its hash.
    pub hash: Hash,
}

impl CacheKey {
    /// Hashes a rendered key.
    pub fn new(text: impl Into<Bytes>) -> CacheKey {
        let text = text.into();
        let hash = Hash::of(&[&text]);
        CacheKey { text, hash }
    }
}

#[cfg(test)]
mod tests {
    use super::{CacheKey, Hash};

    #[test]
    fn the_path_is_the_one_nginx_makes() {
        let hash = Hash::from_hex("b7f54b2df7773722d382f4809d65029c").unwrap();
        let path = |levels: &[u8]| hash.path(levels).to_str().unwrap().to_owned();
        assert_eq!(path(&[1, 2]), "c/29/b7f54b2df7773722d382f4809d65029c");
        assert_eq!(path(&[]), "b7f54b2df7773722d382f4809d65029c");
        assert_eq!(path(&[2, 2, 2]), "9c/02/65/b7f54b2df7773722d382f4809d65029c");
    }

    #[test]
    fn a_key_is_hashed_with_md5() {
        assert_eq!(CacheKey::new("abc").hash.hex(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(Hash::from_hex("900150983cd24fb0d6963f7d28e17f7"), None);
        assert_eq!(Hash::from_hex("900150983CD24FB0D6963F7D28E17F72"), None);
    }
}
