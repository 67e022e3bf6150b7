//! TLS to upstreams: one table, made for `proxy_ssl_*` and `uwsgi_ssl_*`.

use super::ssl;
use crate::level::{FileDraft, PeerTls, VerifyPeerDraft};
use crate::row::{Fault, Outcome, Row};
use crate::walk::Call;

/// The rows of one prefix.
macro_rules! peer_tls_rows {
    ($prefix:literal, $field:ident) => {{
        use crate::directives::peer_tls as shared;
        use crate::row::{ALL_LEVELS as ALL, ONE, Row, SOME, Shape, TWO, level, quiet};
        const NO_KEY_LOG: &str = "keys of sessions are never written";
        const NO_PASSWORDS: &str = "a key with a password is an error";
        const ROWS: &[Row] = &[
            level(concat!($prefix, "_ssl_verify"), ALL, ONE, "looks who the peer is", |l, c| {
                shared::verify(&mut l.$field, c)
            }),
            level(
                concat!($prefix, "_ssl_verify_depth"),
                ALL,
                ONE,
                "length of a peer's chain",
                |l, c| c.number(&mut l.$field.depth),
            ),
            level(
                concat!($prefix, "_ssl_trusted_certificate"),
                ALL,
                ONE,
                "who signs certificates of peers",
                |l, c| shared::file(&mut l.$field.trusted, c),
            ),
            level(concat!($prefix, "_ssl_crl"), ALL, ONE, "revoked certificates", |l, c| {
                shared::file(&mut l.$field.crl, c)
            }),
            level(
                concat!($prefix, "_ssl_server_name"),
                ALL,
                ONE,
                "tells peers which name is meant (SNI)",
                |l, c| c.flag(&mut l.$field.tells_name),
            ),
            level(
                concat!($prefix, "_ssl_name"),
                ALL,
                ONE,
                "the name that is told and verified",
                |l, c| shared::name(&mut l.$field, c),
            ),
            level(
                concat!($prefix, "_ssl_certificate"),
                ALL,
                ONE,
                "shown to peers that ask for one",
                |l, c| shared::file(&mut l.$field.certificate, c),
            ),
            level(
                concat!($prefix, "_ssl_certificate_key"),
                ALL,
                ONE,
                "the certificate's key",
                |l, c| shared::file(&mut l.$field.key, c),
            ),
            level(concat!($prefix, "_ssl_protocols"), ALL, SOME, "versions of TLS", |l, c| {
                shared::protocols(&mut l.$field, c)
            }),
            level(
                concat!($prefix, "_ssl_ciphers"),
                ALL,
                ONE,
                "cipher suites of TLS 1.2",
                |l, c| shared::ciphers(&mut l.$field, c),
            ),
            level(
                concat!($prefix, "_ssl_session_reuse"),
                ALL,
                ONE,
                "takes sessions up again",
                |l, c| c.flag(&mut l.$field.reuses_sessions),
            ),
            level(
                concat!($prefix, "_ssl_conf_command"),
                ALL,
                TWO,
                "orders to OpenSSL",
                shared::conf_command,
            ),
            quiet(
                concat!($prefix, "_ssl_certificate_cache"),
                ALL,
                SOME,
                Shape::Free,
                "certificates are read once",
            ),
            quiet(concat!($prefix, "_ssl_key_log"), ALL, ONE, Shape::Free, NO_KEY_LOG),
            quiet(concat!($prefix, "_ssl_password_file"), ALL, ONE, Shape::Free, NO_PASSWORDS),
        ];
        ROWS
    }};
}

/// `proxy_ssl_*`
pub const PROXY_ROWS: &[Row] = peer_tls_rows!("proxy", proxy_tls);
/// `uwsgi_ssl_*`
pub const UWSGI_ROWS: &[Row] = peer_tls_rows!("uwsgi", uwsgi_tls);

pub use super::ssl::conf_command;

/// `*_ssl_verify`
pub fn verify(tls: &mut PeerTls, call: &mut Call<'_, '_>) -> Outcome {
    let mut on = None;
    if tls.verify.is_none() {
        call.flag(&mut on)?;
    }
    let at = call.directive.at();
    call.once(&mut tls.verify, VerifyPeerDraft { on: on.unwrap_or(false), at })
}

/// `*_ssl_name`
pub fn name(tls: &mut PeerTls, call: &mut Call<'_, '_>) -> Outcome {
    let name = call.template(0)?;
    call.once(&mut tls.name, (name, call.directive.at_word(1)))
}

/// A directive that names a file; an empty name takes an outer block's away.
pub fn file(slot: &mut Option<FileDraft>, call: &mut Call<'_, '_>) -> Outcome {
    let name = call.arg(0);
    if name.contains('$') {
        let message = format!("variables in \"{name}\" are not supported here");
        let hint = "write a location with its own file for each case".to_owned();
        return Err(Fault::Hinted(1, message, hint));
    }
    let file = ssl::file(call)?;
    call.once(slot, file)
}

/// `*_ssl_protocols`
pub fn protocols(tls: &mut PeerTls, call: &mut Call<'_, '_>) -> Outcome {
    let protocols = ssl::read_protocols(call)?;
    call.once(&mut tls.protocols, protocols)
}

/// `*_ssl_ciphers`
pub fn ciphers(tls: &mut PeerTls, call: &mut Call<'_, '_>) -> Outcome {
    ssl::read_ciphers(&mut tls.ciphers, call)
}
