//! Who may come in by more than an address: `auth_basic` and its like.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Template;
use crate::template::Slot;

/// The checks of a location that may have to wait for their answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthPlan {
    /// `satisfy any`: one check that lets the request in is enough, also if it is of
    /// [`LocationPlan::access`](super::LocationPlan::access). Otherwise none may be against it.
    pub any: bool,
    /// `auth_delay`: how long a 401 waits, against guessing; zero does not.
    pub delay: Duration,
    /// `auth_basic`.
    pub basic: Option<BasicPlan>,
    /// `auth_request`.
    pub request: Option<RequestPlan>,
}

/// `auth_basic` and `auth_basic_user_file`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasicPlan {
    /// What the client shows beside its question; `off` asks for no password.
    pub realm: Template,
    /// Users and their stored passwords, looked at by each request. `None` lets nobody in.
    pub user_file: Option<Template>,
    /// Where the file is unless its name begins with a slash.
    pub directory: PathBuf,
}

/// `auth_request` and `auth_request_set`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestPlan {
    /// The URI that is asked: 2xx lets the request in, 401 and 403 do not.
    pub uri: String,
    /// What is made of its answer, whatever that is.
    pub set: Vec<(Slot, Template)>,
}
