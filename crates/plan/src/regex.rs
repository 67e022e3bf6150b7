//! Regular expressions as the configuration wrote them; `route` compiles them.

use serde::{Deserialize, Serialize};

use crate::template::Slot;

/// A regular expression that has been compiled once for validation and is compiled again, for
/// use, by the process that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegexPlan {
    /// The pattern in PCRE's syntax, as far as `route` supports it.
    pub pattern: String,
    /// `~*` and friends.
    pub ignore_case: bool,
    /// Named captures and the variable slot each one fills.
    pub named: Vec<(String, Slot)>,
}
