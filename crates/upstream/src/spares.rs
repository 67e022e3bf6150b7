//! What requests that are over leave to the next ones of this thread.

use bytes::BytesMut;

use crate::request::Request;

/// Room of a new buffer: enough for most request heads.
const BUFFER_BYTES: usize = 1000;
/// A buffer that has grown larger is freed.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// Spare pieces of one thread.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    /// Invariant: these are over; nothing is sent or waited for.
    requests: net::Spares<Box<Request>>,
    /// Invariant: empty.
    buffers: net::Spares<Vec<u8>>,
    /// Of connections that were closed. Pieces of the last answer may still be under way: until
    /// they are gone their room is not used again.
    inboxes: net::Spares<BytesMut>,
}

impl Spares {
    /// An empty buffer.
    pub fn buffer(&self) -> Vec<u8> {
        self.buffers.take().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    /// Room for what a connection receives.
    pub fn inbox(&self) -> BytesMut {
        self.inboxes.take().unwrap_or_default()
    }

    /// Takes back the room of a connection that is closed.
    pub fn put_inbox(&self, mut inbox: BytesMut) {
        inbox.clear();
        self.inboxes.put(inbox);
    }

    /// Gives a request its place.
    pub fn place(&self, request: Request) -> Box<Request> {
        match self.requests.take() {
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
        if buffer.capacity() <= BUFFER_BYTES_MAX {
            self.buffers.put(buffer);
        }
        self.requests.put(request);
    }
}
