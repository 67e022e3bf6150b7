//! A certificate chain and its key, from PEM.

use std::fmt;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// What is wrong with a certificate or key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// The chain's text holds no certificate, or is damaged.
    Certificate(String),
    /// The key's text holds no key, or one that cannot be used.
    Key(String),
    /// The key needs a password.
    KeyEncrypted,
    /// The key belongs to another certificate.
    KeyMismatch,
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateFault::Certificate(reason) | CertificateFault::Key(reason) => {
                out.write_str(reason)
            }
            CertificateFault::KeyEncrypted => out.write_str("the key is encrypted"),
            CertificateFault::KeyMismatch => out.write_str("key values mismatch"),
        }
    }
}

/// Every certificate of a text; at least one.
///
/// # Errors
/// With the reason, if a block is damaged or there is none.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err("no certificate in PEM form in it".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(reason(&error)),
    }
}

/// The chain and the key of a server.
///
/// # Errors
/// If either cannot be used, or they do not belong together.
pub fn certified(chain: &str, key: &str) -> Result<CertifiedKey, CertificateFault> {
    let chain = certificates(chain).map_err(CertificateFault::Certificate)?;
    if is_encrypted(key) {
        return Err(CertificateFault::KeyEncrypted);
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| {
        CertificateFault::Key(match error {
            pem::Error::NoItemsFound => "no private key in PEM form in it".to_owned(),
            error => reason(&error),
        })
    })?;
    let key = any_supported_type(&key).map_err(|error| {
        let hint = "RSA keys of 2048 bits and more, ECDSA on P-256 and P-384, and Ed25519 can be";
        CertificateFault::Key(format!("this key cannot be used ({error}); {hint}"))
    })?;
    let fits = key.public_key().is_some_and(|public| {
        // The public key stands in the certificate, byte by byte; old certificates (version 1)
        // are no reason to refuse a key that is right.
        let own = chain.first().map_or(&[][..], |own| own.as_ref());
        !public.is_empty() && own.windows(public.len()).any(|part| part == public.as_ref())
    });
    match fits {
        true => Ok(CertifiedKey::new(chain, key)),
        false => Err(CertificateFault::KeyMismatch),
    }
}

fn is_encrypted(key: &str) -> bool {
    key.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || key.contains("Proc-Type: 4,ENCRYPTED")
}

fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a PEM block has no end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a PEM block has no proper beginning".to_owned(),
        pem::Error::Base64Decode(_) => "a PEM block holds bad base64".to_owned(),
        pem::Error::NoItemsFound => "no PEM block in it".to_owned(),
        _ => "not in PEM form".to_owned(),
    }
}
