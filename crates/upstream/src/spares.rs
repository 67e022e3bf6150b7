//! What requests that are over leave to the next ones of this thread: the allocator itself keeps
//! only a few pieces of each size at hand.

use std::cell::RefCell;

use bytes::BytesMut;

use crate::request::Request;

/// Pieces of each kind that wait; more are freed.
const SPARES_MAX: usize = 64;
/// Room of a new buffer: enough for most request heads.
const BUFFER_BYTES: usize = 1000;
/// A buffer that has grown larger is freed.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// Spare pieces of one thread.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    /// Invariant: these are over; nothing is sent or waited for.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    requests: RefCell<Vec<Box<Request>>>,
    /// Invariant: empty.
    buffers: RefCell<Vec<Vec<u8>>>,
    /// Of connections that were closed. Pieces of the last answer may still be under way: until
    /// they are gone their room is not used again.
    inboxes: RefCell<Vec<BytesMut>>,
}

impl Spares {
    /// An empty buffer.
    pub fn buffer(&self) -> Vec<u8> {
        let spare = self.buffers.borrow_mut().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    /// Room for what a connection receives.
    pub fn inbox(&self) -> BytesMut {
        self.inboxes.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes back the room of a connection that is closed.
    pub fn put_inbox(&self, mut inbox: BytesMut) {
        inbox.clear();
        let mut inboxes = self.inboxes.borrow_mut();
        if inboxes.len() < SPARES_MAX {
            inboxes.push(inbox);
        }
    }

    /// Gives a request its place.
    pub fn place(&self, request: Request) -> Box<Request> {
        match self.requests.borrow_mut().pop() {
            Some(mut place) => {
                *place = request;
                place
            }
            None => Box::new(request),
        }
    }

    /// Takes back what a request has used that has been sent to its end.
    pub fn put(&self, mut request: Box<Request>) {
        debug_assert!(request.sender.is_done());
        let buffer = request.sender.end();
        let mut buffers = self.buffers.borrow_mut();
        if buffers.len() < SPARES_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            buffers.push(buffer);
        }
        let mut requests = self.requests.borrow_mut();
        if requests.len() < SPARES_MAX {
            requests.push(request);
        }
    }
}
