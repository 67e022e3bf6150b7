//! The order of it all: variables, command line, bare words, expansion, rows, plan.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use diag::{SourceId, Span};

use crate::apply::{Asks, apply_all, expand_all};
use crate::argv;
use crate::collect::{Collector, Given, Origin, span};
use crate::draft::Draft;
use crate::files::format_of;
use crate::lower::{is_python_file, lower};
use crate::row::{Ask, Fault};
use crate::rows;
use crate::{Command, Context, Loaded, reference, unknown};

/// Reads everything that `argv` (without the program's name) and `environment` name.
///
/// For `propylon app` this is the command line as it stands; for `propylon serve` it is the part
/// of it that describes the app (`--ini file`, `wsgi:app`). Variables called `UWSGI_…` in
/// `environment` are options that come before those of the command line.
pub fn load(argv: &[OsString], environment: &[(OsString, OsString)], context: &Context) -> Loaded {
    let environment: Vec<(String, String)> =
        environment.iter().map(|(name, value)| (lossy(name), lossy(value))).collect();
    let known: HashMap<String, String> = environment.iter().cloned().collect();
    let mut collector = Collector::new(context, known);
    take_variables(&mut collector, &environment);
    let words: Vec<String> = argv.iter().map(lossy).collect();
    take_command_line(&mut collector, &words);
    let understood = !collector.problems.any_error();
    collector.read_inherited();

    let mut draft = Draft::new();
    expand_all(&mut collector);
    let asks = apply_all(&mut collector, &mut draft);
    // Nothing is done on a command line that was not understood.
    let command = if understood { command(&asks) } else { Command::Run };
    let plan_asked = matches!(command, Command::Run | Command::PythonVersion);
    if plan_asked {
        unknown::tell(&mut collector);
        lower(&mut collector, &mut draft);
    }
    let shown = asks.iter().any(|(ask, _)| *ask == Ask::ShowConfig);
    let shown_config = shown.then(|| show(&collector.given));
    let usable = plan_asked && !collector.problems.any_error();
    Loaded {
        command,
        plan: usable.then_some(draft.plan),
        shown_config,
        problems: collector.problems,
        sources: collector.sources,
    }
}

fn lossy(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// Variables that uWSGI sets for its own processes, or that say how it was built.
const NOT_OPTIONS: &[&str] = &[
    "UWSGI_RELOADS",
    "UWSGI_VASSALS_DIR",
    "UWSGI_EMPEROR_FD",
    "UWSGI_EMPEROR_FD_CONFIG",
    "UWSGI_EMPEROR_PROXY",
    "UWSGI_BROODLORD_NUM",
    "UWSGI_JAIL_PID",
    "UWSGI_ORIGINAL_PROC_NAME",
    "UWSGI_PROFILE",
    "UWSGI_PROFILE_OVERRIDE",
    "UWSGI_INCLUDES",
];

fn take_variables(collector: &mut Collector<'_>, environment: &[(String, String)]) {
    for (name, value) in environment {
        let Some(key) = name.strip_prefix("UWSGI_") else { continue };
        if key.is_empty() || NOT_OPTIONS.contains(&name.as_str()) {
            continue;
        }
        let source = collector.sources.add("environment", format!("{name}={value}"));
        let value_start = name.len() + 1;
        let key = key.to_lowercase().replace('_', "-");
        collector.add(Given {
            entry: rows::find(&key),
            key,
            value: value.clone(),
            origin: Origin::Environment,
            bare: false,
            placeholder: false,
            deliberate: false,
            key_at: span(source, &(0..name.len())),
            value_at: span(source, &(value_start..value_start + value.len())),
        });
    }
}

fn take_command_line(collector: &mut Collector<'_>, words: &[String]) {
    let source = collector.sources.add("command line", words.join(" "));
    let parsed = argv::parse(words);
    for (at, fault) in parsed.faults {
        let at = word_span(words, at, source);
        collector.report(at, fault);
    }
    for word in parsed.options {
        let at = word_span(words, word.at, source);
        let bare = word.value.is_none();
        let value = word.value.unwrap_or_default();
        take_word(collector, word.name, value, bare, at);
    }
    for (at, word) in parsed.bare {
        let at = word_span(words, at, source);
        take_bare(collector, &word, at);
    }
}

/// Where a word is in the words joined by blanks.
fn word_span(words: &[String], at: usize, source: SourceId) -> Span {
    let start: usize = words.iter().take(at).map(|word| word.len() + 1).sum();
    let length = words.get(at).map_or(0, String::len);
    span(source, &(start..start + length))
}

fn take_word(collector: &mut Collector<'_>, name: &str, value: String, bare: bool, at: Span) {
    collector.add(Given {
        key: name.to_owned(),
        value,
        origin: Origin::CommandLine,
        bare,
        placeholder: false,
        deliberate: false,
        entry: rows::find(name),
        key_at: at,
        value_at: at,
    });
}

/// A word without an option: a configuration file, an app's file, or `module:callable`.
fn take_bare(collector: &mut Collector<'_>, word: &str, at: Span) {
    let path = word.rsplit_once(':').map_or(word, |(path, _)| path);
    let config = word.starts_with(':') || format_of(path).is_some() || format_of(word).is_some();
    if config {
        return collector.include(word, None, at);
    }
    if is_python_file(path) || is_python_file(word) {
        return take_word(collector, "wsgi-file", word.to_owned(), false, at);
    }
    if word.contains(':') && !word.contains('/') {
        return take_word(collector, "module", word.to_owned(), false, at);
    }
    let message = format!("this word is no configuration file and no app: {word}");
    let hint = "write `FILE.ini`, `FILE.py` or `MODULE:CALLABLE`";
    collector.report(at, Fault { message, hint: Some(hint.to_owned()), fatal: false });
}

/// The first thing asked for, if anything but serving is.
fn command(asks: &Asks) -> Command {
    let asked = asks.iter().find(|(ask, _)| *ask != Ask::ShowConfig);
    let Some((ask, value)) = asked else { return Command::Run };
    match ask {
        Ask::Help => Command::Help(reference::help()),
        Ask::Version => Command::Version("2.0.31".to_owned()),
        Ask::PythonVersion => Command::PythonVersion,
        Ask::Reload => Command::Reload(PathBuf::from(value)),
        Ask::Stop => Command::Stop(PathBuf::from(value)),
        Ask::DumpOptions => {
            Command::Print(rows::names().fold(String::new(), |text, name| text + name + "\n"))
        }
        Ask::Plugins => Command::Print("*** everything is built in ***\n".to_owned()),
        Ask::ShowConfig => Command::Run,
    }
}

/// The expanded configuration as an ini file.
fn show(given: &[Given]) -> String {
    let head = ";uWSGI instance configuration\n[uwsgi]\n".to_owned();
    let body = given.iter().fold(head, |text, option| {
        let flag = option.bare && option.origin == Origin::CommandLine;
        let value = if flag { "true" } else { option.value.as_str() };
        text + &option.key + " = " + value + "\n"
    });
    body + ";end of configuration\n"
}
