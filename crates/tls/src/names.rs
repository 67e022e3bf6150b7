//! OpenSSL's names of cipher suites, key exchange groups and versions.

use rustls::{CipherSuite, NamedGroup, ProtocolVersion, SupportedCipherSuite};

/// What a list of cipher suites came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuiteChoice {
    /// IANA numbers of TLS 1.2 suites in the order wanted.
    pub suites: Vec<u16>,
    /// Words that name nothing that is offered here.
    pub without: Vec<String>,
}

/// A TLS 1.2 suite: OpenSSL's name, number, and the words that include it.
struct Suite {
    name: &'static str,
    suite: CipherSuite,
    words: &'static [&'static str],
}

/// Words that include every suite there is: all are modern.
const EVERY: &[&str] =
    &["ALL", "HIGH", "DEFAULT", "TLSv1.2", "ECDHE", "EECDH", "kECDHE", "kEECDH", "FIPS"];

/// In OpenSSL's order of strength.
const SUITES: &[Suite] = &[
    Suite {
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        words: &["ECDSA", "aECDSA", "AES", "AES256", "AESGCM"],
    },
    Suite {
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        words: &["aRSA", "AES", "AES256", "AESGCM"],
    },
    Suite {
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        words: &["ECDSA", "aECDSA", "CHACHA20"],
    },
    Suite {
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        words: &["aRSA", "CHACHA20"],
    },
    Suite {
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        words: &["ECDSA", "aECDSA", "AES", "AES128", "AESGCM"],
    },
    Suite {
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        words: &["aRSA", "AES", "AES128", "AESGCM"],
    },
];

impl Suite {
    /// `AES+aRSA` means both.
    fn is_meant(&self, words: &str) -> bool {
        words
            .split('+')
            .all(|word| self.name == word || EVERY.contains(&word) || self.words.contains(&word))
    }
}

/// Reads a list as of `openssl ciphers`: what is named comes in that order, `!` takes away for
/// good, `-` takes away, `+` moves to the end. What we do not have is left out, so the outcome is
/// never more than was asked for.
pub fn suites(list: &str) -> SuiteChoice {
    let mut chosen: Vec<&Suite> = Vec::new();
    let mut never: Vec<&str> = Vec::new();
    let mut choice = SuiteChoice::default();
    for word in list.split([':', ',', ' ', ';']).filter(|word| !word.is_empty()) {
        let word = word.split('@').next().unwrap_or_default();
        let (order, words) = match word.as_bytes().first() {
            None => continue,
            Some(b'!' | b'-' | b'+') => word.split_at(1),
            Some(_) => ("", word),
        };
        let meant = || SUITES.iter().filter(|suite| suite.is_meant(words));
        match order {
            "" => {
                if meant().next().is_none() {
                    choice.without.push(words.to_owned());
                }
                for suite in meant() {
                    let known = chosen.iter().any(|other| other.name == suite.name);
                    if !known && !never.contains(&suite.name) {
                        chosen.push(suite);
                    }
                }
            }
            "+" => {
                let (last, mut first): (Vec<_>, Vec<_>) =
                    chosen.into_iter().partition(|suite| suite.is_meant(words));
                first.extend(last);
                chosen = first;
            }
            _ => {
                chosen.retain(|suite| !suite.is_meant(words));
                if order == "!" {
                    never.extend(meant().map(|suite| suite.name));
                }
            }
        }
    }
    choice.suites = chosen.iter().map(|suite| u16::from(suite.suite)).collect();
    choice
}

/// Suites of TLS 1.2 when nobody says anything.
pub fn default_suites() -> Vec<u16> {
    suites("HIGH").suites
}

/// The number of a group; `None` if it is not offered here.
pub fn group(name: &str) -> Option<u16> {
    let group = match name.to_ascii_lowercase().as_str() {
        "x25519" => NamedGroup::X25519,
        "prime256v1" | "p-256" | "secp256r1" => NamedGroup::secp256r1,
        "secp384r1" | "p-384" => NamedGroup::secp384r1,
        _ => return None,
    };
    Some(u16::from(group))
}

/// Groups when nobody says anything.
pub fn default_groups() -> Vec<u16> {
    ["X25519", "prime256v1", "secp384r1"].iter().filter_map(|name| group(name)).collect()
}

/// `$ssl_protocol`
pub fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "TLSv1.2",
    }
}

/// `$ssl_cipher`
pub fn cipher(suite: SupportedCipherSuite) -> &'static str {
    match suite.suite() {
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => SUITES.iter().find(|suite| suite.suite == other).map_or("", |suite| suite.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Vec<&'static str> {
        let name = |number: &u16| {
            let known = SUITES.iter().find(|suite| u16::from(suite.suite) == *number);
            known.map_or("?", |suite| suite.name)
        };
        suites(list).suites.iter().map(name).collect()
    }

    #[test]
    fn the_usual_lists_keep_their_order_and_lose_what_is_old() {
        assert_eq!(read("HIGH:!aNULL:!MD5").len(), 6);
        assert_eq!(
            read("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA:ECDHE-RSA-AES256-GCM-SHA384"),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
        );
        assert_eq!(read("EECDH+AESGCM:EDH+AESGCM:!aECDSA").len(), 2);
        assert!(read("AES128-SHA:RC4").is_empty());
    }

    #[test]
    fn an_exclamation_mark_takes_away_for_good_and_a_minus_until_it_is_named_again() {
        assert_eq!(read("!CHACHA20:ALL").len(), 4);
        assert_eq!(read("ALL:-CHACHA20").len(), 4);
        assert_eq!(read("ALL:-CHACHA20:ALL").len(), 6);
        assert_eq!(read("ALL:+AES256").last(), Some(&"ECDHE-RSA-AES256-GCM-SHA384"));
    }

    #[test]
    fn words_that_name_nothing_here_are_told() {
        assert_eq!(suites("HIGH:DHE-RSA-AES256-SHA:!MD5").without, ["DHE-RSA-AES256-SHA"]);
        assert_eq!(group("secp521r1"), None);
    }
}
