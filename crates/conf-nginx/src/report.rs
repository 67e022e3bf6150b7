//! Collects problems in nginx's order and in nginx's words.

use diag::{Place, Problem, Problems, Severity, Sources, Span};

/// Where a sentence of nginx's ends: ` in FILE:LINE`.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The word or statement at fault.
    pub span: Span,
    /// Where nginx stood when it noticed: the end of the statement.
    pub noticed: Span,
    /// Position in the walk over all files; problems are sorted by it.
    pub order: u32,
}

struct Entry {
    order: u32,
    problem: Problem,
    noticed: Option<Span>,
}

/// Problems found so far.
#[derive(Default)]
pub struct Report {
    entries: Vec<Entry>,
}

impl Report {
    /// The file cannot be used.
    pub fn error(&mut self, sources: &Sources, at: At, message: impl Into<String>) {
        self.add(sources, Severity::Error, at, message.into(), None);
    }

    /// Like [`Report::error`], with what to write instead.
    pub fn add(
        &mut self,
        sources: &Sources,
        severity: Severity,
        at: At,
        message: String,
        hint: Option<String>,
    ) {
        let place = Some(sources.place(at.span));
        let problem = Problem { severity, place, message, hint };
        self.entries.push(Entry { order: at.order, problem, noticed: Some(at.noticed) });
    }

    /// A problem that is in no text.
    pub fn add_placeless(&mut self, severity: Severity, message: String, hint: Option<String>) {
        let problem = Problem { severity, place: None, message, hint };
        let order = self.entries.last().map_or(0, |entry| entry.order);
        self.entries.push(Entry { order, problem, noticed: None });
    }

    /// Whether any of them forbids going on.
    pub fn any_error(&self) -> bool {
        self.errors() > 0
    }

    /// How many of them forbid going on.
    pub fn errors(&self) -> usize {
        self.entries.iter().filter(|entry| entry.problem.severity == Severity::Error).count()
    }

    /// All of them in order, and the same as nginx prints them.
    pub fn finish(mut self, sources: &Sources) -> (Problems, Vec<String>) {
        self.entries.sort_by_key(|entry| entry.order);
        let lines = self.entries.iter().filter_map(|entry| nginx_line(entry, sources)).collect();
        let mut problems = Problems::default();
        self.entries.into_iter().for_each(|entry| problems.push(entry.problem));
        (problems, lines)
    }
}

/// Notices are ours alone: nginx says nothing in their place.
fn nginx_line(entry: &Entry, sources: &Sources) -> Option<String> {
    let level = match entry.problem.severity {
        Severity::Notice => return None,
        Severity::Warning => "warn",
        Severity::Error => "emerg",
    };
    let message = &entry.problem.message;
    let place = entry.noticed.map(|noticed| sources.place(noticed));
    Some(match place {
        None => format!("nginx: [{level}] {message}"),
        Some(Place { file, .. }) if !file.is_absolute() => {
            format!("nginx: [{level}] {message} in {}", file.display())
        }
        Some(Place { file, line, .. }) => {
            format!("nginx: [{level}] {message} in {}:{line}", file.display())
        }
    })
}
