//! Everything that is given, in order: variables, command line, files opened where they stand, and
//! the logic words applied to the lines behind them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use diag::{Problem, Problems, Severity, SourceId, Sources, Span};

use crate::Context;
use crate::expand::{self, Names};
use crate::row::{Effect, Fault, Immediate};
use crate::rows::{self, Entry, Meaning};

mod files;
mod logic;

use logic::Logic;
pub use logic::paths;

/// One option as given.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its name as written.
    pub key: String,
    /// Its value, not yet expanded; empty if there is none.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it has no value at all.
    pub bare: bool,
    /// Whether it is never an option (`set-placeholder`).
    pub placeholder: bool,
    /// Whether `set` gave it, so that an unknown name is most likely on purpose.
    pub deliberate: bool,
    /// What it means; `None` for a variable of the user's own.
    pub entry: Option<Entry>,
    /// Where the name is.
    pub key_at: Span,
    /// Where the value is.
    pub value_at: Span,
}

/// Where an option comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A `UWSGI_` variable.
    Environment,
    /// The command line.
    CommandLine,
    /// A file.
    File,
}

/// Collects what is given.
pub struct Collector<'run> {
    /// The facts.
    pub context: &'run Context,
    /// The environment, as `$(NAME)` sees it.
    pub environment: HashMap<String, String>,
    /// What was given so far.
    pub given: Vec<Given>,
    /// All texts.
    pub sources: Sources,
    /// All problems.
    pub problems: Problems,
    /// Unknown options are refused.
    pub strict: bool,
    /// Names that a `%( )` or an `if-opt` asks for: those are variables, not slips.
    pub asked: Vec<String>,
    /// Files named by `inherit`, with the place that names them.
    inherited: Vec<(String, Span)>,
    logic: Option<Logic>,
    last_file: Option<String>,
    first_file: Option<crate::magic::FileFacts>,
    depth: usize,
    /// What was told already: a loop or a file read twice says the same again.
    told: HashSet<String>,
}

/// More options than this are a loop that got out of hand.
const GIVEN_MAX: usize = 100_000;

impl<'run> Collector<'run> {
    /// Starts with nothing given.
    pub fn new(context: &'run Context, environment: HashMap<String, String>) -> Collector<'run> {
        Collector {
            context,
            environment,
            given: Vec::new(),
            sources: Sources::default(),
            problems: Problems::default(),
            strict: false,
            asked: Vec::new(),
            inherited: Vec::new(),
            logic: None,
            last_file: None,
            first_file: None,
            depth: 0,
            told: HashSet::new(),
        }
    }

    /// Takes one option: applies the logic around it, then the option.
    pub fn add(&mut self, option: Given) {
        if self.given.len() >= GIVEN_MAX {
            return;
        }
        let act = match option.entry.map(|entry| entry.meaning) {
            Some(Meaning::Effect(Effect::Immediate(act))) => Some(*act),
            _ => None,
        };
        match act {
            Some(Immediate::End) => {
                self.logic = None;
                return;
            }
            Some(Immediate::Else) => return self.turn_logic(&option),
            _ => {}
        }
        match self.logic.take() {
            None => self.take(option),
            Some(logic) => {
                if matches!(act, Some(Immediate::If(_) | Immediate::For(_))) {
                    let message = format!("`{}` inside another condition or loop", option.key);
                    let hint = "close the first one with `endif` or `endfor`";
                    self.report(option.key_at, Fault::fatal(message, hint));
                }
                // What the option itself brings in (a file, say) is outside of the condition.
                for word in logic.words() {
                    let value = option.value.replace("%(_)", word);
                    self.take(Given { value, ..option.clone() });
                }
                self.logic = Some(logic);
            }
        }
        if self.given.len() == GIVEN_MAX {
            let message = format!("more than {GIVEN_MAX} options");
            self.problems.push(Problem {
                severity: Severity::Error,
                place: None,
                message,
                hint: Some("look for a loop with too many rounds".to_owned()),
            });
        }
    }

    /// Stores the option and does what cannot wait.
    fn take(&mut self, option: Given) {
        self.asked.extend(expand::asked_names(&option.value));
        let act = match option.entry.map(|entry| entry.meaning) {
            Some(Meaning::Effect(Effect::Immediate(act))) if !option.placeholder => Some(*act),
            _ => None,
        };
        let (value, at, origin) = (option.value.clone(), option.value_at, option.origin);
        self.given.push(option);
        match act {
            Some(Immediate::Include(format)) => {
                let value = self.expand_now(&value);
                self.include(&value, format, at);
            }
            Some(Immediate::Inherit) => self.inherited.push((value, at)),
            Some(Immediate::Set) => self.set(&value, at, origin, false),
            Some(Immediate::Placeholder) => self.set(&value, at, origin, true),
            Some(Immediate::Strict) => self.strict = crate::values::truth(&value),
            Some(Immediate::Environment) => {
                if let Some((name, value)) = value.split_once('=') {
                    self.environment.insert(name.to_owned(), value.to_owned());
                }
            }
            Some(Immediate::If(condition)) => {
                let value = self.expand_now(&value);
                self.start_condition(condition, &value);
            }
            Some(Immediate::For(over)) => {
                let value = self.expand_now(&value);
                self.start_loop(over, &value, at);
            }
            Some(Immediate::Else | Immediate::End) | None => {}
        }
    }

    /// `key=value` of `set` and `set-placeholder`.
    fn set(&mut self, text: &str, at: Span, origin: Origin, placeholder: bool) {
        let Some((key, value)) = text.split_once('=') else {
            let fault = Fault::fatal(format!("`=` is missing: {text}"), "write `NAME=VALUE`");
            self.report(at, fault);
            return;
        };
        let entry = if placeholder { None } else { rows::find(key) };
        self.add(Given {
            key: key.to_owned(),
            value: value.to_owned(),
            origin,
            bare: false,
            placeholder,
            deliberate: true,
            entry,
            key_at: at,
            value_at: at,
        });
    }

    /// Files named by `inherit` are read once variables are known.
    pub fn read_inherited(&mut self) {
        // A file may inherit from another one; the depth of includes bounds neither.
        const ROUNDS_MAX: usize = 16;
        for _ in 0..ROUNDS_MAX {
            for (value, at) in std::mem::take(&mut self.inherited) {
                let value = self.expand_now(&value);
                self.include(&value, None, at);
            }
        }
    }

    /// Expands with what is known at this place; what is not stays.
    fn expand_now(&self, text: &str) -> String {
        expand::expand(text, &self.names(), &mut Vec::new())
    }

    /// What references can name now.
    pub fn names(&self) -> Names<'_> {
        let mut options = HashMap::new();
        for option in &self.given {
            options.entry(option.key.clone()).or_insert_with(|| option.value.clone());
        }
        Names {
            environment: &self.environment,
            options,
            directory: &self.context.working_directory,
            lookups_left: std::cell::Cell::new(0),
        }
    }

    /// The absolute form of a path of the configuration, links resolved if it exists.
    fn absolute(&self, path: &str) -> PathBuf {
        let path = self.context.working_directory.join(path);
        std::fs::canonicalize(&path).unwrap_or(path)
    }

    /// Reports a fault at a place.
    pub fn report(&mut self, at: Span, fault: Fault) {
        let severity = if fault.fatal { Severity::Error } else { Severity::Warning };
        self.tell(severity, at, fault.message, fault.hint);
    }

    /// Reports a problem at a place.
    pub fn tell(&mut self, severity: Severity, at: Span, message: String, hint: Option<String>) {
        let place = self.sources.place(at);
        if self.told.insert(format!("{place}: {message}")) {
            self.problems.push(Problem { severity, place: Some(place), message, hint });
        }
    }
}

/// A span of a text; positions over 4 GiB point to the end.
pub fn span(source: SourceId, range: &std::ops::Range<usize>) -> Span {
    let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { source, start: clamp(range.start), end: clamp(range.end) }
}
