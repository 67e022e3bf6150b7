//! Read buffers that idle connections give back.

use bytes::BytesMut;

use crate::Spares;

/// Bytes of one read buffer: one read takes a whole usual request.
pub const BUFFER_BYTES: usize = 8 * 1024;

/// Spare read buffers of one thread.
#[derive(Debug, Default)]
pub struct BufferPool {
    spare: Spares<BytesMut>,
}

impl BufferPool {
    /// An empty pool.
    pub fn new() -> BufferPool {
        BufferPool::default()
    }

    /// A buffer with room for at least [`BUFFER_BYTES`].
    pub fn take(&self) -> BytesMut {
        let mut buffer = self.spare.take().unwrap_or_default();
        buffer.reserve(BUFFER_BYTES);
        buffer
    }

    /// Gives back a buffer that holds nothing anybody needs. One that was cut off a larger one, or
    /// that has grown large, is not kept.
    pub fn put(&self, mut buffer: BytesMut) {
        let fits = (BUFFER_BYTES / 2..=4 * BUFFER_BYTES).contains(&buffer.capacity());
        if fits {
            buffer.clear();
            self.spare.put(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_a_piece_of_one_does_not() {
        let pool = BufferPool::new();
        let mut buffer = pool.take();
        let place = buffer.as_ptr();
        buffer.extend_from_slice(b"head");
        pool.put(buffer);
        let mut buffer = pool.take();
        assert_eq!((buffer.as_ptr(), buffer.len()), (place, 0));
        buffer.extend_from_slice(b"head");
        pool.put(buffer.split_to(4));
        assert!(pool.spare.take().is_none());
    }
}
