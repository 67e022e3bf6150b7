//! Stored passwords, and whether one that is sent fits.
//!
//! | begins with | what it is |
//! |---|---|
//! | `{PLAIN}` | the password itself |
//! | `{SHA}` | SHA-1 of it, in Base64 |
//! | `{SSHA}` | SHA-1 of it and a salt, and the salt, in Base64 |
//! | `$apr1$` | Apache's MD5 |
//! | anything else | what crypt(3) of this machine makes of it |

use std::ffi::CString;

use md5::{Digest as _, Md5};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN, SHA256, digest};
use sys::crypt::{NoCrypt, crypt};

/// What Apache's MD5 begins with.
const APR1: &[u8] = b"$apr1$";
/// Longest salt of Apache's MD5; more of it does not count.
const APR1_SALT_BYTES_MAX: usize = 8;
/// How often Apache's MD5 hashes.
const APR1_ROUNDS: usize = 1000;
/// The digits of crypt(3), in the order of their values.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether checking such a stored password takes so long that others should not wait for it.
pub fn is_slow(stored: &[u8]) -> bool {
    ![&b"{PLAIN}"[..], b"{SHA}", b"{SSHA}"].iter().any(|start| stored.starts_with(start))
}

/// Whether the password is the one that is stored.
///
/// # Errors
/// If crypt(3) is asked for and not there.
pub fn fits(password: &[u8], stored: &[u8]) -> Result<bool, NoCrypt> {
    if let Some(plain) = stored.strip_prefix(b"{PLAIN}") {
        return Ok(is_same(password, plain));
    }
    if let Some(coded) = stored.strip_prefix(b"{SSHA}") {
        return Ok(fits_sha1(password, coded));
    }
    if let Some(coded) = stored.strip_prefix(b"{SHA}") {
        let is_bare = |coded: &[u8]| {
            crate::base64::decode(coded).is_some_and(|bytes| bytes.len() == SHA1_OUTPUT_LEN)
        };
        return Ok(is_bare(coded) && fits_sha1(password, coded));
    }
    if let Some(salted) = stored.strip_prefix(APR1) {
        return Ok(is_same(&apr1(password, salted), stored));
    }
    // To crypt(3) a text ends at a NUL: more would be another password.
    let (Ok(password), Ok(setting)) = (CString::new(password), CString::new(stored)) else {
        return Ok(false);
    };
    if stored.is_empty() {
        return Ok(false);
    }
    Ok(crypt(&password, &setting)?.is_some_and(|hashed| is_same(&hashed, stored)))
}

fn fits_sha1(password: &[u8], coded: &[u8]) -> bool {
    let decoded = crate::base64::decode(coded).unwrap_or_default();
    let Some((stored, salt)) = decoded.split_at_checked(SHA1_OUTPUT_LEN) else { return false };
    let hashed = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[password, salt].concat());
    is_same(hashed.as_ref(), stored)
}

/// Compares in a time that tells nothing about how much of both is the same.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let (left, right) = (digest(&SHA256, left), digest(&SHA256, right));
    let pairs = left.as_ref().iter().zip(right.as_ref());
    std::hint::black_box(pairs.fold(0, |different, (left, right)| different | (left ^ right))) == 0
}

/// The whole text that Apache stores for a password. `salted` begins with the salt.
fn apr1(password: &[u8], salted: &[u8]) -> Vec<u8> {
    let salt = salted.split(|&byte| byte == b'$').next().unwrap_or(&[]);
    let salt = salt.get(..APR1_SALT_BYTES_MAX).unwrap_or(salt);
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password);
    let inner = inner.finalize();
    let mut outer = Md5::new().chain_update(password).chain_update(APR1).chain_update(salt);
    for piece in password.chunks(inner.len()) {
        outer.update(inner.get(..piece.len()).unwrap_or(&inner));
    }
    let mut bits = password.len();
    while bits > 0 {
        let first = password.get(..1).unwrap_or(&[]);
        outer.update(if bits & 1 == 1 { &[0] } else { first });
        bits >>= 1;
    }
    let mut hashed: [u8; 16] = outer.finalize().into();
    for round in 0..APR1_ROUNDS {
        let (first, last) =
            if round % 2 == 1 { (password, &hashed[..]) } else { (&hashed[..], password) };
        let mut again = Md5::new().chain_update(first);
        if round % 3 != 0 {
            again.update(salt);
        }
        if round % 7 != 0 {
            again.update(password);
        }
        again.update(last);
        hashed = again.finalize().into();
    }
    let mut text = [APR1, salt, b"$"].concat();
    push_digits(&hashed, &mut text);
    text
}

/// Appends sixteen bytes as crypt(3) writes them for MD5: three at a time in an order of its own,
/// six bits a digit, the lowest first.
fn push_digits(hashed: &[u8; 16], text: &mut Vec<u8>) {
    let groups = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut push = |mut bits: u32, digits: usize| {
        for _ in 0..digits {
            text.push(DIGITS[(bits & 63) as usize]);
            bits >>= 6;
        }
    };
    for group in groups {
        let [high, middle, low] = group.map(|index: usize| u32::from(hashed[index]));
        push(high << 16 | middle << 8 | low, 4);
    }
    push(u32::from(hashed[11]), 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `secret` as others store it.
    const SECRET: [&str; 10] = [
        "{PLAIN}secret",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
        "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
        "abNANd1rDfiNc",
        "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
        "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4",
        "$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1",
        "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01",
    ];

    #[test]
    fn every_format_takes_its_own_password_and_no_other() {
        for stored in SECRET {
            assert_eq!(fits(b"secret", stored.as_bytes()), Ok(true), "{stored}");
            for other in ["", "Secret", "secret ", "secre", "secret\0"] {
                assert_eq!(fits(other.as_bytes(), stored.as_bytes()), Ok(false), "{stored}");
            }
        }
    }

    #[test]
    fn apache_s_md5_takes_passwords_of_any_length() {
        for (password, stored) in [
            ("", "$apr1$xy$43..WIhbfuznGvwoCyUek/"),
            ("a", "$apr1$xy$T6yk43HTfQwCY.mtbxwJ8/"),
            ("a longer password than sixteen bytes", "$apr1$xy$ydi4vLfD5LxrQlAISGcwV/"),
        ] {
            assert_eq!(fits(password.as_bytes(), stored.as_bytes()), Ok(true), "{password}");
        }
    }

    #[test]
    fn a_stored_password_that_is_none_fits_nobody() {
        let stored = [
            "",
            "*",
            "!",
            "*0",
            "*1",
            "x",
            "secret",
            "$",
            "$1",
            "$9$a$b",
            "$apr1$",
            "$apr1$$",
            "{SHA}",
            "{SHA}secret",
            "{SSHA}",
            "{SSHA}xx",
            "{SSHA}?",
            "{MD5}secret",
        ];
        for stored in stored {
            for password in ["", "secret", stored] {
                assert_eq!(fits(password.as_bytes(), stored.as_bytes()), Ok(false), "{stored}");
            }
        }
        assert_eq!(fits(b"", b"{PLAIN}"), Ok(true));
    }
}
