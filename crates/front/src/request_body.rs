//! Request bodies: read whole before an upstream hears of them, passed on piece by piece, or
//! thrown away.

use std::fs::File;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use message::{BodyLength, RequestHead};
use plan::front::location::BodyPlan;
use proto::http1::{Chunk, ChunkedDecoder};

use crate::wire::{Wire, WireEnd};

/// Bytes of an unwanted body that are read to keep the connection; a longer one closes it.
const DISCARD_BYTES_MAX: u64 = 64 * 1024;
/// Time for that.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// The body of one request.
#[derive(Debug)]
pub struct RequestBody {
    announced: Option<u64>,
    rest: Rest,
    content: Content,
    /// `100 Continue` is owed before the first read.
    expect_continue: bool,
    /// Bytes taken off the wire, decoded.
    pub received: u64,
}

/// What has not been read yet.
#[derive(Debug)]
enum Rest {
    Nothing,
    Length(u64),
    Chunked(ChunkedDecoder),
}

/// What has been read.
#[derive(Debug, Default)]
pub enum Content {
    /// Nothing, or it was passed on.
    #[default]
    None,
    /// The whole body.
    Memory(Bytes),
    /// The whole body, so many bytes.
    File(File, u64),
}

/// Why a body cannot be had.
#[derive(Debug)]
pub enum BodyError {
    /// Longer than `client_max_body_size`.
    TooLarge,
    /// The chunked coding is broken.
    BadChunk,
    /// `client_body_timeout` passed.
    TimedOut,
    /// The client went away.
    ClientGone,
    /// The temporary file failed.
    Disk(io::Error),
}

impl From<WireEnd> for BodyError {
    fn from(end: WireEnd) -> BodyError {
        match end {
            WireEnd::ClientGone => BodyError::ClientGone,
            WireEnd::TimedOut => BodyError::TimedOut,
        }
    }
}

impl RequestBody {
    /// The body a head announces.
    pub fn new(head: &RequestHead) -> RequestBody {
        let (announced, rest) = match head.body {
            BodyLength::None | BodyLength::UntilClose => (None, Rest::Nothing),
            BodyLength::Length(0) => (Some(0), Rest::Nothing),
            BodyLength::Length(length) => (Some(length), Rest::Length(length)),
            BodyLength::Chunked => (None, Rest::Chunked(ChunkedDecoder::new())),
        };
        let expect_continue = head.expect_continue && !matches!(rest, Rest::Nothing);
        let content = Content::None;
        RequestBody { announced, rest, content, expect_continue, received: 0 }
    }

    /// Length as announced.
    pub fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// Length as announced or, once it has been read, as found.
    pub fn length(&self) -> Option<u64> {
        match &self.content {
            Content::None => self.announced,
            Content::Memory(bytes) => Some(bytes.len() as u64),
            Content::File(_, bytes) => Some(*bytes),
        }
    }

    /// The body, if it has been read and is in memory.
    pub fn memory(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether everything has been taken off the wire.
    pub fn is_read(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Whether throwing it away would cost more than a new connection.
    pub fn is_too_long_to_discard(&self) -> bool {
        match self.rest {
            Rest::Nothing => false,
            Rest::Length(left) => left > DISCARD_BYTES_MAX || self.expect_continue,
            Rest::Chunked(_) => self.expect_continue,
        }
    }

    /// What has been read.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The next piece; `None` is the end.
    ///
    /// # Errors
    /// If the client sends something else, too slowly, or goes away.
    pub async fn next(
        &mut self,
        wire: &mut Wire,
        timeout: Duration,
    ) -> Result<Option<Bytes>, BodyError> {
        loop {
            match &mut self.rest {
                Rest::Nothing => return Ok(None),
                Rest::Length(left) if !wire.buffer.is_empty() => {
                    let take = wire.buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= take as u64;
                    if *left == 0 {
                        self.rest = Rest::Nothing;
                    }
                    self.received += take as u64;
                    return Ok(Some(wire.buffer.split_to(take).freeze()));
                }
                Rest::Chunked(decoder) => match decoder.decode(&mut wire.buffer) {
                    Ok(Chunk::Data(bytes)) => {
                        self.received += bytes.len() as u64;
                        return Ok(Some(bytes));
                    }
                    Ok(Chunk::End) => {
                        self.rest = Rest::Nothing;
                        return Ok(None);
                    }
                    Ok(Chunk::NeedMore) => {}
                    Err(_) => return Err(BodyError::BadChunk),
                },
                Rest::Length(_) => {}
            }
            if std::mem::take(&mut self.expect_continue) && wire.buffer.is_empty() {
                wire.write(b"HTTP/1.1 100 Continue\r\n\r\n", b"", timeout).await?;
            }
            wire.watched.patience(timeout);
            wire.fill().await?;
        }
    }

    /// Reads the whole body into memory, or into a file if it is longer than the plan allows.
    ///
    /// # Errors
    /// As [`RequestBody::next`]; or if it is too large, or cannot be written.
    pub async fn read(&mut self, wire: &mut Wire, plan: &BodyPlan) -> Result<(), BodyError> {
        if self.is_read() {
            return Ok(());
        }
        let limit = plan.bytes_max.unwrap_or(u64::MAX);
        let Some(first) = self.next(wire, plan.timeout).await? else {
            self.content = Content::Memory(Bytes::new());
            return Ok(());
        };
        if self.is_read() && first.len() as u64 <= limit.min(plan.memory_bytes_max) {
            self.content = Content::Memory(first);
            return Ok(());
        }
        let is_long = self.announced.is_some_and(|bytes| bytes > plan.memory_bytes_max);
        let expected = if is_long { 0 } else { self.announced.unwrap_or(0) };
        let mut memory = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            if self.received > limit {
                return Err(BodyError::TooLarge);
            }
            if is_long || (memory.len() + bytes.len()) as u64 > plan.memory_bytes_max {
                return self.read_to_file(wire, plan, [&memory, &bytes]).await;
            }
            memory.extend_from_slice(&bytes);
            piece = self.next(wire, plan.timeout).await?;
        }
        self.content = Content::Memory(memory.freeze());
        Ok(())
    }

    /// The rest of the way when the body does not fit into memory; `begun` is what there is.
    async fn read_to_file(
        &mut self,
        wire: &mut Wire,
        plan: &BodyPlan,
        begun: [&[u8]; 2],
    ) -> Result<(), BodyError> {
        let limit = plan.bytes_max.unwrap_or(u64::MAX);
        let mut file = net::temp_file::unnamed(&plan.temp_path).map_err(BodyError::Disk)?;
        for bytes in begun {
            file.write_all(bytes).map_err(BodyError::Disk)?;
        }
        loop {
            if self.received > limit {
                return Err(BodyError::TooLarge);
            }
            if let Rest::Length(left) = &mut self.rest
                && wire.buffer.is_empty()
            {
                wire.watched.patience(plan.timeout);
                let (taken, written) = wire
                    .read_past_buffer(|bytes| {
                        let most = usize::try_from(*left).unwrap_or(usize::MAX);
                        let ours = bytes.get(..most).unwrap_or(bytes);
                        (ours.len(), file.write_all(ours))
                    })
                    .await?;
                written.map_err(BodyError::Disk)?;
                self.received += taken as u64;
                *left -= taken as u64;
                if *left == 0 {
                    self.rest = Rest::Nothing;
                }
                continue;
            }
            match self.next(wire, plan.timeout).await? {
                Some(bytes) => file.write_all(&bytes).map_err(BodyError::Disk)?,
                None => break,
            }
        }
        self.content = Content::File(file, self.received);
        Ok(())
    }

    /// Reads what nobody wanted, so that the next request can be read; `false` if there is too
    /// much of it, or the client waits for `100 Continue`, and the connection must close.
    pub async fn discard(&mut self, wire: &mut Wire) -> bool {
        if self.is_read() {
            return true;
        }
        if self.expect_continue && wire.buffer.is_empty() {
            return false;
        }
        let started = Instant::now();
        let before = self.received;
        loop {
            let left = DISCARD_TIME.saturating_sub(started.elapsed());
            match self.next(wire, left).await {
                Ok(None) => return true,
                Ok(Some(_)) if self.received - before <= DISCARD_BYTES_MAX => {}
                _ => return false,
            }
        }
    }
}
