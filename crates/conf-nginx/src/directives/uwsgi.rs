//! `uwsgi_pass` and what uwsgi upstreams need.

use plan::front::upstream::UwsgiParam;

use super::exchange::exchange_rows;
use crate::draft::{PassDraft, Secrecy, SpeakDraft, TargetDraft};
use crate::level::Level;
use crate::row::{
    ALL_LEVELS, Args, Fault, LOCATION, LOCATION_IF, ONE, Outcome, Row, level, refused,
};
use crate::walk::Call;

/// What proxy and uwsgi have in common.
pub const EXCHANGE_ROWS: &[Row] = exchange_rows!("uwsgi", uwsgi);

/// The rows.
pub const ROWS: &[Row] = &[
    level("uwsgi_pass", LOCATION | LOCATION_IF, ONE, "a uwsgi upstream", pass),
    level("uwsgi_param", ALL_LEVELS, Args { min: 2, max: 3 }, "a variable of the app", param),
    level("uwsgi_modifier1", ALL_LEVELS, ONE, "first byte of packets", |level, call| {
        let byte = call.between(0, 255)?;
        call.once(&mut level.uwsgi.modifier1, u8::try_from(byte).unwrap_or(0))
    }),
    level("uwsgi_modifier2", ALL_LEVELS, ONE, "last byte of packet heads", |level, call| {
        let byte = call.between(0, 255)?;
        call.once(&mut level.uwsgi.modifier2, u8::try_from(byte).unwrap_or(0))
    }),
    refused("uwsgi_string", "ngx_http_uwsgi_module", "it was removed from nginx as well"),
];

fn pass(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    if level.own.pass.is_some() {
        return Err(Fault::Directive("is duplicate"));
    }
    let at = call.directive.at_word(1);
    let text = call.arg(0);
    let secret = text.strip_prefix("suwsgi://");
    let address = secret.or_else(|| text.strip_prefix("uwsgi://")).unwrap_or(text);
    let (target, secrecy) = match (text.contains('$'), secret) {
        (false, None) => (named(address), Secrecy::Plain),
        (false, Some(_)) => (named(address), Secrecy::Tls),
        (true, None) => (TargetDraft::Dynamic(call.template_of(0, text)?), secrecy(text)),
        (true, Some(_)) => (TargetDraft::Dynamic(call.template_of(0, text)?), Secrecy::Tls),
    };
    level.own.pass = Some(PassDraft { speak: SpeakDraft::Uwsgi, secrecy, target, at });
    Ok(())
}

fn named(address: &str) -> TargetDraft {
    TargetDraft::Named { name: address.to_owned(), default_port: None }
}

/// Of an address with variables and without the scheme of TLS in front: only a variable at its
/// beginning can bring that.
fn secrecy(text: &str) -> Secrecy {
    match text.starts_with('$') {
        true => Secrecy::AsItTurnsOut,
        false => Secrecy::Plain,
    }
}

fn param(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let if_not_empty = match call.args().get(2) {
        None => false,
        Some(word) if word.text == "if_not_empty" => true,
        Some(word) => return Err(Fault::Says(3, format!("invalid parameter \"{}\"", word.text))),
    };
    let name = call.arg(0).to_owned();
    let value = call.template(1)?;
    level.uwsgi.params.get_or_insert_default().push(UwsgiParam { name, value, if_not_empty });
    Ok(())
}
