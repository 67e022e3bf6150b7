//! Bodies of responses: where the bytes are, and pulling them piece by piece.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use bytes::Bytes;

use crate::filter::gzip::Compressed;
use crate::filter::sub_filter::Replaced;
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
    /// Another body, with texts replaced on the way.
    Replaced(Box<Replaced>),
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
            Body::Replaced(replaced) => Box::pin(replaced.next()).await,
        }
    }
}

/// Bytes of a file that are read at a time.
const STEP_BYTES: usize = 64 * 1024;

/// A body for filters that must see its bytes: what is in a file is read.
#[derive(Debug)]
pub struct Pieces {
    body: Body,
    /// What is left of a file piece.
    file: Option<FilePart>,
}

impl Pieces {
    /// The pieces of a body.
    pub fn of(body: Body) -> Pieces {
        Pieces { body, file: None }
    }

    /// The body, for what it learnt.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The next piece; `None` is the end.
    ///
    /// # Errors
    /// If the body was cut, or a file could not be read.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyCut> {
        loop {
            if let Some(part) = &mut self.file {
                let mut bytes =
                    vec![0; STEP_BYTES.min(usize::try_from(part.bytes).unwrap_or(STEP_BYTES))];
                let read = part.file.read_at(&mut bytes, part.offset).map_err(|_| BodyCut)?;
                if read == 0 && part.bytes > 0 {
                    return Err(BodyCut);
                }
                bytes.truncate(read);
                part.offset += read as u64;
                part.bytes -= read as u64;
                if part.bytes == 0 {
                    self.file = None;
                }
                return Ok(Some(Bytes::from(bytes)));
            }
            match self.body.next().await? {
                None => return Ok(None),
                Some(Part::Data(bytes)) => return Ok(Some(bytes)),
                Some(Part::File(part)) if part.bytes > 0 => self.file = Some(part),
                Some(Part::File(_)) => {}
            }
        }
    }
}
