//! What a server says about TLS, and what is said about TLS to upstreams. Certificates and keys
//! are texts (PEM) read by the master, so that the front needs no right to read the files.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// TLS of one server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TlsPlan {
    /// Certificates with their keys, in the order of the file; the client's abilities choose.
    pub certificates: Vec<CertificatePlan>,
    /// Versions to offer.
    pub versions: TlsVersions,
    /// Cipher suites of TLS 1.2 (IANA numbers) in the order of preference.
    pub suites: Vec<u16>,
    /// Key exchange groups (IANA numbers) in the order of preference.
    pub groups: Vec<u16>,
    /// The order of `suites` counts, not the client's.
    pub prefer_own_order: bool,
    /// How sessions are taken up again.
    pub sessions: SessionPlan,
    /// Whom to ask for a certificate.
    pub client: Option<ClientPlan>,
    /// `ssl_reject_handshake`: clients that name this server are turned away.
    pub reject: bool,
}

/// TLS to upstreams. Connections and sessions made by these rules serve no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerTlsPlan {
    /// Versions to offer.
    pub versions: TlsVersions,
    /// Cipher suites of TLS 1.2 (IANA numbers) in the order of preference.
    pub suites: Vec<u16>,
    /// `*_ssl_server_name`: peers are told which name is meant.
    pub tells_name: bool,
    /// Who must have signed a peer's certificate; `None` (`*_ssl_verify off`) takes any.
    pub verify: Option<AuthoritiesPlan>,
    /// `*_ssl_certificate`: shown to peers that ask for one.
    pub certificate: Option<CertificatePlan>,
    /// `*_ssl_session_reuse`
    pub reuses_sessions: bool,
}

/// Who signs the certificates of upstreams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthoritiesPlan {
    /// `*_ssl_trusted_certificate`: PEM.
    pub authorities: String,
    /// `*_ssl_crl`: PEM; may be empty.
    pub revoked: String,
    /// `*_ssl_verify_depth`: most certificates between a peer's own and a trusted one.
    pub depth: u32,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePlan {
    /// The chain, the server's own certificate first: PEM.
    pub chain: String,
    /// Its key: PEM.
    pub key: Secret,
}

/// Versions of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsVersions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

/// How sessions are taken up again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPlan {
    /// Sessions the server remembers; 0 is none.
    pub remembered_max: u32,
    /// Clients may keep their session in a ticket.
    pub tickets: bool,
    /// How long a session can be taken up again.
    pub lifetime: Duration,
}

/// Certificates of clients.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub struct ClientPlan {
    /// A request without a certificate is refused.
    pub required: bool,
    /// Authorities that are trusted, and told to the client as acceptable: PEM.
    pub authorities: String,
    /// Authorities that are trusted only: PEM; may be empty.
    pub more_authorities: String,
    /// Revocation lists: PEM; may be empty.
    pub revoked: String,
    /// Most certificates between the client's own and a trusted one.
    pub depth: u32,
}

/// A text that is not printed and does not stay in memory when it is dropped.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Takes a text over.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
