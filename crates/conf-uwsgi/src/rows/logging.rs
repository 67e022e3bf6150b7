//! Where log lines go and which are written.

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
];
