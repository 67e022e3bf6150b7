//! TLS towards clients.

use plan::front::tls::TlsVersions;

use crate::level::{CiphersDraft, FileDraft, Level, ProtocolsDraft, VerifyDraft};
use crate::row::{
    Contexts, Fault, HTTP, ONE, ONE_OR_TWO, Outcome, Row, SERVER, SOME, Shape, TWO, level, quiet,
};
use crate::value;
use crate::walk::Call;

const WHERE: Contexts = HTTP | SERVER;
const NO_DH: &str = "key exchange is on elliptic curves always";
const NO_STAPLING: &str = "answers of certificate authorities are not stapled to handshakes";
const OWN_KEYS: &str = "the keys of tickets are made at start and change by themselves";
const NO_EARLY: &str = "requests wait for the end of the handshake, so none can be replayed";
const NO_ECH: &str = "the name in a client's hello is not encrypted";
/// Sessions that one megabyte of `ssl_session_cache` is worth.
const SESSIONS_PER_MEGABYTE: u64 = 4000;
/// Smallest shared session cache in bytes.
const SHARED_BYTES_MIN: u64 = 8 * 4096;

/// The rows.
pub const ROWS: &[Row] = &[
    level("ssl", WHERE, ONE, "the old way to say `listen ... ssl`", ssl),
    level("ssl_protocols", WHERE, SOME, "versions of TLS", protocols),
    level("ssl_prefer_server_ciphers", WHERE, ONE, "whose order counts", |level, call| {
        call.flag(&mut level.tls.prefer_own_order)
    }),
    level("ssl_certificate", WHERE, ONE, "the certificate and its chain", |level, call| {
        let file = file(call)?;
        level.tls.certificates.get_or_insert_default().push(file);
        Ok(())
    }),
    level("ssl_certificate_key", WHERE, ONE, "the certificate's key", |level, call| {
        let file = file(call)?;
        level.tls.keys.get_or_insert_default().push(file);
        Ok(())
    }),
    level("ssl_password_file", WHERE, ONE, "passwords of keys", |level, call| {
        call.once(&mut level.tls.password_file, call.directive.at_word(1))
    }),
    level("ssl_ciphers", WHERE, ONE, "cipher suites of TLS 1.2", ciphers),
    level("ssl_ecdh_curve", WHERE, ONE, "groups of the key exchange", curves),
    level("ssl_session_cache", WHERE, ONE_OR_TWO, "sessions in memory", session_cache),
    level("ssl_session_timeout", WHERE, ONE, "how long sessions live", |level, call| {
        call.time(&mut level.tls.session_timeout)
    }),
    level("ssl_session_tickets", WHERE, ONE, "sessions in tickets", |level, call| {
        call.flag(&mut level.tls.tickets)
    }),
    level("ssl_client_certificate", WHERE, ONE, "authorities of clients", |level, call| {
        let file = file(call)?;
        call.once(&mut level.tls.client_certificate, file)
    }),
    level("ssl_trusted_certificate", WHERE, ONE, "more of them, not told", |level, call| {
        let file = file(call)?;
        call.once(&mut level.tls.trusted, file)
    }),
    level("ssl_crl", WHERE, ONE, "revoked certificates of clients", |level, call| {
        let file = file(call)?;
        call.once(&mut level.tls.crl, file)
    }),
    level("ssl_verify_client", WHERE, ONE, "ask clients for a certificate", verify),
    level("ssl_verify_depth", WHERE, ONE, "length of a client's chain", |level, call| {
        call.number(&mut level.tls.depth)
    }),
    level("ssl_reject_handshake", WHERE, ONE, "turn clients away", |level, call| {
        call.flag(&mut level.tls.reject)
    }),
    level("ssl_ocsp", WHERE, ONE, "ask authorities about clients", ocsp),
    level("ssl_conf_command", WHERE, TWO, "orders to OpenSSL", conf_command),
    quiet("ssl_buffer_size", WHERE, ONE, Shape::Size, "records are as large as their content"),
    quiet("ssl_certificate_cache", WHERE, SOME, Shape::Free, "certificates are read once"),
    quiet("ssl_certificate_compression", WHERE, ONE, Shape::Flag, "certificates go as they are"),
    quiet("ssl_dhparam", WHERE, ONE, Shape::Free, NO_DH),
    quiet("ssl_early_data", WHERE, ONE, Shape::Flag, NO_EARLY),
    quiet("ssl_encrypted_hello_key", WHERE, ONE, Shape::Free, NO_ECH),
    quiet("ssl_ech_file", WHERE, ONE, Shape::Free, NO_ECH),
    quiet("ssl_key_log", WHERE, ONE, Shape::Free, "keys of sessions are never written"),
    quiet("ssl_ocsp_cache", WHERE, ONE, Shape::Free, "nobody is asked about clients"),
    quiet("ssl_ocsp_responder", WHERE, ONE, Shape::Free, "nobody is asked about clients"),
    quiet("ssl_session_ticket_key", WHERE, ONE, Shape::Free, OWN_KEYS),
    quiet("ssl_stapling", WHERE, ONE, Shape::Flag, NO_STAPLING),
    quiet("ssl_stapling_file", WHERE, ONE, Shape::Free, NO_STAPLING),
    quiet("ssl_stapling_responder", WHERE, ONE, Shape::Free, NO_STAPLING),
    quiet("ssl_stapling_verify", WHERE, ONE, Shape::Flag, NO_STAPLING),
];

fn ssl(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    call.flag(&mut level.tls.on)?;
    let message =
        "the \"ssl\" directive is deprecated, use the \"listen ... ssl\" directive instead";
    call.run.warning(call.directive.at(), message);
    Ok(())
}

/// A file's name, or `data:` and its text.
pub fn file(call: &Call<'_, '_>) -> Result<FileDraft, Fault> {
    let name = call.arg(0);
    if name.starts_with("engine:") || name.starts_with("store:") {
        let message = format!("`{name}`: keys must be in files here");
        return Err(Fault::Hinted(1, message, "name a file in PEM form".to_owned()));
    }
    if name.contains('$') {
        let message = format!("variables in \"{name}\" are not supported here");
        let hint = "write a server with its own certificate for each name".to_owned();
        return Err(Fault::Hinted(1, message, hint));
    }
    Ok(FileDraft { name: name.to_owned(), at: call.directive.at_word(1) })
}

const VERSIONS: [&str; 6] = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

fn protocols(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let protocols = read_protocols(call)?;
    call.once(&mut level.tls.protocols, protocols)
}

/// Versions of TLS.
pub fn read_protocols(call: &Call<'_, '_>) -> Result<ProtocolsDraft, Fault> {
    let mut versions = TlsVersions::default();
    let mut old = Vec::new();
    for (number, word) in call.args().iter().enumerate() {
        match word.text.as_str() {
            "TLSv1.2" => versions.tls12 = true,
            "TLSv1.3" => versions.tls13 = true,
            word if VERSIONS.contains(&word) => old.push(word.to_owned()),
            _ => return Err(call.bad_word(number + 1, VERSIONS.iter().copied())),
        }
    }
    Ok(ProtocolsDraft { versions, old, at: call.directive.at() })
}

fn ciphers(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    read_ciphers(&mut level.tls.ciphers, call)
}

/// A list of cipher suites.
pub fn read_ciphers(slot: &mut Option<CiphersDraft>, call: &mut Call<'_, '_>) -> Outcome {
    let at = call.directive.at_word(1);
    let choice = tls::names::suites(call.arg(0));
    call.once(slot, CiphersDraft { suites: choice.suites, at })?;
    if !choice.without.is_empty() {
        let hint = format!("not offered here: {}", choice.without.join(" "));
        let message = format!("not all of `{}` has an effect here", call.directive.name());
        call.run.notice(at, message, &hint);
    }
    Ok(())
}

fn curves(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let mut groups = Vec::new();
    let mut without = Vec::new();
    for name in call.arg(0).split(':') {
        match tls::names::group(name) {
            _ if name == "auto" => groups.extend(tls::names::default_groups()),
            Some(group) => groups.push(group),
            None => without.push(name),
        }
    }
    if groups.is_empty() {
        let message = format!("none of the curves in \"{}\" is offered here", call.arg(0));
        let hint = "there are X25519, prime256v1 and secp384r1".to_owned();
        return Err(Fault::Hinted(1, message, hint));
    }
    if !without.is_empty() {
        let hint = format!("not offered here: {}", without.join(" "));
        let at = call.directive.at_word(1);
        call.run.notice(at, "not all of `ssl_ecdh_curve` has an effect here", &hint);
    }
    call.once(&mut level.tls.groups, groups)
}

/// `off`, `none`, `builtin[:sessions]`, `shared:name:size`; the last word counts. All of them
/// are one memory here: the threads of the front are one process.
fn session_cache(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let mut remembered = 0;
    for (number, word) in call.args().iter().enumerate() {
        let word = word.text.as_str();
        let invalid = || Fault::Says(number + 1, format!("invalid session cache \"{word}\""));
        remembered = match word.split_once(':').unwrap_or((word, "")) {
            ("off" | "none", "") => 0,
            ("builtin", "") => 20_480,
            ("builtin", sessions) => value::number(sessions).ok_or_else(invalid)?,
            ("shared", zone) => {
                let (name, size) = zone.split_once(':').ok_or_else(invalid)?;
                let bytes = value::size(size).filter(|_| !name.is_empty()).ok_or_else(invalid)?;
                if bytes < SHARED_BYTES_MIN {
                    let message = format!("session cache \"{word}\" is too small");
                    return Err(Fault::Says(number + 1, message));
                }
                bytes.saturating_mul(SESSIONS_PER_MEGABYTE) >> 20
            }
            _ => return Err(invalid()),
        };
    }
    call.once(&mut level.tls.remembered_max, u32::try_from(remembered).unwrap_or(u32::MAX))
}

fn verify(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let (on, required) = match call.arg(0) {
        "on" => (true, true),
        "off" => (false, false),
        "optional" => (true, false),
        "optional_no_ca" => {
            let message = "`optional_no_ca` is not supported here".to_owned();
            let hint = "name the authorities with `ssl_client_certificate` and say `optional`";
            return Err(Fault::Hinted(1, message, hint.to_owned()));
        }
        _ => return Err(call.bad_word(1, ["on", "off", "optional"].into_iter())),
    };
    let at = call.directive.at();
    call.once(&mut level.tls.verify, VerifyDraft { on, required, at })
}

fn ocsp(_: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    if call.arg(0) == "off" {
        return Ok(());
    }
    let message = "`ssl_ocsp` is not supported here".to_owned();
    let hint = "revoked certificates can be listed in a file: `ssl_crl`".to_owned();
    Err(Fault::Hinted(0, message, hint))
}

/// `*ssl_conf_command`
pub fn conf_command(_: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let name = call.directive.name();
    let only_speed = ["KTLS", "PrioritizeChaCha", "NoRenegotiation", "-RxCertificateCompression"];
    if call.arg(0) == "Options" && call.arg(1).split(',').all(|word| only_speed.contains(&word)) {
        let hint = "there is no OpenSSL underneath";
        call.run.notice(call.directive.at(), format!("`{name}` has no effect here"), hint);
        return Ok(());
    }
    let message = format!("`{name} {}` is not supported here", call.arg(0));
    let hint = "versions, ciphers and curves have directives of their own".to_owned();
    Err(Fault::Hinted(1, message, hint))
}
