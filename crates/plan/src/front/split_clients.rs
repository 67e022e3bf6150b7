//! `split_clients`: a variable that shares clients out.

use serde::{Deserialize, Serialize};

use crate::Template;

/// A `split_clients` block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitPlan {
    /// What a client is known by.
    pub source: Template,
    /// The shares, in order.
    pub parts: Vec<SplitPart>,
}

/// One share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitPart {
    /// The hashes up to here, without this one, that no earlier part has; `None` has all of them.
    pub below: Option<u32>,
    /// The value.
    pub value: String,
}
