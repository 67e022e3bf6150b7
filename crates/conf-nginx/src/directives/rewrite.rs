//! The rewrite module's little language, and `map`.

use plan::front::RewriteStep;
use plan::front::rewrite::{Condition, FileTest, Return, RewriteFlag};
use plan::{Part, Template};

use crate::level::{Level, StepDraft};
use crate::row::{
    ALL_LEVELS, Args, BlockKind, Contexts, Fault, HTTP, LOCATION, LOCATION_IF, NONE, ONE,
    ONE_OR_TWO, Outcome, Row, SERVER, SERVER_IF, SOME, Shape, TWO, block, level, quiet,
};
use crate::value;
use crate::variable;
use crate::walk::Call;

const REWRITE: Contexts = SERVER | SERVER_IF | LOCATION | LOCATION_IF;

/// The rows.
pub const ROWS: &[Row] = &[
    level("rewrite", REWRITE, Args { min: 2, max: 3 }, "changes the URI", rewrite),
    level("return", REWRITE, ONE_OR_TWO, "answers at once", answer),
    level("break", REWRITE, NONE, "ends rewriting", |level, _| push(level, RewriteStep::Break)),
    level("set", REWRITE, TWO, "gives a variable a value", set),
    block("if", SERVER | LOCATION, SOME, "settings under a condition", BlockKind::If),
    block("map", HTTP, TWO, "a variable from a table", BlockKind::Map),
    quiet("map_hash_max_size", HTTP, ONE, Shape::Number, "tables size themselves"),
    quiet("map_hash_bucket_size", HTTP, ONE, Shape::Number, "tables size themselves"),
    quiet(
        "rewrite_log",
        ALL_LEVELS | SERVER_IF | LOCATION_IF,
        ONE,
        Shape::Flag,
        "rewrites are in the debug log",
    ),
    quiet(
        "uninitialized_variable_warn",
        ALL_LEVELS | SERVER_IF | LOCATION_IF,
        ONE,
        Shape::Flag,
        "variables without value are empty",
    ),
];

fn push(level: &mut Level, step: RewriteStep) -> Outcome {
    level.own.steps.push(StepDraft::Ready(step));
    Ok(())
}

fn set(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let name = variable_name(call)?;
    if name == "args" {
        let value = call.template(1)?;
        return push(level, RewriteStep::SetArgs(value));
    }
    if name == "limit_rate" && call.arg(1) == "0" {
        return Ok(());
    }
    if name == "limit_rate" {
        let message = "`$limit_rate` is not supported here".to_owned();
        return Err(Fault::Hinted(1, message, "rates are not limited by this build".to_owned()));
    }
    let name = own_variable(call)?;
    let value = call.template(1)?;
    let slot = call.run.variables.define(name);
    push(level, RewriteStep::Set(slot, value))
}

/// The variable that the first word names, if it is nobody else's.
pub(super) fn own_variable<'c>(call: &Call<'c, '_>) -> Result<&'c str, Fault> {
    let name = variable_name(call)?;
    if variable::is_fixed(name) {
        return Err(Fault::Says(1, format!("the duplicate \"{name}\" variable")));
    }
    if call.run.variables.is_made(name) {
        let message = format!("variable `${name}` is made by a block and cannot be set as well");
        return Err(Fault::Hinted(1, message, "give one of the two another name".to_owned()));
    }
    Ok(name)
}

fn variable_name<'c>(call: &Call<'c, '_>) -> Result<&'c str, Fault> {
    let word = call.arg(0);
    let name = word.strip_prefix('$').filter(|name| !name.is_empty());
    name.ok_or_else(|| Fault::Says(1, format!("invalid variable name \"{word}\"")))
}

fn answer(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let first = call.arg(0);
    let is_url = ["http://", "https://", "$scheme"].iter().any(|start| first.starts_with(start));
    if call.args().len() == 1 && is_url {
        let text = Some(call.template(0)?);
        return push(level, RewriteStep::Return(Return { status: 302, text }));
    }
    let status = value::number(first).filter(|code| *code <= 999);
    let Some(status) = status.and_then(|code| u16::try_from(code).ok()) else {
        return Err(Fault::Says(1, format!("invalid return code \"{first}\"")));
    };
    let text = match call.args().len() {
        2 => Some(call.template(1)?),
        _ => None,
    };
    push(level, RewriteStep::Return(Return { status, text }))
}

fn rewrite(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let regex = call.regex(0, call.arg(0), false)?;
    let text = call.arg(1);
    let is_url = ["http://", "https://", "$scheme"].iter().any(|start| text.starts_with(start));
    let mut flag = match is_url {
        true => RewriteFlag::Redirect(302),
        false => RewriteFlag::Continue,
    };
    match call.args().get(2).map(|word| word.text.as_str()) {
        None => {}
        Some("last") if is_url => {}
        Some("break") if is_url => {}
        Some("last") => flag = RewriteFlag::Last,
        Some("break") => flag = RewriteFlag::Break,
        Some("redirect") => flag = RewriteFlag::Redirect(302),
        Some("permanent") => flag = RewriteFlag::Redirect(301),
        Some(other) => {
            let flags = ["last", "break", "redirect", "permanent"];
            let hint = match diag::nearest(other, flags) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("flags are: {}", flags.join(", ")),
            };
            return Err(Fault::Hinted(3, format!("invalid parameter \"{other}\""), hint));
        }
    }
    let (text, drop_args) = match text.strip_suffix('?') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let replacement = call.template_of(1, text)?;
    push(level, RewriteStep::Rewrite { regex, replacement, drop_args, flag })
}

/// The words between the parentheses of an `if`, parentheses taken off.
fn inside(call: &Call<'_, '_>) -> Result<Vec<(usize, String)>, Fault> {
    let invalid =
        |word: usize, text: &str| Fault::Says(word, format!("invalid condition \"{text}\""));
    let count = call.args().len();
    let Some(first) = call.arg(0).strip_prefix('(') else {
        return Err(invalid(1, call.arg(0)));
    };
    let mut words = vec![(0, first.to_owned())];
    words.extend((1..count).map(|number| (number, call.arg(number).to_owned())));
    match words.last_mut() {
        Some((_, last)) if last.ends_with(')') => {
            last.pop();
        }
        _ => return Err(invalid(count, call.arg(count - 1))),
    }
    words.retain(|(number, word)| {
        let is_edge = *number == 0 || *number + 1 == count;
        !(is_edge && word.is_empty())
    });
    match words.is_empty() {
        true => Err(invalid(1, call.arg(0))),
        false => Ok(words),
    }
}

/// The condition of an `if`.
pub fn condition(call: &mut Call<'_, '_>) -> Result<Condition, Fault> {
    let words = inside(call)?;
    let Some((first_number, first)) = words.first().cloned() else {
        return Err(Fault::Says(1, "invalid condition".to_owned()));
    };
    if first.len() > 1 && first.starts_with('$') {
        return about_variable(call, &words, first_number, &first);
    }
    let (negate, test) = match first.strip_prefix('!') {
        Some(test) => (true, test),
        None => (false, first.as_str()),
    };
    let test = match test {
        "-f" => FileTest::File,
        "-d" => FileTest::Directory,
        "-e" => FileTest::Exists,
        "-x" => FileTest::Executable,
        _ => {
            let message = format!("invalid condition \"{first}\"");
            return Err(Fault::Says(first_number + 1, message));
        }
    };
    match words.as_slice() {
        [_, (number, path)] => {
            let path = call.template_of(*number, path)?;
            Ok(Condition::File { test, path, negate })
        }
        _ => {
            let message = format!("invalid condition \"{first}\"");
            Err(Fault::Says(first_number + 1, message))
        }
    }
}

fn about_variable(
    call: &mut Call<'_, '_>,
    words: &[(usize, String)],
    first_number: usize,
    first: &str,
) -> Result<Condition, Fault> {
    let template = call.template_of(first_number, first)?;
    let variable = match single(template) {
        Some(variable) => variable,
        None => {
            let message = format!("invalid condition \"{first}\"");
            return Err(Fault::Says(first_number + 1, message));
        }
    };
    let (operator, value) = match words {
        [_] => return Ok(Condition::Truthy(variable)),
        [_, (_, operator), value] => (operator.as_str(), value),
        [..] => {
            let message = format!("invalid condition \"{first}\"");
            return Err(Fault::Says(first_number + 1, message));
        }
    };
    let (number, text) = value;
    match operator {
        "=" | "!=" => {
            let value = call.template_of(*number, text)?;
            Ok(Condition::Equals { variable, value, negate: operator == "!=" })
        }
        "~" | "~*" | "!~" | "!~*" => {
            let regex = call.regex(*number, text, operator.ends_with('*'))?;
            Ok(Condition::Matches { variable, regex, negate: operator.starts_with('!') })
        }
        _ => {
            let message = format!("unexpected \"{operator}\" in condition");
            let hint = "operators are `=`, `!=`, `~`, `~*`, `!~` and `!~*`".to_owned();
            Err(Fault::Hinted(2, message, hint))
        }
    }
}

fn single(mut template: Template) -> Option<plan::Variable> {
    match (template.parts.pop(), template.parts.is_empty()) {
        (Some(Part::Variable(variable)), true) => Some(variable),
        _ => None,
    }
}
