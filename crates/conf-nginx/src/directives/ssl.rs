//! TLS towards clients, which this build does not speak: `listen ... ssl` is an error, and with
//! it gone these settings have nothing to act on.

use crate::draft::ServerDraft;
use crate::row::{
    Contexts, Fault, HTTP, ONE, ONE_OR_TWO, Outcome, Row, SERVER, SOME, Shape, TWO, quiet, server,
};
use crate::walk::Call;

const WHERE: Contexts = HTTP | SERVER;
const WHY: &str = "no server listens with TLS, so there is nothing to apply it to";

/// The rows.
pub const ROWS: &[Row] = &[
    server("ssl", ONE, "the old way to say `listen ... ssl`", ssl),
    quiet("ssl_protocols", WHERE, SOME, Shape::Free, WHY),
    quiet("ssl_prefer_server_ciphers", WHERE, ONE, Shape::Flag, WHY),
    quiet("ssl_buffer_size", WHERE, ONE, Shape::Size, WHY),
    quiet("ssl_certificate", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_certificate_cache", WHERE, SOME, Shape::Free, WHY),
    quiet("ssl_certificate_compression", WHERE, ONE, Shape::Flag, WHY),
    quiet("ssl_certificate_key", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_ciphers", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_client_certificate", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_conf_command", WHERE, TWO, Shape::Free, WHY),
    quiet("ssl_crl", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_dhparam", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_early_data", WHERE, ONE, Shape::Flag, WHY),
    quiet("ssl_ecdh_curve", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_encrypted_hello_key", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_ech_file", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_key_log", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_ocsp", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_ocsp_cache", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_ocsp_responder", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_password_file", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_reject_handshake", WHERE, ONE, Shape::Flag, WHY),
    quiet("ssl_session_cache", WHERE, ONE_OR_TWO, Shape::Free, WHY),
    quiet("ssl_session_ticket_key", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_session_tickets", WHERE, ONE, Shape::Flag, WHY),
    quiet("ssl_session_timeout", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_stapling", WHERE, ONE, Shape::Flag, WHY),
    quiet("ssl_stapling_file", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_stapling_responder", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_stapling_verify", WHERE, ONE, Shape::Flag, WHY),
    quiet("ssl_trusted_certificate", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_verify_client", WHERE, ONE, Shape::Free, WHY),
    quiet("ssl_verify_depth", WHERE, ONE, Shape::Number, WHY),
];

fn ssl(_: &mut ServerDraft, call: &mut Call<'_, '_>) -> Outcome {
    if !crate::walk::flag(call.directive)? {
        return Ok(());
    }
    let message = "TLS is not supported by this build yet".to_owned();
    let hint = "terminate TLS in front of this server".to_owned();
    Err(Fault::Hinted(0, message, hint))
}
