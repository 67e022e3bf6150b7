//! What the `$upstream_*` variables and the error log say about a call.

use std::sync::Arc;
use std::time::Duration;

/// Every attempt of one call, in order. More than one: the variables list them with commas.
#[derive(Clone, Debug, Default)]
pub struct CallTrace {
    /// The attempts.
    pub attempts: Vec<Attempt>,
}

/// One attempt with one peer.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `$upstream_addr`: the peer as written; the group's name if no peer was live.
    pub address: Arc<str>,
    /// `$upstream_status`; the status that a failure stands for (502, 504, …).
    pub status: u16,
    /// `$upstream_connect_time`; zero on a connection that was kept.
    pub connect_time: Option<Duration>,
    /// `$upstream_header_time`.
    pub header_time: Option<Duration>,
    /// `$upstream_response_time`; none as long as the answer is under way.
    pub response_time: Option<Duration>,
    /// `$upstream_bytes_received`.
    pub bytes_received: u64,
    /// `$upstream_bytes_sent`.
    pub bytes_sent: u64,
    /// `$upstream_response_length`: bytes of the body.
    pub response_length: u64,
    /// Why it failed, for the error log.
    pub error: Option<String>,
}

impl Attempt {
    pub(crate) fn new(address: Arc<str>) -> Attempt {
        Attempt {
            address,
            status: 0,
            connect_time: None,
            header_time: None,
            response_time: None,
            bytes_received: 0,
            bytes_sent: 0,
            response_length: 0,
            error: None,
        }
    }
}
