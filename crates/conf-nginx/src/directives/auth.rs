//! Who may come in by more than an address: passwords, another location's word, and which checks
//! must pass.

use super::rewrite::own_variable;
use crate::level::{Level, RealmDraft};
use crate::row::{ALL_LEVELS, LIMIT_EXCEPT, ONE, Outcome, Row, TWO, level};
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
    level("auth_request", ALL_LEVELS, ONE, "asks another location", |level, call| {
        let uri = Some(call.arg(0)).filter(|uri| *uri != "off");
        call.once(&mut level.auth.request, uri.map(str::to_owned))
    }),
    level("auth_request_set", ALL_LEVELS, TWO, "keeps what that one answered", |level, call| {
        let name = own_variable(call)?;
        let value = call.template(1)?;
        let slot = call.run.variables.define(name);
        level.auth.request_set.get_or_insert_default().push((slot, value));
        Ok(())
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
