//! Certificates of clients.

use std::sync::Arc;

use plan::front::tls::ClientPlan;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use crate::certificate::certificates;

/// Whether the authorities and lists of a plan can be used.
///
/// # Errors
/// With the reason.
pub fn check_client(plan: &ClientPlan) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    verifier(plan, provider).map(|_| ())
}

/// Who judges the certificates of clients. A client without one gets through the handshake: the
/// refusal is a page that says so.
pub fn verifier(
    plan: &ClientPlan,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut authorities = certificates(&plan.authorities)?;
    let told = authorities.len();
    if !plan.more_authorities.is_empty() {
        authorities.extend(certificates(&plan.more_authorities)?);
    }
    let mut store = RootCertStore::empty();
    let mut hints = Vec::new();
    for (number, authority) in authorities.iter().enumerate() {
        store.add(authority.clone()).map_err(|error| error.to_string())?;
        if number < told {
            hints.extend(store.subjects().last().cloned());
        }
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
        .allow_unauthenticated()
        .clear_root_hint_subjects()
        .add_root_hint_subjects(hints);
    if !plan.revoked.is_empty() {
        let lists: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(plan.revoked.as_bytes()).collect();
        let lists = lists.map_err(|_| "a revocation list is damaged".to_owned())?;
        if lists.is_empty() {
            return Err("no revocation list in PEM form in it".to_owned());
        }
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let inner = builder.build().map_err(|error| error.to_string())?;
    Ok(Arc::new(Bounded { inner, authorities, depth: plan.depth as usize }))
}

/// Adds the limit on a chain's length. What the client sends beside its own certificate and the
/// trusted ones is counted, which is never less than what the chain needs.
#[derive(Debug)]
struct Bounded {
    inner: Arc<dyn ClientCertVerifier>,
    authorities: Vec<CertificateDer<'static>>,
    depth: usize,
}

impl ClientCertVerifier for Bounded {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let is_trusted = |other: &CertificateDer<'_>| {
            self.authorities.iter().any(|authority| authority.as_ref() == other.as_ref())
        };
        if others.iter().filter(|other| !is_trusted(other)).count() > self.depth {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        self.inner.verify_client_cert(own, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
