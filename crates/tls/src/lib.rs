//! TLS without sockets: certificates and keys as texts, OpenSSL's names, and the settings of
//! either side as a configuration of rustls.
//!
//! Rooms: [`certificate`] (PEM → a key that fits its certificate), [`names`] (OpenSSL's names of
//! suites, groups and versions), [`server`] (plan → configuration), `choose` (the certificate for
//! a client), `sessions` (taking sessions up again, for a limited time), `client` (certificates of
//! clients), `offer` (versions, suites and groups), [`peer`] (we are the client: of upstreams),
//! `peer_certificate` (theirs).
//!
//! Invariants: what an operator asks for is met or exceeded, never weakened; keys are never
//! printed.

pub mod certificate;
mod choose;
mod client;
pub mod names;
mod offer;
pub mod peer;
mod peer_certificate;
pub mod server;
mod sessions;

pub use certificate::{CertificateFault, certified};
pub use client::check_client;
pub use peer::{Identity, PeerRules};
pub use peer_certificate::check_authorities;
pub use server::ServerConfigs;
