//! The rewrite module's little language, access rules, `try_files` and `map`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::LocationId;
use crate::template::Slot;
use crate::{RegexPlan, Template, Variable};

/// One step of the rewrite phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RewriteStep {
    /// `set $name value`.
    Set(Slot, Template),
    /// `set $args value`: the request's arguments from now on.
    SetArgs(Template),
    /// `rewrite regex replacement [flag]`.
    Rewrite {
        /// What must match the URI.
        regex: RegexPlan,
        /// What it becomes.
        replacement: Template,
        /// Arguments of the request are not appended (`?` at the end of the replacement).
        drop_args: bool,
        /// What happens then.
        flag: RewriteFlag,
    },
    /// `return`.
    Return(Return),
    /// `break`.
    Break,
    /// `if (condition) { … }`: its steps, and the location whose content settings it installs.
    If {
        /// When.
        condition: Condition,
        /// Rewrite steps inside.
        steps: Vec<RewriteStep>,
        /// Settings inside; `None` at server level.
        location: Option<LocationId>,
    },
}

/// What happens after a matching `rewrite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RewriteFlag {
    /// Go on with the next step.
    Continue,
    /// `last`: stop and choose a location anew.
    Last,
    /// `break`: stop and stay.
    Break,
    /// `redirect`, `permanent`, or a replacement that starts with a scheme.
    Redirect(u16),
}

/// `return`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Return {
    /// Status; 444 closes the connection without an answer.
    pub status: u16,
    /// Body text, or the Location of a redirect.
    pub text: Option<Template>,
}

/// Condition of an `if`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Condition {
    /// `$name`: not empty and not `0`.
    Truthy(Variable),
    /// `=` and `!=`.
    Equals {
        /// Left.
        variable: Variable,
        /// Right.
        value: Template,
        /// `!=`.
        negate: bool,
    },
    /// `~`, `~*` and their negations.
    Matches {
        /// Left.
        variable: Variable,
        /// Right.
        regex: RegexPlan,
        /// `!~`.
        negate: bool,
    },
    /// `-f`, `-d`, `-e`, `-x` and their negations.
    File {
        /// Which test.
        test: FileTest,
        /// Path.
        path: Template,
        /// `!-f`.
        negate: bool,
    },
}

/// File tests of `if`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum FileTest {
    File,
    Directory,
    Exists,
    Executable,
}

/// One entry of `try_files`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TryFile {
    /// Serve this file if it is one.
    File(Template),
    /// `uri/`: go on with this directory if it is one.
    Directory(Template),
    /// The last one: an internal redirect.
    Uri(Template),
    /// The last one: `@name`.
    Named(LocationId),
    /// The last one: `=code`.
    Status(u16),
}

/// `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRule {
    /// Let pass, or answer 403.
    pub allow: bool,
    /// Whom.
    pub who: AccessWho,
}

/// Whom an access rule means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessWho {
    /// Everybody.
    All,
    /// Clients on Unix sockets.
    Unix,
    /// A network: address and how many leading bits count.
    Network(IpAddr, u8),
}

/// A `map` block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MapPlan {
    /// What is looked up.
    pub source: Template,
    /// `hostnames`.
    pub hostnames: bool,
    /// Plain keys (lower case), sorted.
    pub exact: Vec<(String, Template)>,
    /// Names with a wildcard (only with `hostnames`), in file order.
    pub wildcards: Vec<(super::ServerName, Template)>,
    /// Regexes, in file order.
    pub regexes: Vec<(RegexPlan, Template)>,
    /// `default`.
    pub default: Template,
}
