//! Problems with a place: source text, spans, and messages with file:line:column, cause and hint.
//!
//! Both configuration languages report through this crate, so that every problem looks the same
//! and all problems of one run are collected before anybody gives up.
//!
//! Invariants: a `Span` is only meaningful together with the `Sources` that handed out its
//! `SourceId`; lines and columns are counted from 1; columns count characters, not bytes.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Which text a span points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceId(u32);

/// A piece of one source text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text it points into.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A text that was read: a file, or the command line.
#[derive(Debug)]
struct Source {
    name: PathBuf,
    text: String,
    line_starts: Vec<u32>,
}

/// All texts of one configuration run.
#[derive(Debug, Default)]
pub struct Sources {
    sources: Vec<Source>,
}

impl Sources {
    /// Adds a text under the name that messages show. Texts over 4 GiB are cut by the caller.
    pub fn add(&mut self, name: impl Into<PathBuf>, text: impl Into<String>) -> SourceId {
        let text = text.into();
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(starts.map(|(at, _)| at as u32 + 1)).collect();
        self.sources.push(Source { name: name.into(), text, line_starts });
        SourceId(self.sources.len() as u32 - 1)
    }

    /// The text itself.
    pub fn text(&self, id: SourceId) -> &str {
        &self.sources[id.0 as usize].text
    }

    /// The name that messages show.
    pub fn name(&self, id: SourceId) -> &Path {
        &self.sources[id.0 as usize].name
    }

    /// Every text in the order it was read, for `-T`.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.sources.iter().map(|source| (source.name.as_path(), source.text.as_str()))
    }

    /// Turns the start of a span into file, line and column.
    pub fn place(&self, span: Span) -> Place {
        let source = &self.sources[span.source.0 as usize];
        let line = source.line_starts.partition_point(|start| *start <= span.start);
        let line_start = source.line_starts[line - 1] as usize;
        let before = source.text.get(line_start..span.start as usize).unwrap_or("");
        Place {
            file: source.name.clone(),
            line: line as u32,
            column: before.chars().count() as u32 + 1,
        }
    }
}

/// File, line and column, both from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Notice,
    /// Something will not do what its writer expects.
    Warning,
    /// The file cannot be used.
    Error,
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where; `None` only when no text is at fault (a missing file named on the command line).
    pub place: Option<Place>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead, or do next.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(out, "{place}: ")?;
        }
        write!(out, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(out, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Collects problems instead of stopping at the first.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.list.push(problem);
    }

    /// Whether any of them forbids going on.
    pub fn any_error(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The known name closest to a misspelt one, if it is close enough to be meant.
///
/// Damerau-Levenshtein distance, at most a third of the longer name (and at most 3).
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(far, candidate)| *far <= 3 && far * 3 <= name.len().max(candidate.len()))
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance; names are short, so the quadratic table is fine.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let width = right.len() + 1;
    let mut table = vec![0; (left.len() + 1) * width];
    for row in 0..=left.len() {
        table[row * width] = row;
    }
    for (column, cell) in table.iter_mut().enumerate().take(width) {
        *cell = column;
    }
    for row in 1..=left.len() {
        for column in 1..width {
            let same = left[row - 1] == right[column - 1];
            let replaced = table[(row - 1) * width + column - 1] + usize::from(!same);
            let removed = table[(row - 1) * width + column] + 1;
            let added = table[row * width + column - 1] + 1;
            let mut best = replaced.min(removed).min(added);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(table[(row - 2) * width + column - 2] + 1);
            }
            table[row * width + column] = best;
        }
    }
    table[table.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_knows_its_line_and_its_column_in_characters() {
        let mut sources = Sources::default();
        let id = sources.add("a.conf", "é = 1\nüx y\n");
        let start = sources.text(id).find('x').unwrap() as u32;
        let place = sources.place(Span { source: id, start, end: start + 1 });
        assert_eq!(place.to_string(), "a.conf:2:2");
    }

    #[test]
    fn a_swapped_pair_of_letters_finds_the_real_name_and_a_stranger_finds_none() {
        let known = ["vacuum", "processes", "socket"];
        assert_eq!(nearest("vaccum", known), Some("vacuum"));
        assert_eq!(nearest("process", known), Some("processes"));
        assert_eq!(nearest("zzz", known), None);
    }
}
