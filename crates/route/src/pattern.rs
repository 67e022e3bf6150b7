//! Compiled regular expressions and what they captured.
//!
//! Patterns are written for PCRE. The linear engine (`regex`) takes all of them except look-around,
//! back-references and atomic groups, which go to a backtracking engine with a step limit.
//! Matching is on bytes; `\w` and friends are ASCII, as PCRE's are without its UTF mode.
//!
//! One difference on purpose: `$` matches at the end only, never before a last newline, so that
//! `/x.php%0A` does not pass for a URI that ends in `.php`.

mod dialect;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use plan::RegexPlan;
use plan::template::Slot;

/// Steps the backtracking engine may take before it gives up on one subject.
const BACKTRACK_STEPS_MAX: usize = 200_000;

/// Bytes of program one compiled pattern may take.
const PROGRAM_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A compiled regular expression.
#[derive(Clone)]
pub struct Pattern {
    engine: Engine,
    /// Capture groups, the whole match not counted.
    groups: usize,
    /// Slots of the named groups, each with its group number.
    named: Arc<[(Slot, usize)]>,
}

#[derive(Clone)]
enum Engine {
    Linear(regex::bytes::Regex),
    Backtracking(Arc<fancy_regex::Regex>),
}

/// The backtracking engine reached its step limit; the request fails with 500, as nginx's does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuchBacktracking;

impl Pattern {
    /// Compiles a pattern; the error is the engine's own explanation.
    pub fn new(plan: &RegexPlan) -> Result<Pattern, String> {
        let translated = dialect::translate(&plan.pattern);
        let engine = if translated.needs_backtracking {
            backtracking(&translated.text, plan.ignore_case)?
        } else {
            linear(&translated, plan.ignore_case)?
        };
        let (groups, names) = group_names(&engine);
        let mut named = Vec::with_capacity(plan.named.len());
        for (name, slot) in &plan.named {
            let group = names.iter().find(|(known, _)| known == name).map(|(_, group)| *group);
            named.push((*slot, group.ok_or_else(|| format!("no group is named `{name}`"))?));
        }
        Ok(Pattern { engine, groups, named: named.into() })
    }

    /// The names of the named groups, in order; for whoever hands out their slots.
    pub fn names(plan: &RegexPlan) -> Result<Vec<String>, String> {
        let unnamed = RegexPlan { named: Vec::new(), ..plan.clone() };
        let (_, names) = group_names(&Pattern::new(&unnamed)?.engine);
        Ok(names.into_iter().map(|(name, _)| name).collect())
    }

    /// Whether the subject matches, without captures.
    pub fn is_match(&self, subject: &[u8]) -> Result<bool, TooMuchBacktracking> {
        match &self.engine {
            Engine::Linear(regex) => Ok(regex.is_match(subject)),
            Engine::Backtracking(regex) => regex.is_match(subject).map_err(|_| TooMuchBacktracking),
        }
    }

    /// What the subject's match captured; `None` if it does not match.
    pub fn captures(&self, subject: &[u8]) -> Result<Option<Captures>, TooMuchBacktracking> {
        if !self.is_match(subject)? {
            return Ok(None);
        }
        if self.groups == 0 {
            // The common case allocates nothing.
            let named = Arc::clone(&self.named);
            return Ok(Some(Captures { text: Bytes::new(), spans: Vec::new(), named }));
        }
        let spans: Option<Vec<_>> = match &self.engine {
            Engine::Linear(regex) => regex.captures(subject).map(|found| {
                found.iter().skip(1).map(|group| group.map(|at| (at.start(), at.end()))).collect()
            }),
            Engine::Backtracking(regex) => {
                regex.captures(subject).map_err(|_| TooMuchBacktracking)?.map(|found| {
                    let spans = found.iter().skip(1);
                    spans.map(|group| group.map(|at| (at.start(), at.end()))).collect()
                })
            }
        };
        Ok(spans.map(|spans| Captures {
            text: Bytes::copy_from_slice(subject),
            spans,
            named: Arc::clone(&self.named),
        }))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.engine {
            Engine::Linear(regex) => write!(out, "Pattern({})", regex.as_str()),
            Engine::Backtracking(regex) => write!(out, "Pattern(backtracking {})", regex.as_str()),
        }
    }
}

fn linear(translated: &dialect::Translated, ignore_case: bool) -> Result<Engine, String> {
    regex::bytes::RegexBuilder::new(&translated.text)
        .case_insensitive(ignore_case)
        .unicode(translated.unicode)
        .size_limit(PROGRAM_BYTES_MAX)
        .build()
        .map(Engine::Linear)
        .map_err(|error| error.to_string())
}

fn backtracking(pattern: &str, ignore_case: bool) -> Result<Engine, String> {
    fancy_regex::RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .bytes_mode(fancy_regex::BytesMode::Ascii)
        .backtrack_limit(BACKTRACK_STEPS_MAX)
        .delegate_size_limit(PROGRAM_BYTES_MAX)
        .build()
        .map(|regex| Engine::Backtracking(Arc::new(regex)))
        .map_err(|error| error.to_string())
}

/// How many groups there are, and the named ones with their numbers.
fn group_names(engine: &Engine) -> (usize, Vec<(String, usize)>) {
    let names: Vec<Option<String>> = match engine {
        Engine::Linear(regex) => {
            regex.capture_names().map(|name| name.map(str::to_owned)).collect()
        }
        Engine::Backtracking(regex) => {
            regex.capture_names().map(|name| name.map(str::to_owned)).collect()
        }
    };
    let groups = names.len().saturating_sub(1);
    let named = names.into_iter().enumerate();
    (groups, named.filter_map(|(group, name)| Some((name?, group))).collect())
}

/// What a match captured; owns a copy of the subject, because the URI may change afterwards.
#[derive(Clone, Debug)]
pub struct Captures {
    text: Bytes,
    /// Group 1 and following.
    spans: Vec<Option<(usize, usize)>>,
    named: Arc<[(Slot, usize)]>,
}

impl Captures {
    /// Text of a numbered group, from 1; empty if it took no part or does not exist.
    pub fn group(&self, number: usize) -> &[u8] {
        let span = number.checked_sub(1).and_then(|index| self.spans.get(index)).copied().flatten();
        span.and_then(|(start, end)| self.text.get(start..end)).unwrap_or(&[])
    }

    /// Slots of the named groups, each with its text.
    pub fn named(&self) -> impl Iterator<Item = (Slot, &[u8])> {
        self.named.iter().map(|(slot, group)| (*slot, self.group(*group)))
    }

    /// Text of the named group that fills this slot.
    pub fn slot(&self, slot: Slot) -> Option<&[u8]> {
        self.named().find(|(known, _)| *known == slot).map(|(_, text)| text)
    }
}

impl Default for Captures {
    /// A match without groups.
    fn default() -> Captures {
        Captures { text: Bytes::new(), spans: Vec::new(), named: Arc::new([]) }
    }
}

#[cfg(test)]
mod tests;
