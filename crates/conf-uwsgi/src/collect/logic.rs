//! The logic words: conditions and loops over the lines behind them.
//!
//! ```text
//! if-env = NAME        for = a b
//! key = %(_)           key = %(_)
//! else =               endfor =
//! key = other
//! endif =
//! ```
//!
//! They do not nest, as in uWSGI. `else` belongs to uWSGI 2.1; 2.0 takes it for a variable and
//! then applies the lines behind it as if it were not there.

use diag::Span;

use super::{Collector, Given};
use crate::row::{Condition, Fault, Loop, Test};

/// A condition or loop that is open.
#[derive(Clone, Debug)]
pub struct Logic {
    /// One line becomes one line per word, which is its `%(_)`.
    words: Vec<String>,
    /// The words for the other branch; `None` in a loop.
    otherwise: Option<Vec<String>>,
}

impl Logic {
    /// What `%(_)` is, for each copy of the line.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// Rounds of one loop.
const ROUNDS_MAX: usize = 10_000;

impl Collector<'_> {
    pub(super) fn turn_logic(&mut self, option: &Given) {
        match &mut self.logic {
            Some(Logic { words, otherwise: Some(otherwise) }) => std::mem::swap(words, otherwise),
            _ => {
                let fault = Fault::fatal("`else` without a condition", "put `if-env = NAME` above");
                self.report(option.key_at, fault);
            }
        }
    }

    pub(super) fn start_condition(&mut self, condition: Condition, asked: &str) {
        let answer = self.answer(condition.test, asked);
        let holds = answer.is_some() == condition.wanted;
        let word = vec![answer.unwrap_or_default()];
        self.logic = Some(if holds {
            Logic { words: word, otherwise: Some(Vec::new()) }
        } else {
            Logic { words: Vec::new(), otherwise: Some(word) }
        });
    }

    /// The text for `%(_)` if the answer is yes.
    fn answer(&mut self, test: Test, asked: &str) -> Option<String> {
        let path = self.context.working_directory.join(asked);
        let path_if = |yes: bool| yes.then(|| asked.to_owned());
        match test {
            Test::Environment => {
                let (name, wanted) = split(asked);
                let value = self.environment.get(name)?;
                wanted.is_none_or(|wanted| wanted == value).then(|| value.clone())
            }
            Test::Option => {
                let (name, wanted) = split(asked);
                self.asked.push(name.to_owned());
                let named = self.given.iter().filter(|option| option.key == name);
                let mut fitting =
                    named.filter(|option| wanted.is_none_or(|wanted| wanted == option.value));
                fitting.next().map(|option| option.value.clone())
            }
            Test::Exists => path_if(path.exists()),
            Test::File => path_if(path.is_file()),
            Test::Directory => path_if(path.is_dir()),
            Test::HostName => path_if(self.context.host_name == asked),
            Test::Plugin => path_if(built_in(asked)),
            Test::Reload => None,
        }
    }

    pub(super) fn start_loop(&mut self, over: Loop, text: &str, at: Span) {
        let mut words = match over {
            Loop::Words => text.split_whitespace().map(str::to_owned).collect(),
            Loop::Glob => paths(&self.context.working_directory, text),
            Loop::Times => {
                let (times, _) = crate::values::number(text).unwrap_or((0, ""));
                let times = times.min(ROUNDS_MAX as u64 + 1);
                (1..=times).map(|round| round.to_string()).collect()
            }
            Loop::Lines => match std::fs::read_to_string(self.absolute(text)) {
                Ok(lines) => lines.lines().map(str::to_owned).collect(),
                Err(error) => {
                    let message = format!("cannot read the file of the loop: {error}: {text}");
                    self.report(at, Fault { message, hint: None, fatal: true });
                    Vec::new()
                }
            },
        };
        if words.len() > ROUNDS_MAX {
            let message = format!("a loop of more than {ROUNDS_MAX} rounds");
            self.report(at, Fault::fatal(message, "write fewer rounds"));
            words.truncate(ROUNDS_MAX);
        }
        self.logic = Some(Logic { words, otherwise: None });
    }
}

/// `NAME` or `NAME=value`.
fn split(asked: &str) -> (&str, Option<&str>) {
    match asked.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (asked, None),
    }
}

/// The paths that match, in order of their names.
pub fn paths(directory: &std::path::Path, pattern: &str) -> Vec<String> {
    let absolute = directory.join(pattern);
    let Ok(found) = glob::glob(&absolute.to_string_lossy()) else { return Vec::new() };
    let relative = !pattern.starts_with('/');
    let named = found.take(ROUNDS_MAX + 1).filter_map(Result::ok).map(|path| {
        let shown = if relative { path.strip_prefix(directory).unwrap_or(&path) } else { &path };
        shown.to_string_lossy().into_owned()
    });
    named.collect()
}

/// The plugins whose work is built in here.
fn built_in(plugin: &str) -> bool {
    let name = plugin.trim_start_matches("0:").trim_end_matches("_plugin.so");
    name.starts_with("python") || matches!(name, "http" | "corerouter" | "wsgi")
}
