//! Collecting a request's body: in memory up to a limit, beyond it in a temporary file.

use std::fs::File;
use std::io::{self, Seek, Write};

use bytes::{Bytes, BytesMut};
use proto::http1::{Chunk, ChunkedDecoder};

use crate::exchange::Input;

/// Capacity that is set aside at once for a body whose length is known.
const FIRST_BYTES_MAX: u64 = 64 * 1024;

/// Why a body is refused.
#[derive(Debug)]
pub enum BodyError {
    /// Longer than `limit-post` allows: so many bytes of it have come.
    TooLarge(u64),
    /// The chunked coding is broken.
    Broken,
    /// It could not be written to the temporary file.
    Storage(io::Error),
}

enum Framing {
    /// So many bytes are missing.
    Length(u64),
    Chunked(ChunkedDecoder),
}

/// A body that is arriving.
pub struct Body {
    framing: Framing,
    memory: Vec<u8>,
    /// Invariant: `memory` is empty once there is a file.
    file: Option<File>,
    bytes: u64,
    memory_bytes_max: u64,
    bytes_max: u64,
}

impl Body {
    /// A body of a known length.
    pub fn of_length(bytes: u64, memory_bytes_max: u64) -> Body {
        let capacity = bytes.min(FIRST_BYTES_MAX) as usize;
        Body {
            framing: Framing::Length(bytes),
            memory: Vec::with_capacity(capacity),
            file: None,
            bytes: 0,
            memory_bytes_max,
            bytes_max: u64::MAX,
        }
    }

    /// A body in the chunked coding.
    pub fn chunked(memory_bytes_max: u64, bytes_max: Option<u64>) -> Body {
        Body {
            framing: Framing::Chunked(ChunkedDecoder::new()),
            bytes_max: bytes_max.unwrap_or(u64::MAX),
            ..Body::of_length(0, memory_bytes_max)
        }
    }

    /// Bytes collected.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what belongs to the body off `buffer`; true once the body is complete.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn take(&mut self, buffer: &mut BytesMut) -> Result<bool, BodyError> {
        loop {
            let piece = match &mut self.framing {
                Framing::Length(0) => return Ok(true),
                Framing::Length(_) if buffer.is_empty() => return Ok(false),
                Framing::Length(left) => {
                    let count = (*left).min(buffer.len() as u64);
                    *left -= count;
                    buffer.split_to(count as usize).freeze()
                }
                Framing::Chunked(decoder) => match decoder.decode(buffer) {
                    Ok(Chunk::Data(piece)) => piece,
                    Ok(Chunk::End) => return Ok(true),
                    Ok(Chunk::NeedMore) => return Ok(false),
                    Err(_) => return Err(BodyError::Broken),
                },
            };
            self.store(&piece)?;
        }
    }

    /// As [`Body::take`] for bytes that lie elsewhere; says how many it took. None of them in the
    /// chunked coding, which is decoded in a buffer.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub fn take_received(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        let Framing::Length(left) = &mut self.framing else { return Ok(0) };
        let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= count as u64;
        self.store(bytes.get(..count).unwrap_or(&[]))?;
        Ok(count)
    }

    /// The complete body.
    ///
    /// # Errors
    /// The temporary file cannot be read from its start.
    pub fn finish(self) -> io::Result<Input> {
        Ok(match self.file {
            Some(mut file) => {
                file.rewind()?;
                Input::File(file, self.bytes)
            }
            None if self.memory.is_empty() => Input::Empty,
            None => Input::Memory(Bytes::from(self.memory)),
        })
    }

    fn store(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(BodyError::TooLarge(self.bytes));
        }
        if let Some(file) = &mut self.file {
            return file.write_all(piece).map_err(BodyError::Storage);
        }
        if self.bytes <= self.memory_bytes_max {
            self.memory.extend_from_slice(piece);
            return Ok(());
        }
        let mut file = temporary_file().map_err(BodyError::Storage)?;
        file.write_all(&self.memory).map_err(BodyError::Storage)?;
        file.write_all(piece).map_err(BodyError::Storage)?;
        self.memory = Vec::new();
        self.file = Some(file);
        Ok(())
    }
}

/// A file without a name in the directory for temporary files (`TMPDIR`).
///
/// # Errors
/// The directory cannot be written to.
pub fn temporary_file() -> io::Result<File> {
    sys::files::open_nameless(&std::env::temp_dir())
}
