//! The directive tables as a page to read.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::directives;
use crate::row::{
    ANYWHERE, EVENTS, Effect, HTTP, LIMIT_EXCEPT, LOCATION, LOCATION_IF, MAIN, Row, SERVER,
    SERVER_IF, UPSTREAM,
};

const HEAD: &str = "# nginx's directives here

Every directive of nginx 1.22 to 1.31 and what becomes of it, made from the program's own tables.
Names that are not on this page are errors, with the nearest real name as a hint.
";

/// The reference of all directives in Markdown, as in `docs/nginx-directives.md`.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    let supported = |row: &&Row| {
        !matches!(row.effect, Effect::Quiet(..) | Effect::Warned(_) | Effect::Refused(..))
    };
    out.push_str("\n## Supported\n\n| directive | in | meaning |\n|---|---|---|\n");
    for row in sorted(supported) {
        line(&mut out, &[&format!("`{}`", row.name), &places(row), row.doc]);
    }
    let idle = |row: &&Row| matches!(row.effect, Effect::Quiet(..) | Effect::Warned(_));
    out.push_str("\n## Accepted, without effect\n\nListed by `propylon check`.\n\n");
    out.push_str("| directive | because |\n|---|---|\n");
    for row in sorted(idle).into_iter().filter(|row| row.name != "include") {
        line(&mut out, &[&format!("`{}`", row.name), row.doc]);
    }
    out.push_str("\n## Refused\n\nAn error that names the module and what to do instead.\n\n");
    out.push_str("| directives | of | instead |\n|---|---|---|\n");
    for ((module, instead), names) in refusals() {
        line(&mut out, &[&names.join(" "), module, instead]);
    }
    out
}

fn sorted(wanted: impl Fn(&&Row) -> bool) -> Vec<&'static Row> {
    let mut rows: Vec<&'static Row> = directives::all().filter(|row| wanted(row)).collect();
    rows.sort_by_key(|row| row.name);
    rows
}

fn refusals() -> BTreeMap<(&'static str, &'static str), Vec<String>> {
    let mut refusals: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for row in directives::all() {
        if let Effect::Refused(module, instead) = row.effect {
            refusals.entry((module, instead)).or_default().push(format!("`{}`", row.name));
        }
    }
    refusals
}

fn line(out: &mut String, cells: &[&str]) {
    // Writing to a string cannot fail.
    writeln!(out, "| {} |", cells.join(" | ")).ok();
}

fn places(row: &Row) -> String {
    if row.contexts == ANYWHERE {
        return "anywhere".to_owned();
    }
    let names = [
        (MAIN, "main"),
        (EVENTS, "events"),
        (HTTP, "http"),
        (SERVER, "server"),
        (LOCATION, "location"),
        (UPSTREAM, "upstream"),
        (SERVER_IF, "if in server"),
        (LOCATION_IF, "if in location"),
        (LIMIT_EXCEPT, "limit_except"),
    ];
    let found = names.iter().filter(|(bit, _)| row.contexts & bit != 0);
    found.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}
