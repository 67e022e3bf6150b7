//! One directive being applied: its arguments as values, and what it may ask for.

use std::path::PathBuf;
use std::time::Duration;

use plan::front::LogFileId;
use plan::front::log::{ErrorLog, LogLevel, LogTarget};
use plan::{Part, RegexPlan, Template, Variable};

use super::Run;
use super::text;
use crate::row::{Fault, Outcome};
use crate::tree::{Directive, Word};
use crate::value;

/// A directive and everything that applying it may need.
pub struct Call<'c, 's> {
    /// The directive.
    pub directive: &'c Directive,
    /// What all blocks share.
    pub run: &'c mut Run<'s>,
}

const DUPLICATE: Fault = Fault::Directive("is duplicate");
const INVALID: Fault = Fault::Directive("invalid value");

impl<'c> Call<'c, '_> {
    /// The words after the name.
    pub fn args(&self) -> &'c [Word] {
        self.directive.args()
    }

    /// The text of an argument, counted from 0; empty if there is none.
    pub fn arg(&self, index: usize) -> &'c str {
        self.directive.arg(index)
    }

    /// Stores a value that may be given once per block.
    pub fn once<T>(&self, slot: &mut Option<T>, value: T) -> Outcome {
        if slot.is_some() {
            return Err(DUPLICATE);
        }
        *slot = Some(value);
        Ok(())
    }

    /// `on` or `off`.
    pub fn flag(&self, slot: &mut Option<bool>) -> Outcome {
        if slot.is_some() {
            return Err(DUPLICATE);
        }
        self.once(slot, flag(self.directive)?)
    }

    /// Digits, up to a bound.
    pub fn number<T: TryFrom<u64>>(&self, slot: &mut Option<T>) -> Outcome {
        let invalid = Fault::Directive("invalid number");
        if slot.is_some() {
            return Err(DUPLICATE);
        }
        let number = value::number(self.arg(0)).and_then(|number| T::try_from(number).ok());
        self.once(slot, number.ok_or(invalid)?)
    }

    /// A number between two bounds.
    pub fn between(&self, low: u64, high: u64) -> Result<u64, Fault> {
        let number = value::number(self.arg(0)).ok_or(Fault::Directive("invalid number"))?;
        match number {
            number if number < low || number > high => {
                Err(Fault::Says(1, format!("value must be between {low} and {high}")))
            }
            number => Ok(number),
        }
    }

    /// `8k`
    pub fn size(&self, slot: &mut Option<u64>) -> Outcome {
        if slot.is_some() {
            return Err(DUPLICATE);
        }
        self.once(slot, value::size(self.arg(0)).ok_or(INVALID)?)
    }

    /// `30s`
    pub fn time(&self, slot: &mut Option<Duration>) -> Outcome {
        if slot.is_some() {
            return Err(DUPLICATE);
        }
        self.once(slot, value::time(self.arg(0)).ok_or(INVALID)?)
    }

    /// A number of buffers and their size.
    pub fn buffers(&self) -> Result<(u64, u64), Fault> {
        let number = value::number(self.arg(0)).filter(|number| *number > 0).ok_or(INVALID)?;
        let size = value::size(self.arg(1)).filter(|size| *size > 0).ok_or(INVALID)?;
        Ok((number, size))
    }

    /// One of a few words, in either case.
    pub fn choice<T: Clone>(&self, slot: &mut Option<T>, choices: &[(&str, T)]) -> Outcome {
        if slot.is_some() {
            return Err(DUPLICATE);
        }
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(self.arg(0)));
        match found {
            Some((_, value)) => self.once(slot, value.clone()),
            None => Err(self.bad_word(1, choices.iter().map(|(name, _)| *name))),
        }
    }

    /// `invalid value "x"`, with the nearest of the values that are right.
    pub fn bad_word<'a>(&self, word: usize, right: impl Iterator<Item = &'a str>) -> Fault {
        let text = self.directive.words.get(word).map_or("", |word| word.text.as_str());
        let right: Vec<&str> = right.collect();
        let hint = match diag::nearest(text, right.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it takes one of: {}", right.join(", ")),
        };
        Fault::Hinted(word, format!("invalid value \"{text}\""), hint)
    }

    /// An argument with variables in it, counted from 0.
    pub fn template(&mut self, index: usize) -> Result<Template, Fault> {
        let text = self.arg(index);
        self.template_of(index, text)
    }

    /// A piece of an argument with variables in it.
    pub fn template_of(&mut self, index: usize, text: &str) -> Result<Template, Fault> {
        let at = self.directive.at_word(index + 1);
        text::template(self.run, at, text).map_err(|message| Fault::Says(index + 1, message))
    }

    /// An argument that is one variable and nothing else, counted from 0.
    pub fn variable(&mut self, index: usize) -> Result<Variable, Fault> {
        let text = self.arg(index);
        let invalid = || Fault::Says(index + 1, format!("invalid variable name \"{text}\""));
        match self.template(index)?.parts.as_slice() {
            [Part::Variable(variable)] => Ok(variable.clone()),
            _ => Err(invalid()),
        }
    }

    /// A regular expression, compiled once to see whether it can be.
    pub fn regex(
        &mut self,
        index: usize,
        pattern: &str,
        ignore_case: bool,
    ) -> Result<RegexPlan, Fault> {
        text::regex(self.run, pattern, ignore_case)
            .map_err(|message| Fault::Says(index + 1, message))
    }

    /// A file name, relative to the prefix.
    pub fn prefixed(&self, name: &str) -> PathBuf {
        self.run.options.prefix.join(name)
    }

    /// The number of a log file.
    pub fn log_file(&mut self, name: &str) -> LogTarget {
        let path = self.prefixed(name);
        self.run.log_file(path)
    }

    /// One `error_log` line.
    pub fn error_log(&mut self) -> Result<ErrorLog, Fault> {
        let target = match self.arg(0) {
            "stderr" => LogTarget::Stderr,
            "" => return Err(Fault::Says(1, "empty log file name".to_owned())),
            name if name.starts_with("syslog:") || name.starts_with("memory:") => {
                let message = format!("logging to `{name}` is not supported here");
                return Err(Fault::Hinted(1, message, "name a file, or `stderr`".to_owned()));
            }
            name => self.log_file(name),
        };
        let level = match self.args().get(1..) {
            None | Some([]) => LogLevel::Error,
            Some(words) => self.log_level(words)?,
        };
        Ok(ErrorLog { target, level })
    }

    fn log_level(&self, words: &[Word]) -> Result<LogLevel, Fault> {
        let mut level = None;
        for (index, word) in words.iter().enumerate() {
            let found = LEVELS.iter().find(|(name, _)| *name == word.text);
            match found {
                Some((_, found)) => level = Some(*found),
                None if word.text.starts_with("debug_") => level = Some(LogLevel::Debug),
                None => {
                    let message = format!("invalid log level \"{}\"", word.text);
                    let near = diag::nearest(&word.text, LEVELS.iter().map(|(name, _)| *name));
                    let hint = near.map_or_else(
                        || "levels go from `debug` to `emerg`".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    return Err(Fault::Hinted(index + 2, message, hint));
                }
            }
        }
        Ok(level.unwrap_or(LogLevel::Error))
    }
}

const LEVELS: [(&str, LogLevel); 8] = [
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("notice", LogLevel::Notice),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
    ("crit", LogLevel::Crit),
    ("alert", LogLevel::Alert),
    ("emerg", LogLevel::Emerg),
];

impl Run<'_> {
    /// The number of a log file; the same file has one number.
    pub fn log_file(&mut self, path: PathBuf) -> LogTarget {
        let number = match self.log_files.iter().position(|known| *known == path) {
            Some(number) => number,
            None => {
                self.log_files.push(path);
                self.log_files.len() - 1
            }
        };
        LogTarget::File(LogFileId(number as u32))
    }
}

/// `on` or `off`, in any case.
pub fn flag(directive: &Directive) -> Result<bool, Fault> {
    let text = directive.arg(0);
    match text {
        _ if text.eq_ignore_ascii_case("on") => Ok(true),
        _ if text.eq_ignore_ascii_case("off") => Ok(false),
        _ => {
            let name = directive.name();
            let message = format!(
                "invalid value \"{text}\" in \"{name}\" directive, it must be \"on\" or \"off\""
            );
            Err(Fault::Says(1, message))
        }
    }
}
