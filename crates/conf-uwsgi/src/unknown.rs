//! Names that uWSGI does not know: variables of the user's own, or slips.

use diag::{Severity, nearest};

use crate::collect::{Collector, Given, Origin};
use crate::rows;

/// Tells of every unknown name that nothing asks for.
pub fn tell(collector: &mut Collector<'_>) {
    let given = collector.given.clone();
    for option in given.iter().filter(|option| option.entry.is_none() && !option.placeholder) {
        if collector.strict {
            let message = format!("[strict-mode] unknown config directive: {}", option.key);
            collector.tell(Severity::Error, option.key_at, message, Some(advice(option)));
            continue;
        }
        if collector.asked.contains(&option.key) {
            continue;
        }
        let guess = guess(option);
        if option.deliberate && guess.is_none() {
            continue;
        }
        // Containers set variables such as UWSGI_PROFILE for their own scripts.
        let severity = match (option.origin, &guess) {
            (Origin::Environment, None) => Severity::Notice,
            _ => Severity::Warning,
        };
        let message =
            format!("unknown option `{}`: kept as a variable that nothing uses", option.key);
        collector.tell(severity, option.key_at, message, Some(advice(option)));
    }
}

fn advice(option: &Given) -> String {
    guess(option).unwrap_or_else(|| {
        let value = &option.value;
        format!("if it is a variable, write `set-placeholder = {}={value}`", option.key)
    })
}

/// Words that other servers or common sense suggest, and what to write here.
const SLIPS: &[(&str, &str)] = &[
    ("app", "module = PACKAGE.MODULE:CALLABLE"),
    ("application", "module = PACKAGE.MODULE:CALLABLE"),
    ("bind", "http-socket = ADDRESS:PORT"),
    ("host", "http-socket = ADDRESS:PORT"),
    ("port", "http-socket = ADDRESS:PORT"),
    ("logging", "disable-logging = false"),
    ("pid", "uid = USER`, `gid = GROUP` or `pidfile = FILE"),
    ("user", "uid = USER"),
    ("group", "gid = GROUP"),
    ("timeout", "harakiri = SECONDS"),
];

/// What was meant, most likely.
fn guess(option: &Given) -> Option<String> {
    let key = option.key.as_str();
    if key.starts_with("<<<<<<<")
        || key.starts_with("=======")
        || key.starts_with(">>>>>>>")
        || key.is_empty()
    {
        return Some("this looks like a merge conflict that was left in the file".to_owned());
    }
    if let Some((name, value)) = key.split_once(':').filter(|_| option.bare)
        && rows::find(name.trim()).is_some()
    {
        return Some(format!("write `{} = {}`", name.trim(), value.trim()));
    }
    if let Some((name, rest)) = key.split_once(char::is_whitespace) {
        let rest = rest.trim();
        if name == "env" {
            return Some(format!("write `env = {rest}={}`", option.value));
        }
        if rows::find(name).is_some() {
            return Some(format!("write `{name} = {rest}`"));
        }
    }
    if let Some(part) = key.split('/').find(|part| rows::find(part).is_some()) {
        return Some(format!("write `{part} = {}`", option.value));
    }
    let dashed = key.to_ascii_lowercase().replace('_', "-");
    let dashed = dashed.trim_start_matches('-');
    let known = rows::find(dashed).map(|entry| entry.name);
    if let Some((_, right)) = SLIPS.iter().find(|(wrong, _)| known.is_none() && *wrong == dashed) {
        return Some(format!("did you mean `{right}`?"));
    }
    // Two letters are near to everything, and a much longer name is a name of its own.
    let names = rows::names().filter(|name| {
        let far = name.len().abs_diff(dashed.len()) > 2;
        name.len() > 2 && (!far || name.starts_with(dashed))
    });
    let known = known.or_else(|| nearest(dashed, names));
    known.map(|known| format!("did you mean `{known}`?"))
}
