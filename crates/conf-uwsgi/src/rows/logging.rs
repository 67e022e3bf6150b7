//! Where log lines go and which are written.

use std::path::PathBuf;

use super::process::log_file;
use crate::log_format;
use crate::row::{Effect, Fault, Row, Takes};

/// The rows.
pub const ROWS: &[Row] = &[
    Row {
        names: &["disable-logging"],
        short: Some('L'),
        takes: Takes::Nothing,
        doc: "do not write a line for every request",
        effect: Effect::Flag(|draft, on| draft.plan.log.requests = !on),
    },
    Row {
        names: &["logto"],
        short: None,
        takes: Takes::Value,
        doc: "log to this file",
        effect: Effect::Text(|draft, text| {
            draft.log_file = Some(text.to_owned());
            draft.plan.log.file_after_drop = false;
            log_file(text)
        }),
    },
    Row {
        names: &["logto2"],
        short: None,
        takes: Takes::Value,
        doc: "log to this file, opened after privileges are dropped",
        effect: Effect::Text(|draft, text| {
            draft.log_file = Some(text.to_owned());
            draft.plan.log.file_after_drop = true;
            log_file(text)
        }),
    },
    Row {
        names: &["log-format", "logformat"],
        short: None,
        takes: Takes::Value,
        doc: "the line of a request: `%(uri)`, `%(status)`, `%(msecs)`, `%(var.HTTP_X_A)` and so on; values are \
              escaped as JSON wants it if the line begins with `{`",
        effect: Effect::Template(|draft, text| {
            let (format, unknown) = log_format::parse(text);
            draft.plan.log.format = Some(format);
            match unknown.first() {
                None => Ok(()),
                Some(name) => Err(Fault::warning(
                    format!("nothing is known as `%({name})`: the line has `-` there"),
                    "it is filled in for requests that set it by `uwsgi.set_logvar`",
                )),
            }
        }),
    },
    Row {
        names: &["logger"],
        short: None,
        takes: Takes::Value,
        doc: "`file:PATH`: log to this file, as `logto` does; `stdio`: to standard error",
        effect: Effect::Text(|draft, text| match Engine::of(text) {
            Engine { name: Some(_), .. } => Err(unrouted(text)),
            Engine { engine: "stdio", .. } => Ok(()),
            Engine { engine: "file", argument: path, .. } if !path.is_empty() => {
                match draft.log_file.replace(path.to_owned()) {
                    Some(before) if before != path => Err(Fault::warning(
                        format!("lines go to one file: to `{path}`, not to `{before}`"),
                        "name one file only",
                    )),
                    _ => Ok(()),
                }
            }
            _ => Err(elsewhere(text)),
        }),
    },
    Row {
        names: &["req-logger", "logger-req"],
        short: None,
        takes: Takes::Value,
        doc: "`file:PATH`: the lines of requests go to this file, and nothing else does",
        effect: Effect::Text(|draft, text| match Engine::of(text) {
            Engine { engine: "stdio", .. } => Ok(()),
            Engine { engine: "file", argument: path, .. } if !path.is_empty() => {
                draft.plan.log.requests_file = Some(PathBuf::from(path));
                Ok(())
            }
            _ => Err(elsewhere(text)),
        }),
    },
];

/// `[NAME ]ENGINE[:ARGUMENT]`
struct Engine<'a> {
    /// For `log-route`.
    name: Option<&'a str>,
    engine: &'a str,
    argument: &'a str,
}

impl Engine<'_> {
    fn of(text: &str) -> Engine<'_> {
        let named = text.split_once(' ').filter(|(name, _)| !name.contains(':'));
        let (name, rest) = named.map_or((None, text), |(name, rest)| (Some(name), rest.trim()));
        let (engine, argument) = rest.split_once(':').unwrap_or((rest, ""));
        Engine { name, engine, argument }
    }
}

fn elsewhere(text: &str) -> Fault {
    Fault::warning(
        format!("lines are not sent there: {text}"),
        "they go to standard error, so to systemd's journal; or write `file:PATH`",
    )
}

fn unrouted(text: &str) -> Fault {
    Fault::warning(
        format!("`log-route` is not here, so nothing is sent to a logger with a name: {text}"),
        "leave the name out to send all lines there",
    )
}
