//! The chunked transfer coding (RFC 9112, 7.1), read strictly: lines end with CR LF.
//!
//! ```text
//!  Size ── n > 0 ──► Data(n) ── all read ──► DataEnd ── CR LF ──► Size
//!    └───── 0 ─────► Trailers ── field ──► Trailers ── empty line ──► Done
//! ```

use bytes::{Buf, Bytes, BytesMut};

use super::bytes::{BAD_IN_VALUE, TOKEN, all, any};

/// Bytes of a chunk's size line, extensions and line end included.
const SIZE_LINE_BYTES_MAX: usize = 1024;
/// Bytes of all chunk extensions of one body.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// Bytes of all trailer fields.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// What a decoder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes of the body; never empty.
    Data(Bytes),
    /// The body is complete; trailers have been read and dropped.
    End,
    /// The buffer holds nothing that can be decoded yet.
    NeedMore,
}

/// Why a chunked body is refused. Nothing more may be read from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ChunkError {
    BadSize,
    SizeTooLarge,
    BadExtension,
    ExtensionsTooLong,
    BareLineFeed,
    DataWithoutLineEnd,
    BadTrailer,
    TrailersTooLong,
}

/// Decodes one chunked body.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    /// Invariant: no line feed in the buffer before here (states with lines only).
    searched: usize,
    extension_bytes: usize,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

impl Default for ChunkedDecoder {
    fn default() -> ChunkedDecoder {
        ChunkedDecoder::new()
    }
}

impl ChunkedDecoder {
    /// At the start of a body.
    pub fn new() -> ChunkedDecoder {
        ChunkedDecoder { state: State::Size, searched: 0, extension_bytes: 0, trailer_bytes: 0 }
    }

    /// Whether [`Chunk::End`] has been given.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes the next piece off `buffer`.
    ///
    /// # Errors
    /// The coding is broken.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Chunk, ChunkError> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = self.next_line(buffer, SIZE_LINE_BYTES_MAX)? else {
                        return Ok(Chunk::NeedMore);
                    };
                    self.state = match self.parse_size(&line)? {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Chunk::NeedMore);
                    }
                    let bytes = left.min(buffer.len() as u64) as usize;
                    self.state = match left - bytes as u64 {
                        0 => State::DataEnd,
                        left => State::Data(left),
                    };
                    return Ok(Chunk::Data(buffer.split_to(bytes).freeze()));
                }
                State::DataEnd => match (buffer.first(), buffer.get(1)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        buffer.advance(2);
                        self.state = State::Size;
                    }
                    (None, _) | (Some(b'\r'), None) => return Ok(Chunk::NeedMore),
                    _ => return Err(ChunkError::DataWithoutLineEnd),
                },
                State::Trailers => {
                    let Some(line) = self.next_line(buffer, TRAILER_BYTES_MAX)? else {
                        return Ok(Chunk::NeedMore);
                    };
                    self.handle_trailer(&line)?;
                }
                State::Done => return Ok(Chunk::End),
            }
        }
    }

    /// The next line without its line end.
    fn next_line(
        &mut self,
        buffer: &mut BytesMut,
        bytes_max: usize,
    ) -> Result<Option<BytesMut>, ChunkError> {
        let too_long = match self.state {
            State::Trailers => ChunkError::TrailersTooLong,
            _ => ChunkError::BadSize,
        };
        let new = buffer.get(self.searched..).unwrap_or(&[]);
        let Some(found) = memchr::memchr(b'\n', new) else {
            // An attacker's endless digits are refused before a line end comes.
            if buffer.len() >= bytes_max {
                return Err(too_long);
            }
            self.searched = buffer.len();
            return Ok(None);
        };
        let mut line = buffer.split_to(self.searched + found + 1);
        self.searched = 0;
        if line.len() > bytes_max {
            return Err(too_long);
        }
        if !line.ends_with(b"\r\n") {
            return Err(ChunkError::BareLineFeed);
        }
        line.truncate(line.len() - 2);
        Ok(Some(line))
    }

    fn parse_size(&mut self, line: &[u8]) -> Result<u64, ChunkError> {
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        if digits == 0 {
            return Err(ChunkError::BadSize);
        }
        if digits > 16 {
            return Err(ChunkError::SizeTooLarge);
        }
        let mut size: u64 = 0;
        for &digit in &line[..digits] {
            let value = char::from(digit).to_digit(16).ok_or(ChunkError::BadSize)?;
            size = size << 4 | u64::from(value);
        }
        if size > i64::MAX as u64 {
            return Err(ChunkError::SizeTooLarge);
        }
        self.check_extension(&line[digits..])?;
        Ok(size)
    }

    fn check_extension(&mut self, text: &[u8]) -> Result<(), ChunkError> {
        self.extension_bytes = self.extension_bytes.saturating_add(text.len());
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ChunkError::ExtensionsTooLong);
        }
        let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match text.get(blanks) {
            None if blanks == 0 => Ok(()),
            Some(b';') if !any(text, BAD_IN_VALUE) => Ok(()),
            Some(b';') => Err(ChunkError::BadExtension),
            _ => Err(ChunkError::BadSize),
        }
    }

    fn handle_trailer(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        if line.is_empty() {
            self.state = State::Done;
            return Ok(());
        }
        self.trailer_bytes = self.trailer_bytes.saturating_add(line.len());
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ChunkError::TrailersTooLong);
        }
        let colon = memchr::memchr(b':', line).ok_or(ChunkError::BadTrailer)?;
        if colon == 0 || !all(&line[..colon], TOKEN) || any(&line[colon..], BAD_IN_VALUE) {
            return Err(ChunkError::BadTrailer);
        }
        Ok(())
    }
}
