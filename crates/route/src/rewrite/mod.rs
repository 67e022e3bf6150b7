//! The rewrite phase: `set`, `rewrite`, `return`, `break` and `if`, run over a request.
//!
//! Rooms: `step` (the compiled steps), `replace` (what a replacement becomes).
//!
//! nginx's rules that look odd and are relied on: a regex that does not match clears the captures
//! of the one before; captures are escaped only in arguments and redirects, and only if the
//! client's path held `%` or `+`; a rewritten URI is not normalised again.

mod replace;
mod step;

use std::ops::ControlFlow;

use bytes::Bytes;
use plan::Variable;
use plan::front::LocationId;
use plan::front::rewrite::{FileTest, RewriteFlag};
use plan::template::Slot;

use crate::pattern::{Captures, Pattern, TooMuchBacktracking};
use crate::values::{Values, is_truthy, render, render_bytes};

use replace::Replaced;
pub use step::Step;
use step::{Condition, Rewrite};

/// The request, as far as rewriting reads and changes it.
pub trait RewriteState: Values {
    /// The current (normalised) URI.
    fn uri(&self) -> &[u8];
    /// Replaces the URI.
    fn set_uri(&mut self, uri: Vec<u8>);
    /// The current arguments, without the question mark.
    fn args(&self) -> &[u8];
    /// Replaces the arguments.
    fn set_args(&mut self, args: Vec<u8>);
    /// Gives a user variable its value.
    fn set_slot(&mut self, slot: Slot, value: Vec<u8>);
    /// What `Values::capture` reads from now on; `None` clears. The named groups have been given
    /// to `set_slot` already.
    fn set_captures(&mut self, captures: Option<Captures>);
    /// Whether the path the client sent held `%` or `+`.
    fn path_was_escaped(&self) -> bool;
    /// A location's `if` is true: its settings count from now on.
    fn install_location(&mut self, location: LocationId);
    /// Whether a file test holds for a path.
    fn test_file(&self, test: FileTest, path: &[u8]) -> bool;
}

/// How the phase ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteOutcome {
    /// Stay in this location (or, at server level, go on and choose one).
    Stay,
    /// The URI changed: choose a location anew. At server level the same as `Stay`.
    ChooseAnew,
    /// Answer with a redirect.
    Redirect {
        /// 301 or 302.
        status: u16,
        /// The Location, not yet made absolute. May hold any byte but those that escaping
        /// removes; the writer of the head refuses control bytes.
        location: Vec<u8>,
    },
    /// `return`.
    Return {
        /// Status; 444 closes the connection.
        status: u16,
        /// Body, or the Location of a redirect; `None` answers with the error page of the status.
        text: Option<Bytes>,
    },
    /// The request fails with 500.
    Failed(RewriteFailure),
}

/// Why rewriting failed; nginx's 500s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewriteFailure {
    /// A regex gave up.
    TooMuchBacktracking,
    /// The replacement became nothing.
    EmptyUri,
}

/// Counts how often a request's URI may still change, by `ChooseAnew` and internal redirects.
#[derive(Clone, Copy, Debug)]
pub struct Changes {
    left: u8,
}

/// The request went round more than ten times; it is answered with 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewriteCycle;

impl Default for Changes {
    fn default() -> Changes {
        Changes { left: 10 }
    }
}

impl Changes {
    /// One more change.
    pub fn spend(&mut self) -> Result<(), RewriteCycle> {
        self.left = self.left.checked_sub(1).ok_or(RewriteCycle)?;
        Ok(())
    }
}

/// Runs the steps of one level.
pub fn run(steps: &[Step], state: &mut dyn RewriteState) -> RewriteOutcome {
    if steps.is_empty() {
        return RewriteOutcome::Stay;
    }
    let mut changed = false;
    match run_steps(steps, state, &mut changed) {
        ControlFlow::Break(outcome) => outcome,
        ControlFlow::Continue(()) if changed => RewriteOutcome::ChooseAnew,
        ControlFlow::Continue(()) => RewriteOutcome::Stay,
    }
}

fn run_steps(
    steps: &[Step],
    state: &mut dyn RewriteState,
    changed: &mut bool,
) -> ControlFlow<RewriteOutcome> {
    for step in steps {
        match step {
            Step::Set(slot, template) => {
                let value = render_bytes(template, state);
                state.set_slot(*slot, value.to_vec());
            }
            Step::SetArgs(template) => {
                let args = render_bytes(template, state).to_vec();
                state.set_args(args);
            }
            Step::Rewrite(rewrite) => apply(rewrite, state, changed)?,
            Step::Return(status, text) => {
                let text = text.as_ref().map(|text| render_bytes(text, state));
                return ControlFlow::Break(RewriteOutcome::Return { status: *status, text });
            }
            Step::Break => return ControlFlow::Break(RewriteOutcome::Stay),
            Step::If { condition, steps, location } => {
                if holds(condition, state)? {
                    if let Some(location) = location {
                        state.install_location(*location);
                    }
                    run_steps(steps, state, changed)?;
                }
            }
        }
    }
    ControlFlow::Continue(())
}

fn apply(
    rewrite: &Rewrite,
    state: &mut dyn RewriteState,
    changed: &mut bool,
) -> ControlFlow<RewriteOutcome> {
    let uri = state.uri().to_vec();
    if !matches(&rewrite.pattern, &uri, state)? {
        return ControlFlow::Continue(());
    }
    match replace::replacement(rewrite, state) {
        Replaced::Redirect { status, location } => {
            return ControlFlow::Break(RewriteOutcome::Redirect { status, location });
        }
        Replaced::Uri { uri, args } => {
            if uri.is_empty() {
                return failed(RewriteFailure::EmptyUri);
            }
            state.set_uri(uri);
            if let Some(args) = args {
                state.set_args(args);
            }
        }
    }
    match rewrite.flag {
        RewriteFlag::Last => ControlFlow::Break(RewriteOutcome::ChooseAnew),
        RewriteFlag::Break => ControlFlow::Break(RewriteOutcome::Stay),
        RewriteFlag::Continue | RewriteFlag::Redirect(_) => {
            *changed = true;
            ControlFlow::Continue(())
        }
    }
}

/// Matches and makes the captures (or their absence) those of the request.
fn matches(
    pattern: &Pattern,
    subject: &[u8],
    state: &mut dyn RewriteState,
) -> ControlFlow<RewriteOutcome, bool> {
    match pattern.captures(subject) {
        Ok(captures) => {
            for (slot, text) in captures.iter().flat_map(Captures::named) {
                state.set_slot(slot, text.to_vec());
            }
            let matched = captures.is_some();
            state.set_captures(captures);
            ControlFlow::Continue(matched)
        }
        Err(TooMuchBacktracking) => failed(RewriteFailure::TooMuchBacktracking),
    }
}

fn holds(condition: &Condition, state: &mut dyn RewriteState) -> ControlFlow<RewriteOutcome, bool> {
    let held = match condition {
        Condition::Truthy(variable) => is_truthy(&value(variable, state)),
        Condition::Equals { variable, value: wanted, negate } => {
            let wanted = render_bytes(wanted, state);
            (value(variable, state) == wanted) != *negate
        }
        Condition::Matches { variable, pattern, negate } => {
            let subject = value(variable, state);
            matches(pattern, &subject, state)? != *negate
        }
        Condition::File { test, path, negate } => {
            let mut text = Vec::with_capacity(64);
            render(path, state, &mut text);
            state.test_file(*test, &text) != *negate
        }
    };
    ControlFlow::Continue(held)
}

fn value(variable: &Variable, state: &dyn RewriteState) -> Vec<u8> {
    let mut text = Vec::new();
    state.value(variable, &mut text);
    text
}

fn failed<T>(why: RewriteFailure) -> ControlFlow<RewriteOutcome, T> {
    ControlFlow::Break(RewriteOutcome::Failed(why))
}

#[cfg(test)]
mod tests;
