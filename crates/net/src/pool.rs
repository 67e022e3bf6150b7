//! Read buffers that idle connections give back.

use std::cell::RefCell;

use bytes::BytesMut;

/// Bytes of one read buffer: one read takes a whole usual request.
pub const BUFFER_BYTES: usize = 8 * 1024;
/// Buffers kept for reuse per thread; more are freed.
const SPARE_MAX: usize = 64;

/// Spare read buffers of one thread.
#[derive(Debug, Default)]
pub struct BufferPool {
    spare: RefCell<Vec<BytesMut>>,
}

impl BufferPool {
    /// An empty pool.
    pub fn new() -> BufferPool {
        BufferPool::default()
    }

    /// A buffer with room for at least [`BUFFER_BYTES`].
    pub fn take(&self) -> BytesMut {
        let mut buffer = self.spare.borrow_mut().pop().unwrap_or_default();
        buffer.reserve(BUFFER_BYTES);
        buffer
    }

    /// Gives back a buffer that holds nothing anybody needs.
    pub fn put(&self, mut buffer: BytesMut) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX && buffer.capacity() <= 4 * BUFFER_BYTES {
            buffer.clear();
            spare.push(buffer);
        }
    }
}
