//! The body of a worker's answer: frames, files, or a socket of its own; its end is explicit.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use message::{BodyLength, ResponseHead};
use proto::channel::STREAM_CHUNK_BYTES_MAX;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::slots::{Event, Ticket};
use crate::answer::Piece;
use crate::error::{During, Failure, FailureKind};

/// Bytes read at once from a stream, beside the length of a chunk: the worker's longest chunk.
const READ_BYTES: usize = STREAM_CHUNK_BYTES_MAX;
/// Bytes of a chunk for which a read of their own is worth its call.
const REST_BYTES_MIN: usize = 8 * 1024;
/// Bytes of a chunk's length.
const LENGTH_BYTES: usize = 4;

/// What is left of an answer's body.
#[derive(Debug)]
pub(crate) struct AppBody {
    source: Source,
    /// The first bytes, which came with the head.
    first: Option<Bytes>,
    /// Bytes that Content-Length still promises.
    promised: Option<u64>,
    /// The answer has no body (HEAD, 204, 304): what comes all the same is thrown away.
    bodiless: bool,
    patience: Duration,
}

#[derive(Debug)]
enum Source {
    Frames(Ticket),
    Stream(ChunkStream),
    Ended,
}

/// Chunks on a socket: u32 little endian length and the bytes; zero is the end.
#[derive(Debug)]
struct ChunkStream {
    socket: UnixStream,
    inbox: BytesMut,
    left: usize,
    /// Keeps the request's id, and its place before the app, while the worker writes.
    _ticket: Ticket,
}

impl AppBody {
    pub(super) fn new(ticket: Ticket, patience: Duration, head: &ResponseHead) -> AppBody {
        let promised = match head.body {
            BodyLength::Length(bytes) => Some(bytes),
            _ => None,
        };
        let bodiless = head.body == BodyLength::None;
        AppBody { source: Source::Frames(ticket), first: None, promised, bodiless, patience }
    }

    pub(super) fn beginning_with(mut self, first: Bytes, end: bool) -> AppBody {
        // An end short of what was promised is found out at the next read.
        if end {
            self.source = Source::Ended;
        }
        self.first = (!first.is_empty() && !self.bodiless).then_some(first);
        self
    }

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.source, Source::Ended) && self.first.is_none() && !self.is_short()
    }

    /// What has come already.
    pub(crate) fn buffered(&mut self) -> Option<Piece> {
        let data = self.first.take()?;
        self.note(data.len() as u64).ok()?;
        Some(Piece::Data(data))
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        if let Some(data) = self.first.take() {
            self.note(data.len() as u64)?;
            return Ok(Some(Piece::Data(data)));
        }
        let is_short = self.is_short();
        loop {
            let step = match &mut self.source {
                Source::Ended if is_short => {
                    return Err(Failure::closed_early(During::ReadingBody));
                }
                Source::Ended => return Ok(None),
                Source::Stream(stream) => {
                    let piece = timeout(self.patience, stream.next()).await;
                    let piece = piece.map_err(|_| Failure::timed_out(During::ReadingBody))??;
                    match piece {
                        Some(data) => Event::Data { data, end: false },
                        None => Event::Data { data: Bytes::new(), end: true },
                    }
                }
                Source::Frames(ticket) => match ticket.take() {
                    Some(event) => event,
                    None => {
                        let deadline = Instant::now() + self.patience;
                        let event = ticket.next(deadline).await;
                        event.ok_or_else(|| Failure::timed_out(During::ReadingBody))?
                    }
                },
            };
            if let Some(piece) = self.handle_event(step)? {
                return Ok(Some(piece));
            }
        }
    }

    fn handle_event(&mut self, event: Event) -> Result<Option<Piece>, Failure> {
        let (piece, end) = match event {
            Event::Data { data, end } => ((!data.is_empty()).then_some(Piece::Data(data)), end),
            Event::File { file, offset, bytes, end } => {
                ((bytes != 0).then_some(Piece::File { file, offset, bytes }), end)
            }
            Event::Stream(socket) => {
                let source = std::mem::replace(&mut self.source, Source::Ended);
                if let Source::Frames(ticket) = source {
                    self.source = Source::Stream(ChunkStream::new(socket, ticket)?);
                }
                return Ok(None);
            }
            Event::Abort { message, .. } => {
                let text = format!("{message} {}", "while reading upstream");
                return Err(Failure::new(FailureKind::Error, text));
            }
            Event::Died => return Err(Failure::closed_early(During::ReadingBody)),
            Event::Head { .. } => {
                return Err(Failure::new(FailureKind::Error, "worker sent a second head"));
            }
        };
        if end {
            self.source = Source::Ended;
        }
        if self.bodiless {
            return Ok(None);
        }
        match &piece {
            Some(Piece::Data(data)) => self.note(data.len() as u64)?,
            Some(Piece::File { bytes, .. }) => self.note(*bytes)?,
            None => {}
        }
        Ok(piece)
    }

    fn is_short(&self) -> bool {
        self.promised.is_some_and(|promised| promised != 0)
    }

    /// Counts bytes against the promise; what goes beyond it would be the next answer's start
    /// for somebody behind us.
    fn note(&mut self, bytes: u64) -> Result<(), Failure> {
        if let Some(promised) = &mut self.promised {
            *promised = promised.checked_sub(bytes).ok_or_else(|| {
                let text = "upstream sent more data than specified in \"Content-Length\" header \
                            while reading upstream";
                Failure::new(FailureKind::Error, text)
            })?;
        }
        Ok(())
    }
}

impl ChunkStream {
    fn new(socket: std::os::unix::net::UnixStream, ticket: Ticket) -> Result<ChunkStream, Failure> {
        let socket = socket
            .set_nonblocking(true)
            .and_then(|()| UnixStream::from_std(socket))
            .map_err(|error| Failure::call("epoll_ctl", &error, During::ReadingBody))?;
        Ok(ChunkStream { socket, inbox: BytesMut::new(), left: 0, _ticket: ticket })
    }

    /// How much to read: with a long chunk, its end and no more than the next one's length, so
    /// that the next one comes whole; otherwise as many chunks as there are.
    fn next_read_bytes(&self) -> usize {
        debug_assert!(self.inbox.len() < LENGTH_BYTES, "what is there would be handed on");
        let is_long = self.left >= REST_BYTES_MIN;
        LENGTH_BYTES + if is_long { self.left.min(READ_BYTES) } else { READ_BYTES }
    }

    /// The next piece of a chunk; `None` at the end chunk. Can be dropped while it waits: what
    /// has been read stays in `inbox`.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if self.left != 0 && !self.inbox.is_empty() {
                let bytes = self.left.min(self.inbox.len());
                self.left -= bytes;
                return Ok(Some(self.inbox.split_to(bytes).freeze()));
            }
            if self.left == 0
                && let Some(length) = self.inbox.first_chunk::<LENGTH_BYTES>()
            {
                self.left = u32::from_le_bytes(*length) as usize;
                self.inbox.advance(LENGTH_BYTES);
                if self.left == 0 {
                    return Ok(None);
                }
                continue;
            }
            let most = self.next_read_bytes();
            self.inbox.reserve(most);
            match self.socket.read_buf(&mut (&mut self.inbox).limit(most)).await {
                Ok(0) => return Err(Failure::closed_early(During::ReadingBody)),
                Ok(_) => {}
                Err(error) => return Err(Failure::call("recv", &error, During::ReadingBody)),
            }
        }
    }
}
