//! Whose word about a client's address is taken: `set_real_ip_from` and its like.

use serde::{Deserialize, Serialize};

use super::rewrite::AccessWho;

/// How the address of a client behind trusted proxies is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealIpPlan {
    /// Peers that are believed.
    pub trusted: Vec<AccessWho>,
    /// The request field they name the client in.
    pub field: String,
    /// The field is a list that may come in several lines: `X-Forwarded-For`. Of any other field
    /// only the first line counts.
    pub is_list: bool,
    /// Go on to the left as long as the address found is trusted itself.
    pub recursive: bool,
}
