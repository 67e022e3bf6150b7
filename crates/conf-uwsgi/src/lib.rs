//! uWSGI's configuration languages: command line, `UWSGI_*` variables, ini, yaml, json and xml, to
//! one [`plan::AppPlan`].
//!
//! ```text
//! UWSGI_* ─┐
//! argv ────┤→ given (key, value, span) ─ logic words ─→ given ─ $( ) @( ) %( ) ─→ rows ─→ plan
//! files ───┘
//! ```
//!
//! Rooms: `run` (the order of it all), `argv` (getopt's rules), `files` (the file formats), `magic`
//! (`%d`, `%k` …), `collect` (what is given, in order, with files opened where they stand and the
//! logic words), `expand` (the three passes), `row` and `rows` (one option, one row), `apply`,
//! `draft` and `lower` (rows' effects, then the plan), `unknown` (names nobody knows), `reference`
//! (documentation made from the rows).
//!
//! Invariants: nothing here opens a socket, starts a process or changes the process; only files
//! named by the configuration are read. Every problem is reported through `diag` and reading goes
//! on after it, except after one that makes the rest meaningless.

mod address;
mod apply;
mod argv;
mod collect;
mod context;
mod draft;
mod expand;
mod files;
mod log_format;
mod lower;
mod magic;
mod reference;
mod row;
mod rows;
mod run;
mod unknown;
mod values;

use std::path::PathBuf;

use plan::AppPlan;

pub use context::Context;
pub use reference::{help, reference};
pub use run::load;

/// What a run of the program was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve the plan.
    Run,
    /// `--help`, `-h`, `--usage`: print this text and exit 0.
    Help(String),
    /// `--version`: print this text and exit 0.
    Version(String),
    /// `--python-version`: print the version of the interpreter that the plan names and exit 0.
    PythonVersion,
    /// `--reload PIDFILE`: send HUP to the process named in the file.
    Reload(PathBuf),
    /// `--stop PIDFILE`: send INT to the process named in the file.
    Stop(PathBuf),
    /// `--dump-options`, `--plugins-list` and their like: print this text and exit 0.
    Print(String),
}

/// Everything that one configuration run gave.
#[derive(Debug)]
pub struct Loaded {
    /// What to do.
    pub command: Command,
    /// The plan; `None` if `problems` holds an error or the command needs none.
    pub plan: Option<AppPlan>,
    /// `--show-config`: the expanded configuration, to print at start.
    pub shown_config: Option<String>,
    /// All problems. Notices are options without effect; warnings should be shown at start; an
    /// error means exit code 1.
    pub problems: diag::Problems,
    /// All texts that were read; the spans of the problems point here.
    pub sources: diag::Sources,
}
