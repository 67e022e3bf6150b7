//! What was given, expanded and handed to the rows.

use diag::{Severity, Span};

use crate::collect::{Collector, Given, Origin};
use crate::draft::Draft;
use crate::expand::{self, Gap};
use crate::row::{Answer, Ask, Effect, Fault, Immediate};
use crate::rows::Meaning;
use crate::values;

/// Expands every value in place.
pub fn expand_all(collector: &mut Collector<'_>) {
    let names = collector.names();
    let mut expanded = Vec::with_capacity(collector.given.len());
    for option in &collector.given {
        let mut gaps = Vec::new();
        let value = match option.value.contains(['$', '@', '%']) {
            true => expand::expand(&option.value, &names, &mut gaps),
            false => option.value.clone(),
        };
        expanded.push((value, gaps));
    }
    let names: Vec<String> = collector.given.iter().map(|option| option.key.clone()).collect();
    for (index, (value, gaps)) in expanded.into_iter().enumerate() {
        let Some(option) = collector.given.get_mut(index) else { continue };
        option.value = value;
        let (at, acts, is_template) = (option.value_at, acts(option), is_template(option));
        for gap in gaps {
            if is_template && matches!(gap, Gap::OptionNotGiven(_)) {
                continue;
            }
            tell_gap(collector, gap, at, acts, &names);
        }
    }
}

fn is_template(option: &Given) -> bool {
    let meaning = option.entry.map(|entry| entry.meaning);
    matches!(meaning, Some(Meaning::Effect(Effect::Template(_))))
}

/// Whether a gap in its value can hurt: commands of options that do nothing may hold `$( )`.
fn acts(option: &Given) -> bool {
    match option.entry.map(|entry| entry.meaning) {
        Some(Meaning::Effect(effect)) => !matches!(effect, Effect::Known(_)),
        Some(Meaning::Answer(_)) => false,
        None => true,
    }
}

fn tell_gap(collector: &mut Collector<'_>, gap: Gap, at: Span, acts: bool, names: &[String]) {
    let fault = match gap {
        Gap::VariableNotSet(name) if acts => Fault::warning(
            format!("the environment has no `{name}`, so `$({name})` stays as it is"),
            format!("set it, or write `$({name}:-default)`"),
        ),
        Gap::OptionNotGiven(name) if acts => {
            let near = diag::nearest(&name, names.iter().map(String::as_str));
            let hint = match near {
                Some(near) => format!("did you mean `%({near})`?"),
                None => format!("write `set-placeholder = {name}=VALUE` above"),
            };
            Fault::warning(
                format!("nothing is called `{name}`, so `%({name})` stays as it is"),
                hint,
            )
        }
        Gap::Ring(name) => Fault::fatal(
            format!("`%({name})` leads back to itself"),
            "give one of the options a value of its own",
        ),
        Gap::Parentheses(inside) => Fault::warning(
            format!("uWSGI has no parentheses in arithmetic; they are honoured here: %({inside})"),
            "split it into two placeholders if uWSGI shall read the file too",
        ),
        Gap::File(name, reason) if acts => {
            Fault::fatal(format!("cannot read `@({name})`: {reason}"), "put the text itself there")
        }
        _ => return,
    };
    collector.report(at, fault);
}

/// What the run asks for beside serving, in order, with the values.
pub type Asks = Vec<(Ask, String)>;

/// Hands every option to its row.
pub fn apply_all(collector: &mut Collector<'_>, draft: &mut Draft) -> Asks {
    let given = collector.given.clone();
    let mut asks = Vec::new();
    for option in &given {
        match option.entry.map(|entry| entry.meaning) {
            _ if option.placeholder => {}
            None => {}
            Some(Meaning::Answer(answer)) => tell_answer(collector, option, answer),
            Some(Meaning::Effect(Effect::Known(answer))) => tell_answer(collector, option, *answer),
            // `show-config = false` is the only one that can be switched off.
            Some(Meaning::Effect(Effect::Asks(Ask::ShowConfig)))
                if !values::truth(&option.value) => {}
            Some(Meaning::Effect(Effect::Asks(what))) => asks.push((*what, option.value.clone())),
            Some(Meaning::Effect(Effect::Immediate(Immediate::Environment))) => {
                let pair = option.value.split_once('=');
                draft.plan.python.env.extend(pair.map(|(name, value)| (name.into(), value.into())));
            }
            Some(Meaning::Effect(Effect::Immediate(_))) => {}
            Some(Meaning::Effect(effect)) => {
                let value = cleaned(collector, option, effect);
                if let Err(fault) = apply(collector, draft, option, effect, &value) {
                    let message = format!("`{}`: {}", option.key, fault.message);
                    collector.report(option.value_at, Fault { message, ..fault });
                }
            }
        }
        let flag = option.bare && option.origin == Origin::CommandLine;
        let value = (!flag).then(|| option.value.clone());
        draft.plan.options.push((option.key.clone(), value));
    }
    asks
}

fn apply(
    collector: &mut Collector<'_>,
    draft: &mut Draft,
    option: &Given,
    effect: &Effect,
    value: &str,
) -> Result<(), Fault> {
    match effect {
        Effect::Flag(set) => {
            set(draft, values::truth(value));
            Ok(())
        }
        Effect::Number(set) => {
            let (number, rest) = values::number(value)?;
            if !rest.trim().is_empty() {
                let message = format!("`{}` is read as the number {number}: {value}", option.key);
                let hint = if value.contains(|letter: char| letter.is_ascii_digit()) {
                    format!("write `{} = {number}`", option.key)
                } else {
                    "write the number in digits".to_owned()
                };
                collector.report(option.value_at, Fault::warning(message, hint));
            }
            set(draft, number)
        }
        Effect::Word(set) | Effect::Text(set) | Effect::Template(set) => {
            if value.is_empty()
                && option.key != "http-keepalive"
                && !option.key.starts_with("chmod")
            {
                return Err(Fault::fatal(
                    "the value is missing",
                    format!("write `{} = VALUE`", option.key),
                ));
            }
            set(draft, value)
        }
        Effect::Immediate(_) | Effect::Asks(_) | Effect::Known(_) => Ok(()),
    }
}

/// The value without what surely was not meant to be part of it.
fn cleaned(collector: &mut Collector<'_>, option: &Given, effect: &Effect) -> String {
    let mut value = option.value.clone();
    // In a template anything may be meant.
    if option.origin != Origin::File || matches!(effect, Effect::Template(_)) {
        return value;
    }
    if let Some(at) = values::trailing_comment(&value) {
        let kept = value.get(..at).unwrap_or("").trim_end().to_owned();
        if matches!(effect, Effect::Text(_)) {
            let message = format!(
                "uWSGI has no comments after a value, so all of this is the value: {value}"
            );
            let hint = format!(
                "if it is a comment, move it to a line of its own above `{} = {kept}`",
                option.key
            );
            collector.report(option.value_at, Fault::warning(message, hint));
        } else {
            let message =
                format!("uWSGI has no comments after a value; this one is dropped: {value}");
            let hint = format!("move it to a line of its own above `{} = {kept}`", option.key);
            collector.report(option.value_at, Fault::warning(message, hint));
            value = kept;
        }
    }
    let inner = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote).and_then(|value| value.strip_suffix(*quote)));
    let Some(inner) = inner.map(str::to_owned) else { return value };
    let message =
        format!("uWSGI keeps quotes as part of the value; they are dropped here: {value}");
    let hint = format!("write `{} = {inner}`", option.key);
    collector.report(option.value_at, Fault::warning(message, hint));
    inner
}

fn tell_answer(collector: &mut Collector<'_>, option: &Given, answer: Answer) {
    let (severity, reason) = match answer {
        Answer::NoOp(reason) => (Severity::Notice, reason),
        // A flag that is switched off asks for nothing.
        _ if option.origin == Origin::File && is_off(option) => return,
        Answer::Missing(reason) => (Severity::Warning, reason),
        Answer::Refused(reason) => (Severity::Error, reason),
    };
    let message = match severity {
        Severity::Error => format!("known uWSGI option `{}` is not supported", option.key),
        _ => format!("known uWSGI option `{}` has no effect here", option.key),
    };
    collector.tell(severity, option.key_at, message, Some(reason.to_owned()));
}

fn is_off(option: &Given) -> bool {
    let flag = option.entry.is_some_and(|entry| entry.takes == crate::row::Takes::Nothing);
    flag && !values::truth(&option.value)
}
