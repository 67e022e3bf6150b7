//! Request bodies, and the pages that answer errors.

use plan::front::location::{ErrorPage, ErrorPageStatus};

use crate::level::Level;
use crate::row::{
    ALL_LEVELS, Args, Fault, LOCATION_IF, ONE, Outcome, Row, Shape, TWO_OR_MORE, level, quiet,
};
use crate::value;
use crate::walk::Call;

const PATH_AND_LEVELS: Args = Args { min: 1, max: 4 };

/// The rows.
pub const ROWS: &[Row] = &[
    level(
        "client_max_body_size",
        ALL_LEVELS,
        ONE,
        "largest body; 0 is unlimited",
        |level, call| call.size(&mut level.core.body_max),
    ),
    level("client_body_buffer_size", ALL_LEVELS, ONE, "larger ones go to a file", |level, call| {
        call.size(&mut level.core.body_buffer)
    }),
    level("client_body_timeout", ALL_LEVELS, ONE, "between two reads", |level, call| {
        call.time(&mut level.core.body_timeout)
    }),
    level(
        "client_body_temp_path",
        ALL_LEVELS,
        PATH_AND_LEVELS,
        "directory of large bodies",
        |level, call| {
            let path = call.prefixed(call.arg(0));
            call.once(&mut level.core.body_temp_path, path)
        },
    ),
    quiet(
        "client_body_in_single_buffer",
        ALL_LEVELS,
        ONE,
        Shape::Flag,
        "bodies in memory always are in one piece",
    ),
    level(
        "client_body_in_file_only",
        ALL_LEVELS,
        ONE,
        "keeps every body in a file; `off` alone",
        |_, call| match call.arg(0) {
            "off" => Ok(()),
            "on" | "clean" => {
                let hint = "only `off` is supported here".to_owned();
                Err(Fault::Hinted(1, "bodies are not kept in files".to_owned(), hint))
            }
            _ => Err(call.bad_word(1, ["off", "on", "clean"].into_iter())),
        },
    ),
    level(
        "error_page",
        ALL_LEVELS | LOCATION_IF,
        TWO_OR_MORE,
        "what answers in place of an error",
        error_page,
    ),
    level("recursive_error_pages", ALL_LEVELS, ONE, "error pages of error pages", |level, call| {
        call.flag(&mut level.core.recursive_error_pages)
    }),
];

fn error_page(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let last = call.args().len() - 1;
    let (status, codes_end) = match call.arg(last - 1).strip_prefix('=') {
        None => (ErrorPageStatus::Keep, last),
        Some("") => (ErrorPageStatus::FromPage, last - 1),
        Some(digits) => {
            let code = value::number(digits).and_then(|code| u16::try_from(code).ok());
            let invalid = || Fault::Says(last, format!("invalid value \"{}\"", call.arg(last - 1)));
            (ErrorPageStatus::Set(code.ok_or_else(invalid)?), last - 1)
        }
    };
    if codes_end == 0 {
        return Err(Fault::Says(0, format!("invalid value \"{}\"", call.arg(0))));
    }
    let mut codes = Vec::with_capacity(codes_end);
    for number in 0..codes_end {
        let text = call.arg(number);
        let code = value::number(text)
            .ok_or_else(|| Fault::Says(number + 1, format!("invalid value \"{text}\"")))?;
        match u16::try_from(code) {
            Ok(499) => {
                return Err(Fault::Says(number + 1, format!("invalid value \"{text}\"")));
            }
            Ok(code @ 300..=599) => codes.push(code),
            _ => {
                let message = format!("value \"{text}\" must be between 300 and 599");
                return Err(Fault::Says(number + 1, message));
            }
        }
    }
    let target = call.template(last)?;
    let pages = level.core.error_pages.get_or_insert_default();
    pages.push(ErrorPage { codes, status, target });
    Ok(())
}
