//! Certificates of upstreams: who judges them, and in which words a refusal is told.

use std::fmt;
use std::sync::Arc;

use plan::front::tls::AuthoritiesPlan;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, ServerName, TrustAnchor, UnixTime,
};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RevocationOptions, RevocationOptionsBuilder, VerifiedPath,
};

use crate::certificate::certificates;

/// Whether the authorities and lists of a plan can be used.
///
/// # Errors
/// With the reason.
pub fn check_authorities(plan: &AuthoritiesPlan) -> Result<(), String> {
    Authorities::new(plan).map(|_| ())
}

/// Judges as the operator asked: trusted, not revoked, in time, short enough, and for the name.
pub struct Authorities {
    roots: Vec<TrustAnchor<'static>>,
    /// The same, as they are in the file: a peer may show one of these itself.
    known: Vec<CertificateDer<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
    depth: usize,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Authorities {
    /// Certificates of the file that cannot sign others are left out, as long as one can: bundles
    /// of all authorities hold a few that nobody can read any more.
    ///
    /// # Errors
    /// With the reason, if a file is damaged or none of its certificates can be used.
    pub fn new(plan: &AuthoritiesPlan) -> Result<Authorities, String> {
        let mut store = RootCertStore::empty();
        let mut fault = None;
        let mut known = certificates(&plan.authorities)?;
        known.retain(|authority| match store.add(authority.clone()) {
            Ok(()) => true,
            Err(error) => {
                fault = Some(error.to_string());
                false
            }
        });
        if let (true, Some(fault)) = (store.is_empty(), fault) {
            return Err(fault);
        }
        let revoked = match plan.revoked.is_empty() {
            true => Vec::new(),
            false => lists(&plan.revoked)?,
        };
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let depth = plan.depth as usize;
        Ok(Authorities { roots: store.roots, known, revoked, depth, algorithms })
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let peer = EndEntityCert::try_from(own)?;
        let lists: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
        let short_enough =
            |path: &VerifiedPath<'_>| match path.intermediate_certificates().count() > self.depth {
                true => Err(webpki::Error::MaximumPathDepthExceeded),
                false => Ok(()),
            };
        let path = peer.verify_for_usage(
            self.algorithms.all,
            &self.roots,
            others,
            now,
            KeyUsage::server_auth(),
            revocation(&lists),
            Some(&short_enough),
        );
        match path {
            Ok(_) => {}
            // A certificate that signed itself and is trusted as it stands: what tools make when
            // they are asked for "a certificate". Its times have been looked at before this
            // error; lists would not, so with them it stays one.
            Err(webpki::Error::CaUsedAsEndEntity)
                if lists.is_empty() && self.known.iter().any(|known| known == own) => {}
            Err(error) => return Err(error),
        }
        peer.verify_is_valid_for_subject_name(name)
    }
}

fn lists(text: &str) -> Result<Vec<CertRevocationList<'static>>, String> {
    let mut lists = Vec::new();
    for list in CertificateRevocationListDer::pem_slice_iter(text.as_bytes()) {
        let list = list.map_err(|_| "a revocation list is damaged".to_owned())?;
        let list = OwnedCertRevocationList::from_der(list.as_ref());
        let unfit = |error| format!("a revocation list cannot be used: {error:?}");
        lists.push(list.map_err(unfit)?.into());
    }
    match lists.is_empty() {
        true => Err("no revocation list in PEM form in it".to_owned()),
        false => Ok(lists),
    }
}

/// Every certificate of a chain must be known not to be revoked, by a list that is in time.
fn revocation<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let builder = RevocationOptionsBuilder::new(lists).ok()?;
    Some(builder.with_expiration_policy(ExpirationPolicy::Enforce).build())
}

impl fmt::Debug for Authorities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Authorities({})", self.roots.len())
    }
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.judge(own, others, name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(Error::InvalidCertificate(refusal(&error))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Takes any certificate, even one that nobody here can read: whoever asks for no verification
/// has no use for a proof that the peer holds the key of a certificate that anyone can make.
#[derive(Debug)]
pub struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = ring::default_provider().signature_verification_algorithms;
        let mut schemes = known.supported_schemes();
        schemes.push(SignatureScheme::ECDSA_NISTP521_SHA512);
        schemes
    }
}

/// A refusal that the library has no word for; shown as `(NUMBER:REASON)`.
#[derive(Debug)]
struct Refused(u32, String);

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "({}:{})", self.0, self.1)
    }
}

impl std::error::Error for Refused {}

/// What the peer is told, by way of an alert, and the log (see [`told`]).
fn refusal(error: &webpki::Error) -> CertificateError {
    use webpki::Error as E;
    let other = |number: u32, reason: String| {
        CertificateError::Other(OtherError(Arc::new(Refused(number, reason))))
    };
    match error {
        E::CertExpired { .. } => CertificateError::Expired,
        E::CertNotValidYet { .. } => CertificateError::NotValidYet,
        E::CertNotValidForName(_) => CertificateError::NotValidForName,
        E::CertRevoked => CertificateError::Revoked,
        E::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        E::CrlExpired { .. } => CertificateError::ExpiredRevocationList,
        E::UnknownIssuer | E::CaUsedAsEndEntity => CertificateError::UnknownIssuer,
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        E::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        E::MaximumPathDepthExceeded => other(22, "certificate chain too long".to_owned()),
        error => other(1, format!("the certificate cannot be used: {error:?}")),
    }
}

/// What nginx's users know from their error logs when a handshake with `name` has failed; the
/// numbers are OpenSSL's.
pub fn told(error: &Error, name: &str) -> String {
    let (number, reason) = match error {
        Error::InvalidCertificate(CertificateError::NotValidForName) => {
            return format!("upstream SSL certificate does not match \"{name}\"");
        }
        Error::InvalidCertificate(refusal) => match refusal {
            CertificateError::Expired => (10, "certificate has expired"),
            CertificateError::NotValidYet => (9, "certificate is not yet valid"),
            CertificateError::Revoked => (23, "certificate revoked"),
            CertificateError::UnknownRevocationStatus => (3, "unable to get certificate CRL"),
            CertificateError::ExpiredRevocationList => (12, "CRL has expired"),
            CertificateError::UnknownIssuer => (20, "unable to get local issuer certificate"),
            CertificateError::BadSignature => (7, "certificate signature failure"),
            CertificateError::InvalidPurpose => (26, "unsuitable certificate purpose"),
            CertificateError::Other(OtherError(reason)) => {
                return format!("upstream SSL certificate verify error: {reason} for \"{name}\"");
            }
            _ => (1, "unspecified certificate verification error"),
        },
        // The first byte was none of TLS.
        Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            return "SSL_do_handshake() failed (SSL: wrong version number: the peer answers \
                without TLS)"
                .to_owned();
        }
        error => return format!("SSL_do_handshake() failed (SSL: {error})"),
    };
    format!("upstream SSL certificate verify error: ({number}:{reason}) for \"{name}\"")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const AUTHORITY: &str = include_str!("../tests/certificates/ca.crt");
    const OTHER: &str = include_str!("../tests/certificates/other.crt");
    const LIST: &str = include_str!("../tests/certificates/ca.crl");
    /// For `one.test`, from 2020 to 2098, signed by `AUTHORITY`.
    const ONE: &str = include_str!("../tests/certificates/one.crt");
    /// The same for `gone.test`; in `LIST`.
    const GONE: &str = include_str!("../tests/certificates/gone.crt");
    /// For `own.test`, as long, signed by itself as an authority.
    const OWN: &str = include_str!("../tests/certificates/own.crt");
    /// An hour after `LIST` was made.
    const NOW: u64 = 1_795_945_386;
    const DAY: u64 = 86_400;
    const YEAR: u64 = 365 * DAY;

    fn plan(authorities: &str, revoked: &str) -> AuthoritiesPlan {
        AuthoritiesPlan { authorities: authorities.into(), revoked: revoked.into(), depth: 1 }
    }

    /// What the log says, empty if the certificate is taken.
    fn judged(plan: &AuthoritiesPlan, certificate: &str, name: &str, now: u64) -> String {
        let authorities = Authorities::new(plan).unwrap();
        let certificate = certificates(certificate).unwrap().remove(0);
        let host = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let judged = authorities.verify_server_cert(&certificate, &[], &host, &[], now);
        judged.map_or_else(|error| told(&error, name), |_| String::new())
    }

    fn error(reason: &str, name: &str) -> String {
        format!("upstream SSL certificate verify error: ({reason}) for \"{name}\"")
    }

    #[test]
    fn a_certificate_is_taken_from_its_authority_in_its_time_for_its_name_and_no_other() {
        let trusted = plan(AUTHORITY, "");
        assert_eq!(judged(&trusted, ONE, "one.test", NOW), "");
        assert_eq!(
            judged(&trusted, ONE, "two.test", NOW),
            "upstream SSL certificate does not match \"two.test\""
        );
        let unknown = error("20:unable to get local issuer certificate", "one.test");
        assert_eq!(judged(&plan(OTHER, ""), ONE, "one.test", NOW), unknown);
        let late = error("10:certificate has expired", "one.test");
        assert_eq!(judged(&trusted, ONE, "one.test", NOW + 80 * YEAR), late);
        let early = error("9:certificate is not yet valid", "one.test");
        assert_eq!(judged(&trusted, ONE, "one.test", NOW - 20 * YEAR), early);
        assert_eq!(judged(&plan(&format!("{OTHER}{AUTHORITY}"), ""), ONE, "one.test", NOW), "");
    }

    #[test]
    fn an_authority_that_is_trusted_itself_may_be_the_peer_in_its_time_and_for_its_name() {
        let trusted = plan(OWN, "");
        assert_eq!(judged(&trusted, OWN, "own.test", NOW), "");
        assert!(judged(&trusted, OWN, "one.test", NOW).contains("does not match"));
        assert!(judged(&trusted, OWN, "own.test", NOW + 80 * YEAR).contains("has expired"));
        assert!(judged(&plan(AUTHORITY, ""), OWN, "own.test", NOW).contains("(20:"));
        // Whether it has been revoked nobody can say.
        assert!(judged(&plan(OWN, LIST), OWN, "own.test", NOW).contains("(20:"));
    }

    #[test]
    fn with_lists_everything_must_be_known_not_to_be_revoked() {
        let listed = plan(AUTHORITY, LIST);
        assert_eq!(judged(&listed, ONE, "one.test", NOW), "");
        let revoked = error("23:certificate revoked", "gone.test");
        assert_eq!(judged(&listed, GONE, "gone.test", NOW), revoked);
        assert_eq!(judged(&plan(AUTHORITY, ""), GONE, "gone.test", NOW), "");
        let old = error("12:CRL has expired", "one.test");
        assert_eq!(judged(&listed, ONE, "one.test", NOW + 3 * DAY), old);
    }

    #[test]
    fn files_that_hold_nothing_of_use_are_told() {
        assert!(check_authorities(&plan("", "")).is_err());
        assert!(check_authorities(&plan(AUTHORITY, "nothing")).is_err());
        assert!(check_authorities(&plan(AUTHORITY, LIST)).is_ok());
    }
}
