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

    /// The head.
    pub fn head(self) -> Option<ResponseHead> {
        let description = self.0.get(self.description_range())?;
        let head_at = format::described(description)?.head_at;
        format::head(description, head_at, self.body_in_file().1)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cache::{CacheKey, Hash, Times};
    use message::{BodyLength, Headers, ResponseHead};

    use super::{BESIDE_BYTES, HEAD_BYTES, Image, View};
    use crate::store::disk::Stamp;
    use crate::store::format::{Description, FIXED_BYTES};

    const TIMES: Times = Times {
        stored_unix_ms: 1,
        valid_until_unix_ms: 2,
        stale_while_revalidate_ms: 3,
        stale_if_error_ms: u64::MAX,
    };

    fn headers() -> Headers {
        let mut headers = Headers::default();
        headers.push_named("content-type", "text/plain");
        headers.push_named("X-Own", "");
        headers
    }

    fn encoded() -> Vec<u8> {
        let mut head = ResponseHead::new(404, BodyLength::Length(4));
        head.reason = "Gone Fishing".into();
        head.headers = headers();
        let key = Bytes::from_static(b"key");
        Description { key, vary: "accept".into(), variant: Hash([3; 16]), head }.encode().unwrap()
    }

    fn stamp(body_bytes: usize) -> Stamp {
        let bytes = (FIXED_BYTES + encoded().len() + body_bytes) as u64;
        Stamp { inode: u64::MAX, bytes, modified_seconds: -5, modified_ns: 999_999_999 }
    }

    #[test]
    fn an_image_gives_back_what_it_was_made_of() {
        let image = Image::new(TIMES, stamp(4), &encoded(), Some(b"body"));
        let bytes = image.bytes();
        let view = View(&bytes);
        assert_eq!((view.times(), view.stamp()), (TIMES, stamp(4)));
        assert_eq!(view.body_range().map(|range| bytes.slice(range)), Some("body".into()));
        let described = view.described().unwrap();
        assert!(described.is_of(&CacheKey::new("key")) && !described.is_of(&CacheKey::new("kez")));
        assert_eq!((described.vary, described.variant), (&b"accept"[..], Hash([3; 16])));
        let head = view.head().unwrap();
        assert_eq!((head.status, head.reason), (404, "Gone Fishing".into()));
        assert_eq!(head.body, BodyLength::Length(4));
        assert_eq!(head.headers, headers());
    }

    #[test]
    fn a_large_body_is_told_from_an_empty_one() {
        let large = Image::new(TIMES, stamp(70_000), &encoded(), None);
        assert_eq!(large.view().body_range(), None);
        let offset = (FIXED_BYTES + encoded().len()) as u64;
        assert_eq!(large.view().body_in_file(), (offset, 70_000));
        let empty = Image::new(TIMES, stamp(0), &encoded(), Some(b""));
        assert_eq!(empty.view().body_range().map(|range| range.len()), Some(0));
    }

    #[test]
    fn new_times_leave_everything_else_as_it_is() {
        let image = Image::new(TIMES, stamp(4), &encoded(), Some(b"body"));
        let later = Times { valid_until_unix_ms: 9, ..TIMES };
        let other = Stamp { modified_ns: 1, ..stamp(4) };
        let renewed = image.with(later, other);
        assert_eq!((renewed.view().times(), renewed.view().stamp()), (later, other));
        assert_eq!(renewed.as_ref()[HEAD_BYTES..], image.as_ref()[HEAD_BYTES..]);
        assert_eq!(renewed.memory_bytes(), image.memory_bytes());
    }

    #[test]
    fn the_memory_that_is_counted_is_that_of_all_pieces() {
        let image = Image::new(TIMES, stamp(4), &encoded(), Some(b"body"));
        let pieces = HEAD_BYTES + encoded().len() + 4;
        assert_eq!(image.memory_bytes(), pieces as u64 + BESIDE_BYTES);
    }
}
