//! What the `$upstream_*` variables say about a call.

use std::rc::Rc;
use std::time::Duration;

/// Every attempt of the calls of one request, in order. More than one: the variables list them
/// with commas.
#[derive(Clone, Debug, Default)]
pub struct CallTrace {
    /// The only one of most requests: it takes no allocation.
    first: Option<Attempt>,
    /// Invariant: empty if there is no first.
    more: Vec<Attempt>,
}

/// One attempt with one peer. Times are kept only if the plan reads them.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `$upstream_addr`: the peer as written; the group's name if no peer was live.
    pub address: Rc<str>,
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
}

impl CallTrace {
    /// The attempts, in order.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.first.iter().chain(&self.more)
    }

    /// Whether nobody has been asked.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The last attempt: the one that counts.
    pub fn last(&self) -> Option<&Attempt> {
        self.more.last().or(self.first.as_ref())
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Attempt> {
        self.more.last_mut().or(self.first.as_mut())
    }

    pub(crate) fn push(&mut self, attempt: Attempt) {
        match self.first {
            None => self.first = Some(attempt),
            Some(_) => self.more.push(attempt),
        }
    }
}

impl Attempt {
    pub(crate) fn new(address: Rc<str>) -> Attempt {
        Attempt {
            address,
            status: 0,
            connect_time: None,
            header_time: None,
            response_time: None,
            bytes_received: 0,
            bytes_sent: 0,
            response_length: 0,
        }
    }
}
