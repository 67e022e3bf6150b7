//! `add_header` and `expires`.

use plan::front::location::{AddHeader, Expires};

use crate::level::Level;
use crate::row::{ALL_LEVELS, Args, Fault, LOCATION_IF, ONE_OR_TWO, Outcome, Row, level};
use crate::value;
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level(
        "add_header",
        ALL_LEVELS | LOCATION_IF,
        Args { min: 2, max: 3 },
        "a header line of answers",
        add_header,
    ),
    level("expires", ALL_LEVELS | LOCATION_IF, ONE_OR_TWO, "Expires and max-age", expires),
];

fn add_header(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let always = match call.args().get(2) {
        None => false,
        Some(word) if word.text == "always" => true,
        Some(word) => return Err(Fault::Says(3, format!("invalid parameter \"{}\"", word.text))),
    };
    let name = call.arg(0).to_owned();
    if name.contains(['\r', '\n', ':', ' ', '\0']) {
        let message = format!("header name \"{name}\" would break the response");
        return Err(Fault::Says(1, message));
    }
    let value = call.template(1)?;
    level.headers.add.get_or_insert_default().push(AddHeader { name, value, always });
    Ok(())
}

fn expires(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    if level.headers.expires.is_some() {
        return Err(Fault::Directive("is duplicate"));
    }
    let (modified, word) = match call.args() {
        [first, second] if first.text == "modified" => (true, second.text.as_str()),
        [_, _] => return Err(Fault::Directive("invalid value")),
        _ => (false, call.arg(0)),
    };
    let expires = if word.starts_with('$') {
        Some(Expires::Dynamic(call.template_of(usize::from(modified), word)?))
    } else {
        fixed(word, modified)?
    };
    level.headers.expires = Some(expires);
    Ok(())
}

fn fixed(word: &str, modified: bool) -> Result<Option<Expires>, Fault> {
    let invalid = || Fault::Directive("invalid value");
    match word {
        "off" if !modified => return Ok(None),
        "epoch" if !modified => return Ok(Some(Expires::Epoch)),
        "max" if !modified => return Ok(Some(Expires::Max)),
        _ => {}
    }
    if let Some(time) = word.strip_prefix('@') {
        if modified {
            return Err(Fault::Directive("daily time cannot be used with \"modified\" parameter"));
        }
        let seconds = value::seconds(time).ok_or_else(invalid)?;
        if seconds > 24 * 60 * 60 {
            return Err(Fault::Directive("daily time value must be less than 24 hours"));
        }
        return Ok(Some(Expires::Daily(u32::try_from(seconds).unwrap_or(0))));
    }
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let seconds = value::seconds(digits).and_then(|seconds| i64::try_from(seconds).ok());
    let seconds = seconds.ok_or_else(invalid)? * if negative { -1 } else { 1 };
    Ok(Some(if modified { Expires::AfterModified(seconds) } else { Expires::After(seconds) }))
}
