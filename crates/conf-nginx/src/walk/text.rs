//! Texts with variables, and regular expressions.

use plan::{Part, RegexPlan, Template};

use super::Run;
use crate::report::At;
use crate::variable::Meaning;

/// Cuts a text at its variables. The error is nginx's sentence.
pub fn template(run: &mut Run<'_>, at: At, text: &str) -> Result<Template, String> {
    let mut parts: Vec<Part> = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        plain.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(digit @ b'1'..=b'9') = rest.as_bytes().first() {
            flush(&mut parts, &mut plain);
            parts.push(Part::Capture(digit - b'0'));
            rest = &rest[1..];
            continue;
        }
        let (name, after) = variable_name(rest)?;
        rest = after;
        flush(&mut parts, &mut plain);
        parts.push(Part::Variable(known(run, at, name)?));
    }
    plain.push_str(rest);
    flush(&mut parts, &mut plain);
    Ok(Template { parts })
}

fn flush(parts: &mut Vec<Part>, plain: &mut String) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

fn known(run: &mut Run<'_>, at: At, name: &str) -> Result<plan::Variable, String> {
    match run.variables.used(name, at) {
        Meaning::Known(variable) => Ok(variable),
        Meaning::Unsupported(module) => {
            Err(format!("variable `${name}` of nginx's {module} is not supported here"))
        }
    }
}

/// The name after a dollar and what follows it.
fn variable_name(rest: &str) -> Result<(&str, &str), String> {
    let (inner, braced) = match rest.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (rest, false),
    };
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let length = inner.bytes().take_while(word).count();
    let (name, after) = inner.split_at(length);
    let after = match (braced, after.strip_prefix('}')) {
        (false, _) => after,
        (true, Some(after)) => after,
        (true, None) => {
            return Err(format!("the closing bracket in \"{name}\" variable is missing"));
        }
    };
    if name.is_empty() {
        return Err("invalid variable name".to_owned());
    }
    Ok((name, after))
}

/// Compiles a pattern, with the engine that will match, to see whether it can be, and gives its named captures their slots.
pub fn regex(run: &mut Run<'_>, pattern: &str, ignore_case: bool) -> Result<RegexPlan, String> {
    let plan = RegexPlan { pattern: pattern.to_owned(), ignore_case, named: Vec::new() };
    let names = route::pattern::Pattern::names(&plan)
        .map_err(|why| format!("pcre2_compile() failed: {} in \"{pattern}\"", pcre_words(&why)))?;
    let named = names.into_iter().map(|name| {
        let slot = run.variables.define(&name);
        (name, slot)
    });
    Ok(RegexPlan { named: named.collect(), ..plan })
}

/// The engine draws a picture before its reason; the commonest reasons get PCRE's words, which
/// people search for.
fn pcre_words(why: &str) -> &str {
    let reason = why.lines().last().unwrap_or(why).trim_start_matches("error: ");
    match reason {
        "unclosed group" => "missing closing parenthesis",
        "unopened group" => "unmatched closing parenthesis",
        "unclosed character class" => "missing terminating ] for character class",
        "repetition operator missing expression" => "quantifier does not follow a repeatable item",
        other => other,
    }
}
