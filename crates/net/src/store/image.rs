//! An object as it is kept in memory: in one piece, which is one allocation, read in one place.
//!
//! ```text
//! head (64 bytes, little endian)
//!   times: stored, valid until, stale while revalidate, stale if error: 8 each (ms)
//!   stamp: inode 8 | bytes of the file 8 | modified: seconds 8, nanoseconds 4
//!   description length 4
//! description, as in the file
//! body, if it is small
//! ```
//!
//! Invariant: the description is one that `format` has read whole, or written.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use cache::Times;
use message::ResponseHead;

use super::disk::Stamp;
use super::format::{self, Described, FIXED_BYTES};

/// Bytes of the head.
const HEAD_BYTES: usize = 64;

/// Bytes of memory besides the image itself: the counters of its owners (16), what the allocator
/// adds and rounds up (16 on average), a place in the order of warm objects (24).
const BESIDE_BYTES: u64 = 56;

/// An object in memory. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Image(Arc<[u8]>);

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Image {
    /// From the pieces of an object; without a body if that is too large for the memory.
    pub fn new(times: Times, stamp: Stamp, description: &[u8], body: Option<&[u8]>) -> Image {
        let body = body.unwrap_or_default();
        let mut out = Vec::with_capacity(HEAD_BYTES + description.len() + body.len());
        put_times_and_stamp(&mut out, times, stamp);
        out.put_u32_le(u32::try_from(description.len()).unwrap_or(u32::MAX));
        out.put_slice(description);
        out.put_slice(body);
        Image(out.into())
    }

    /// The same object with new times.
    pub fn with(&self, times: Times, stamp: Stamp) -> Image {
        let mut out = Vec::with_capacity(self.0.len());
        put_times_and_stamp(&mut out, times, stamp);
        out.put_slice(self.0.get(out.len()..).unwrap_or_default());
        Image(out.into())
    }

    /// What is in it.
    pub fn view(&self) -> View<'_> {
        View(&self.0)
    }

    /// The same bytes, for values that share them.
    pub fn bytes(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> u64 {
        self.0.len() as u64 + BESIDE_BYTES
    }
}

fn put_times_and_stamp(out: &mut Vec<u8>, times: Times, stamp: Stamp) {
    out.put_u64_le(times.stored_unix_ms);
    out.put_u64_le(times.valid_until_unix_ms);
    out.put_u64_le(times.stale_while_revalidate_ms);
    out.put_u64_le(times.stale_if_error_ms);
    out.put_u64_le(stamp.inode);
    out.put_u64_le(stamp.bytes);
    out.put_i64_le(stamp.modified_seconds);
    out.put_u32_le(stamp.modified_ns);
}

/// The bytes of an image, to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a>(pub &'a [u8]);

impl<'a> View<'a> {
    /// When it was stored and until when it is fresh.
    pub fn times(self) -> Times {
        Times {
            stored_unix_ms: self.number(0),
            valid_until_unix_ms: self.number(8),
            stale_while_revalidate_ms: self.number(16),
            stale_if_error_ms: self.number(24),
        }
    }

    /// What its file was when it was checked.
    pub fn stamp(self) -> Stamp {
        Stamp {
            inode: self.number(32),
            bytes: self.number(40),
            modified_seconds: self.number(48).cast_signed(),
            modified_ns: self.number(56) as u32,
        }
    }

    /// Whose object it is. `None` cannot be: it was read before.
    pub fn described(self) -> Option<Described<'a>> {
        format::described(self.0.get(self.description_range())?)
    }

    /// The head, its values sharing the image's bytes, which are `bytes`.
    pub fn head(self, bytes: &Bytes) -> Option<ResponseHead> {
        let bytes = bytes.slice(self.description_range());
        let head_at = format::described(&bytes)?.head_at;
        format::head(&bytes, head_at, self.body_in_file().1)
    }

    /// Where the body is in the image, if it is.
    pub fn body_range(self) -> Option<Range<usize>> {
        let start = self.description_range().end;
        let (_, len) = self.body_in_file();
        ((self.0.len() - start) as u64 == len).then_some(start..self.0.len())
    }

    /// Where the body starts in the file, and its length.
    pub fn body_in_file(self) -> (u64, u64) {
        let offset = FIXED_BYTES as u64 + self.description_range().len() as u64;
        (offset, self.number(40).saturating_sub(offset))
    }

    fn description_range(self) -> Range<usize> {
        let len = (self.number(56) >> 32) as usize;
        HEAD_BYTES..HEAD_BYTES + len
    }

    fn number(self, at: usize) -> u64 {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}
