//! Which of a server's certificates a client gets.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SignatureAlgorithm};

/// Certificates of one server, the better kinds first.
#[derive(Debug)]
pub struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// In the order of the file, but small keys before RSA.
    pub fn new(mut keys: Vec<CertifiedKey>) -> Certificates {
        keys.sort_by_key(|key| key.key.algorithm() == SignatureAlgorithm::RSA);
        Certificates(keys.into_iter().map(Arc::new).collect())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &&Arc<CertifiedKey>| {
            key.key.choose_scheme(hello.signature_schemes()).is_some()
                && has_suite(&hello, key.key.algorithm())
        };
        // Without a fitting one the handshake fails with the proper alert.
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}

/// Whether the client offers a suite that works with such a key.
fn has_suite(hello: &ClientHello<'_>, algorithm: SignatureAlgorithm) -> bool {
    use CipherSuite as Suite;
    hello.cipher_suites().iter().any(|suite| match suite {
        Suite::TLS13_AES_256_GCM_SHA384
        | Suite::TLS13_AES_128_GCM_SHA256
        | Suite::TLS13_CHACHA20_POLY1305_SHA256 => true,
        Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
            algorithm == SignatureAlgorithm::RSA
        }
        Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            algorithm != SignatureAlgorithm::RSA
        }
        _ => false,
    })
}
