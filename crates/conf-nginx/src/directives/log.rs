//! `log_format` and `access_log`.

use plan::front::LogFormatId;
use plan::front::log::{AccessLog, LogEscape, LogFormat, LogTarget};
use plan::{Part, Template};

use crate::level::Level;
use crate::row::{
    ALL_LEVELS, Args, Fault, HTTP, LIMIT_EXCEPT, LOCATION_IF, Outcome, Row, SOME, Shape,
    TWO_OR_MORE, level, quiet,
};
use crate::value;
use crate::walk::Call;

const CACHE_ARGS: Args = Args { min: 1, max: 4 };

/// The rows.
pub const ROWS: &[Row] = &[
    level("log_format", HTTP, TWO_OR_MORE, "a named form of access log lines", log_format),
    level(
        "access_log",
        ALL_LEVELS | LOCATION_IF | LIMIT_EXCEPT,
        SOME,
        "where requests are logged",
        access_log,
    ),
    quiet("open_log_file_cache", ALL_LEVELS, CACHE_ARGS, Shape::Free, "log files stay open"),
    quiet("log_subrequest", ALL_LEVELS, crate::row::ONE, Shape::Flag, "subrequests are not logged"),
];

fn log_format(_: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let name = call.arg(0);
    if call.run.log_formats.iter().any(|format| format.name == name) {
        return Err(Fault::Says(1, format!("duplicate \"log_format\" name \"{name}\"")));
    }
    let (escape, from) = match call.arg(1).strip_prefix("escape=") {
        None => (LogEscape::Default, 1),
        Some("default") => (LogEscape::Default, 2),
        Some("json") => (LogEscape::Json, 2),
        Some("none") => (LogEscape::None, 2),
        Some(other) => {
            return Err(Fault::Says(2, format!("unknown log format escaping \"{other}\"")));
        }
    };
    let mut parts: Vec<Part> = Vec::new();
    for number in from..call.args().len() {
        for part in call.template(number)?.parts {
            match (parts.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(text)) => {
                    *before = [before.as_ref(), text.as_ref()].concat().into();
                }
                (_, part) => parts.push(part),
            }
        }
    }
    let template = Template { parts };
    call.run.log_formats.push(LogFormat { name: name.to_owned(), escape, template });
    Ok(())
}

fn access_log(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let path = call.arg(0);
    if path == "off" {
        level.logs.access.get_or_insert_default();
        if call.args().len() > 1 {
            let message = format!("invalid parameter \"{}\"", call.arg(1));
            return Err(Fault::Says(2, message));
        }
        return Ok(());
    }
    if path.starts_with("syslog:") {
        let message = "logging to syslog is not supported here".to_owned();
        let hint = "name a file; the journal takes `/dev/stdout`".to_owned();
        return Err(Fault::Hinted(1, message, hint));
    }
    if path.contains('$') {
        let message = "an access log with variables in its name is not supported here";
        let hint = "name one file and put the variable into the log_format".to_owned();
        return Err(Fault::Hinted(1, message.to_owned(), hint));
    }
    let name = match call.arg(1) {
        "" => "combined",
        name => name,
    };
    let format = call.run.log_formats.iter().position(|format| format.name == name);
    let Some(format) = format else {
        let near = diag::nearest(name, call.run.log_formats.iter().map(|it| it.name.as_str()));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "a `log_format` must stand before its use".to_owned(),
        };
        return Err(Fault::Hinted(2, format!("unknown log format \"{name}\""), hint));
    };
    let mut condition = None;
    for number in 2..call.args().len() {
        let word = call.arg(number);
        match word.strip_prefix("if=") {
            Some(text) => condition = Some(call.template_of(number, text)?),
            None => check_buffering(number, word)?,
        }
    }
    let target = log_target(call, path);
    let format = LogFormatId(format as u32);
    level.logs.access.get_or_insert_default().push(AccessLog { target, format, condition });
    Ok(())
}

fn log_target(call: &mut Call<'_, '_>, path: &str) -> LogTarget {
    match path {
        "/dev/stderr" => LogTarget::Stderr,
        _ => call.log_file(path),
    }
}

/// Buffering is accepted and not needed: lines are gathered anyway.
fn check_buffering(number: usize, word: &str) -> Outcome {
    let says = |message: String| Err(Fault::Says(number + 1, message));
    if let Some(size) = word.strip_prefix("buffer=") {
        return match value::size(size) {
            Some(size) if size > 0 => Ok(()),
            _ => says(format!("invalid buffer size \"{size}\"")),
        };
    }
    if let Some(time) = word.strip_prefix("flush=") {
        return match value::time(time) {
            Some(time) if !time.is_zero() => Ok(()),
            _ => says(format!("invalid flush time \"{time}\"")),
        };
    }
    if word == "gzip" || word.starts_with("gzip=") {
        let message = "compressed access logs are not supported here".to_owned();
        let hint = "compress when rotating".to_owned();
        return Err(Fault::Hinted(number + 1, message, hint));
    }
    says(format!("invalid parameter \"{word}\""))
}
