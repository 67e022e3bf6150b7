//! A list of header names, sorted so that a field is found in it by number.

use message::{KnownHeader, KnownSet};
use serde::{Deserialize, Serialize};

/// Names of header fields. As text they are a list of names in lower case: numbers differ from one
/// build to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct HeaderNames {
    known: KnownSet,
    /// Those that are known by their text only.
    others: Vec<String>,
}

impl HeaderNames {
    /// Whether a field has one of the names.
    #[inline]
    pub fn contains(&self, known: KnownHeader, name: &[u8]) -> bool {
        match known {
            KnownHeader::Unknown => {
                self.others.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name))
            }
            known => self.known.contains(known),
        }
    }
}

impl From<Vec<String>> for HeaderNames {
    fn from(names: Vec<String>) -> HeaderNames {
        let mut all = HeaderNames::default();
        for name in names {
            match KnownHeader::from_name(name.as_bytes()) {
                KnownHeader::Unknown => all.others.push(name),
                known => all.known.insert(known),
            }
        }
        all
    }
}

impl From<HeaderNames> for Vec<String> {
    fn from(names: HeaderNames) -> Vec<String> {
        let known = names.known.iter().map(|known| known.name().to_ascii_lowercase());
        known.chain(names.others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_any_writing_of_its_name() {
        let names: HeaderNames = vec!["server".to_owned(), "x-mine".to_owned()].into();
        let has =
            |name: &str| names.contains(KnownHeader::from_name(name.as_bytes()), name.as_bytes());
        assert!(has("Server") && has("X-Mine") && has("x-mine"));
        assert!(!has("Date") && !has("X-Min") && !has("X-Other"));
        assert_eq!(Vec::from(names), ["server", "x-mine"]);
    }
}
