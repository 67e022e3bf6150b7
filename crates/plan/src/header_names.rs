//! Names of header fields, for questions that every field of a message asks.

use message::KnownHeader;
use serde::{Deserialize, Serialize};

/// Some names; a field is looked for by its number, or by its text if it has none. Written out as
/// a list of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct HeaderNames {
    names: Vec<String>,
    /// A bit for each of them that has a number.
    known: u64,
}

impl HeaderNames {
    /// Whether a field is among them.
    #[inline]
    pub fn contain(&self, known: KnownHeader, name: &[u8]) -> bool {
        match known {
            KnownHeader::Unknown => {
                self.names.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name))
            }
            known => self.known & bit(known) != 0,
        }
    }
}

impl From<Vec<String>> for HeaderNames {
    fn from(names: Vec<String>) -> HeaderNames {
        let numbers = names.iter().map(|name| KnownHeader::from_name(name.as_bytes()));
        let known = numbers.filter(|known| *known != KnownHeader::Unknown).map(bit);
        HeaderNames { known: known.fold(0, |all, one| all | one), names }
    }
}

impl From<HeaderNames> for Vec<String> {
    fn from(names: HeaderNames) -> Vec<String> {
        names.names
    }
}

fn bit(known: KnownHeader) -> u64 {
    // The last one: all of them have a bit.
    const { assert!((KnownHeader::XPad as u32) < u64::BITS) }
    1 << known as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_and_without_a_number_in_any_case() {
        let names = HeaderNames::from(vec!["host".to_owned(), "X-Own".to_owned()]);
        let contain =
            |name: &str| names.contain(KnownHeader::from_name(name.as_bytes()), name.as_bytes());
        assert_eq!(
            ["HOST", "x-own", "Cookie", "X-Ow", ""].map(contain),
            [true, true, false, false, false]
        );
    }
}
