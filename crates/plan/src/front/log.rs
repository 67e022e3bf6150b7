//! Access and error logs.

use serde::{Deserialize, Serialize};

use super::{LogFileId, LogFormatId};
use crate::Template;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogTarget {
    /// A file of [`super::FrontPlan::log_files`].
    File(LogFileId),
    /// Standard error.
    Stderr,
}

/// One `access_log` line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessLog {
    /// Where.
    pub target: LogTarget,
    /// How.
    pub format: LogFormatId,
    /// `if=`: logged unless this is empty or `0`.
    pub condition: Option<Template>,
}

/// A `log_format`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogFormat {
    /// Its name.
    pub name: String,
    /// How variable values are escaped.
    pub escape: LogEscape,
    /// The line.
    pub template: Template,
}

/// `escape=` of a `log_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum LogEscape {
    Default,
    Json,
    None,
}

/// One `error_log` line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorLog {
    /// Where.
    pub target: LogTarget,
    /// Messages at least this bad.
    pub level: LogLevel,
}

/// nginx's levels, from chatty to terse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warn,
    Error,
    Crit,
    Alert,
    Emerg,
}
