//! Files served without Python, and uWSGI's internal routing.

use crate::draft::{Draft, pair};
use crate::row::{Effect, Fault, Row, Takes};

const fn routing(names: &'static [&'static str]) -> Row {
    Row {
        names,
        short: None,
        takes: Takes::Value,
        doc: "internal routing: only actions that change nothing for the client are accepted",
        effect: Effect::Text(harmless_route),
    }
}

/// The rows.
pub const ROWS: &[Row] = &[
    Row {
        names: &["static-map"],
        short: None,
        takes: Takes::Value,
        doc: "`/prefix=/dir`: serve files of the directory below the prefix; what is missing goes \
              to the app; repeatable, the first hit wins",
        effect: Effect::Text(|draft, text| {
            draft.static_maps.push(pair(text, "static-map = /static=/srv/app/static")?);
            Ok(())
        }),
    },
    routing(&[
        "route",
        "route-host",
        "route-uri",
        "route-qs",
        "route-remote-addr",
        "route-user-agent",
        "route-remote-user",
        "route-referer",
        "route-if",
        "route-if-not",
    ]),
    Row {
        names: &["route-run"],
        short: None,
        takes: Takes::Value,
        doc: "internal routing for every request: only actions that change nothing for the client \
              are accepted",
        effect: Effect::Text(harmless_route_run),
    },
];

/// Actions that neither refuse, nor change, nor redirect a request.
const HARMLESS: &[&str] = &["donotlog", "log", "continue", "last"];

/// `CONDITION ACTION:ARGUMENT`.
fn harmless_route(_: &mut Draft, text: &str) -> Result<(), Fault> {
    let action = text.split_once(char::is_whitespace).map_or("", |(_, action)| action.trim());
    judge(action)
}

/// `ACTION:ARGUMENT`.
fn harmless_route_run(_: &mut Draft, text: &str) -> Result<(), Fault> {
    judge(text.trim())
}

/// A rule may be what keeps strangers out, so one that cannot be honoured stops the start.
fn judge(action: &str) -> Result<(), Fault> {
    let name = action.split(':').next().unwrap_or("").trim();
    if HARMLESS.contains(&name) {
        return Err(Fault::warning(
            format!("internal routing is not here, so this has no effect: {action}"),
            "write the rule in the site's file of the front",
        ));
    }
    Err(Fault::fatal(
        format!("internal routing is not here, and this rule may protect something: {action}"),
        "write the rule as a `location` in the site's file of the front",
    ))
}
