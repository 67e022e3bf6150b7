//! Bodies of responses: where the bytes are, and pulling them piece by piece.

use std::collections::VecDeque;
use std::fs::File;
use std::rc::Rc;

use bytes::Bytes;

use crate::filter::gzip::Compressed;
use crate::upstream_body::UpstreamBody;

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Part {
    /// Bytes in memory.
    Data(Bytes),
    /// Bytes of a file.
    File(FilePart),
}

/// A piece of an open file.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// The file.
    pub file: Rc<File>,
    /// First byte.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

/// A response's body.
#[derive(Debug)]
pub enum Body {
    /// None.
    Empty,
    /// Whole, in memory.
    Memory(Bytes),
    /// A piece of a file.
    File(FilePart),
    /// Several pieces, all at hand.
    Parts(VecDeque<Part>),
    /// Comes from an upstream.
    Upstream(Box<UpstreamBody>),
    /// Another body, compressed on the way.
    Compressed(Box<Compressed>),
}

/// The body will not come to its end: the client must see that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyCut;

impl Part {
    /// How many bytes it stands for.
    pub fn len(&self) -> u64 {
        match self {
            Part::Data(bytes) => bytes.len() as u64,
            Part::File(part) => part.bytes,
        }
    }
}

impl Body {
    /// A piece of a body that is at hand as one; `None` for any other.
    pub fn part(&self, start: u64, length: u64) -> Option<Part> {
        match self {
            Body::Memory(bytes) => {
                let start = usize::try_from(start).ok()?.min(bytes.len());
                let end = start.saturating_add(usize::try_from(length).ok()?).min(bytes.len());
                Some(Part::Data(bytes.slice(start..end)))
            }
            Body::File(part) => Some(Part::File(FilePart {
                file: part.file.clone(),
                offset: part.offset.saturating_add(start),
                bytes: length.min(part.bytes.saturating_sub(start)),
            })),
            _ => None,
        }
    }

    /// The same, as a body; a body that comes in pieces stays whole.
    pub fn slice(self, start: u64, length: u64) -> Body {
        match self.part(start, length) {
            Some(Part::Data(bytes)) => Body::Memory(bytes),
            Some(Part::File(part)) => Body::File(part),
            None => self,
        }
    }

    /// The next piece; `None` is the end, whole.
    ///
    /// # Errors
    /// If it will not come to its end; a log line has been written where the reason was known.
    pub async fn next(&mut self) -> Result<Option<Part>, BodyCut> {
        match self {
            Body::Empty => Ok(None),
            Body::Memory(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Body::Empty;
                Ok(Some(Part::Data(bytes)))
            }
            Body::File(part) => {
                let part = part.clone();
                *self = Body::Empty;
                Ok(Some(Part::File(part)))
            }
            Body::Parts(parts) => Ok(parts.pop_front()),
            Body::Upstream(upstream) => upstream.next().await,
            Body::Compressed(compressed) => Box::pin(compressed.next()).await,
        }
    }
}
