//! Who may come in by more than an address: passwords, and which checks must pass.

use crate::level::{Level, RealmDraft};
use crate::row::{ALL_LEVELS, Fault, LIMIT_EXCEPT, ONE, Outcome, Row, level};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("satisfy", ALL_LEVELS, ONE, "which checks must pass", |level, call| {
        call.choice(&mut level.auth.any, &[("all", false), ("any", true)])
    }),
    level("auth_delay", ALL_LEVELS, ONE, "how long a 401 waits", |level, call| {
        call.time(&mut level.auth.delay)
    }),
    level("auth_basic", ALL_LEVELS | LIMIT_EXCEPT, ONE, "asks for a password", realm),
    level(
        "auth_basic_user_file",
        ALL_LEVELS | LIMIT_EXCEPT,
        ONE,
        "users and their stored passwords",
        |level, call| {
            let file = call.template(0)?;
            call.once(&mut level.auth.user_file, file)
        },
    ),
    level("auth_request", ALL_LEVELS, ONE, "asks another location; `off` alone", |_, call| {
        match call.arg(0) {
            "off" => Ok(()),
            _ => {
                let message = "`auth_request` of nginx's ngx_http_auth_request_module is not \
                    supported here";
                let hint = "check in the app, or keep nginx in front for this site";
                Err(Fault::Hinted(0, message.to_owned(), hint.to_owned()))
            }
        }
    }),
];

fn realm(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let realm = match call.arg(0) {
        "off" => None,
        _ => Some(call.template(0)?),
    };
    let at = call.directive.at();
    call.once(&mut level.auth.realm, RealmDraft { realm, at })
}
