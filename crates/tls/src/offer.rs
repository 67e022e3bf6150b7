//! What is offered in a handshake, by either side: versions, suites, groups.

use plan::front::tls::TlsVersions;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::{CipherSuite, NamedGroup, SupportedProtocolVersion, version};

/// The suites and groups that were asked for (IANA numbers). The suites of TLS 1.3 always stay:
/// OpenSSL's list is about older versions only.
pub fn provider(suites: &[u16], groups: &[u16]) -> CryptoProvider {
    let mut provider = default_provider();
    let all = std::mem::take(&mut provider.cipher_suites);
    let (new, old): (Vec<_>, Vec<_>) = all.into_iter().partition(|suite| suite.tls13().is_some());
    let wanted = suites.iter().map(|number| CipherSuite::from(*number));
    let chosen = wanted.filter_map(|suite| old.iter().find(|known| known.suite() == suite));
    provider.cipher_suites = new.iter().chain(chosen).copied().collect();
    let known = std::mem::take(&mut provider.kx_groups);
    let wanted = groups.iter().map(|number| NamedGroup::from(*number));
    provider.kx_groups = wanted
        .filter_map(|name| known.iter().find(|group| group.name() == name).copied())
        .collect();
    provider
}

/// The versions that were asked for; TLS 1.2 only if a suite of it is left.
pub fn versions(
    wanted: TlsVersions,
    provider: &CryptoProvider,
) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::new();
    if wanted.tls13 {
        versions.push(&version::TLS13);
    }
    let old_suites = provider.cipher_suites.iter().any(|suite| suite.tls13().is_none());
    if wanted.tls12 && old_suites {
        versions.push(&version::TLS12);
    }
    versions
}
