//! An upstream's answer: its head, and its body piece by piece.

use std::fs::File;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use message::{BodyLength, ResponseHead};
use proto::http1::{Chunk, ChunkedDecoder};
use tokio::time::Instant;

use crate::apps::AppBody;
use crate::error::{During, Failure};
use crate::exchange::poll_fill;
use crate::group::Chosen;
use crate::pool::Connection;
use crate::request::Request;
use crate::{CallError, CallTrace};

/// Bytes of a body given out at once at most.
const PIECE_BYTES: usize = 64 * 1024;

/// An upstream's answer; handed on in a box, because it changes hands several times.
#[derive(Debug)]
pub struct Answer {
    /// Status and end-to-end fields.
    pub head: ResponseHead,
    /// The body; to be read to its end, or dropped. [`AnswerBody::finish_trace`] completes what
    /// the trace says about the call.
    pub body: AnswerBody,
}

/// A piece of a body.
#[derive(Debug)]
pub enum Piece {
    /// Bytes; never empty.
    Data(Bytes),
    /// A part of a file.
    File {
        /// The file; its own offset means nothing.
        file: File,
        /// Where the part begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
    },
}

/// The body of an answer. Dropping it before its end closes the connection (or lets go of the
/// worker, which sees that nobody listens).
#[derive(Debug)]
pub struct AnswerBody {
    source: Source,
    /// When the attempt began, if anybody asks for its time.
    begun: Option<Instant>,
    body_bytes: u64,
    head_bytes: u64,
    ended_after: Option<Duration>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Socket(SocketBody),
    App(AppBody),
}

/// A body on a socket.
#[derive(Debug)]
pub(crate) struct SocketBody {
    connection: Box<Connection>,
    /// The rest of the request, while the answer is read already.
    request: Option<Box<Request>>,
    framing: Framing,
    /// The connection may be kept when the body has been read.
    keep_alive: bool,
    /// Counts as a connection of its peer until the body is read.
    chosen: Chosen,
    /// How long the peer may be silent.
    patience: Duration,
}

#[derive(Debug)]
enum Framing {
    Left(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
}

impl AnswerBody {
    /// A body on a socket, whose head has just been read.
    pub(crate) fn socket(body: SocketBody, begun: Option<Instant>) -> AnswerBody {
        let head_bytes = body.connection.reader.head_bytes() as u64;
        let is_empty = matches!(body.framing, Framing::Left(0));
        let source = Source::Socket(body);
        let mut body = AnswerBody { source, begun, body_bytes: 0, head_bytes, ended_after: None };
        if is_empty {
            body.finish();
        }
        body
    }

    pub(crate) fn app(body: AppBody, head_bytes: u64, begun: Option<Instant>) -> AnswerBody {
        let source = Source::App(body);
        AnswerBody { source, begun, body_bytes: 0, head_bytes, ended_after: None }
    }

    /// An empty body: an answer that nobody sent.
    pub fn empty() -> AnswerBody {
        AnswerBody {
            source: Source::Empty,
            begun: None,
            body_bytes: 0,
            head_bytes: 0,
            ended_after: Some(Duration::ZERO),
        }
    }

    /// The next piece; `None` is the true end of the body.
    ///
    /// # Errors
    /// The answer was cut, broken, or did not go on in time. What was given out before is not
    /// the whole body.
    pub async fn next(&mut self) -> Result<Option<Piece>, CallError> {
        let piece = match &mut self.source {
            Source::Empty => Ok(None),
            Source::Socket(body) => body.next().await.map(|piece| piece.map(Piece::Data)),
            Source::App(body) => body.next().await,
        };
        match piece {
            Ok(Some(piece)) => {
                self.body_bytes += match &piece {
                    Piece::Data(data) => data.len() as u64,
                    Piece::File { bytes, .. } => *bytes,
                };
                Ok(Some(piece))
            }
            Ok(None) => {
                self.finish();
                Ok(None)
            }
            Err(failure) => {
                self.source = Source::Empty;
                Err(failure.into_error())
            }
        }
    }

    /// What can be given without waiting: lets a caller send head and first piece in one write.
    /// `None`: waiting would be needed, or [`AnswerBody::next`] has the end or an error to tell.
    pub fn ready_piece(&mut self) -> Option<Piece> {
        let piece = match &mut self.source {
            Source::Empty => None,
            Source::Socket(body) => body.buffered().ok().flatten().map(Piece::Data),
            Source::App(body) => body.buffered(),
        }?;
        self.body_bytes += match &piece {
            Piece::Data(data) => data.len() as u64,
            Piece::File { bytes, .. } => *bytes,
        };
        Some(piece)
    }

    /// Whether the whole body has been given out.
    pub fn is_ended(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Socket(body) => body.is_ended(),
            Source::App(body) => body.is_ended(),
        }
    }

    /// What [`AnswerBody::next`] does at the end of a body that has been given out whole, without
    /// waiting: its connection goes back to the pool.
    pub fn end(&mut self) {
        debug_assert!(self.is_ended());
        self.finish();
    }

    /// Completes the last attempt's times and counts; to be called when the request is over.
    pub fn finish_trace(&self, trace: &mut CallTrace) {
        let Some(last) = trace.last_mut() else { return };
        last.response_time = self.ended_after.or_else(|| self.elapsed());
        last.response_length = self.body_bytes;
        last.bytes_received = self.head_bytes + self.body_bytes;
    }

    fn elapsed(&self) -> Option<Duration> {
        self.begun.map(|begun| begun.elapsed())
    }

    /// The body is complete: the connection is kept or closed.
    fn finish(&mut self) {
        self.ended_after = self.ended_after.or_else(|| self.elapsed());
        if let Source::Socket(body) = std::mem::replace(&mut self.source, Source::Empty) {
            let SocketBody { connection, request, keep_alive, chosen, .. } = body;
            // A request that was not sent to its end leaves the connection in the middle of it.
            if keep_alive && request.is_none() {
                chosen.keep(connection, sys::clock::coarse_ms());
            } else {
                chosen.close(connection);
            }
        }
    }
}

impl SocketBody {
    /// The body that follows a head. `request` is what has asked for it.
    pub fn new(
        head: &ResponseHead,
        connection: Box<Connection>,
        chosen: Chosen,
        request: Box<Request>,
        patience: Duration,
    ) -> SocketBody {
        let framing = match head.body {
            BodyLength::None => Framing::Left(0),
            BodyLength::Length(bytes) => Framing::Left(bytes),
            BodyLength::Chunked => Framing::Chunked(ChunkedDecoder::new()),
            BodyLength::UntilClose => Framing::UntilClose,
        };
        let keep_alive = connection.reader.keep_alive();
        let request = chosen.put_if_done(request);
        SocketBody { connection, request, framing, keep_alive, chosen, patience }
    }

    fn is_ended(&self) -> bool {
        match &self.framing {
            Framing::Left(left) => *left == 0,
            Framing::Chunked(decoder) => decoder.is_done(),
            Framing::UntilClose => false,
        }
    }

    /// A piece out of what has been received.
    fn buffered(&mut self) -> Result<Option<Bytes>, Failure> {
        let inbox = &mut self.connection.inbox;
        let room = inbox.len().min(PIECE_BYTES);
        match &mut self.framing {
            Framing::Left(left) => {
                let bytes = (*left).min(room as u64) as usize;
                *left -= bytes as u64;
                Ok((bytes != 0).then(|| inbox.split_to(bytes).freeze()))
            }
            Framing::UntilClose => Ok((room != 0).then(|| inbox.split_to(room).freeze())),
            Framing::Chunked(decoder) => match decoder.decode(inbox) {
                Ok(Chunk::Data(data)) => Ok(Some(data)),
                Ok(Chunk::End | Chunk::NeedMore) => Ok(None),
                Err(error) => Err(Failure::chunk(error)),
            },
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(piece) = self.buffered()? {
            return Ok(Some(piece));
        }
        if self.is_ended() {
            return Ok(None);
        }
        let mut begins = Some(self.patience);
        let piece = poll_fn(|context| {
            self.poll_sending(context);
            loop {
                match poll_fill(context, &mut self.connection) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(self.handle_close()),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        let failure = Failure::read(&error, During::ReadingBody);
                        return Poll::Ready(Err(failure));
                    }
                    Poll::Pending => {
                        let watched = &self.connection.watched;
                        if let Some(patience) = begins.take() {
                            watched.patience(patience);
                        }
                        return match watched.poll_expired(context) {
                            true => Poll::Ready(Err(Failure::timed_out(During::ReadingBody))),
                            false => Poll::Pending,
                        };
                    }
                }
                if let Some(piece) = self.buffered()? {
                    return Poll::Ready(Ok(Some(piece)));
                }
                if self.is_ended() {
                    return Poll::Ready(Ok(None));
                }
            }
        })
        .await;
        self.connection.watched.unlimited();
        piece
    }

    /// The rest of the request goes out meanwhile. That the peer does not want it any more is
    /// no error once it has begun to answer.
    fn poll_sending(&mut self, context: &mut Context<'_>) {
        let Some(request) = &mut self.request else { return };
        let sending = request.sender.poll_send(context, &mut self.connection.stream);
        if let Poll::Ready(result) = sending {
            self.keep_alive &= result.is_ok();
            self.request = None;
        }
    }

    fn handle_close(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.framing {
            Framing::UntilClose => {
                self.keep_alive = false;
                self.framing = Framing::Left(0);
                Ok(None)
            }
            Framing::Left(_) | Framing::Chunked(_) => {
                // A peer that breaks its answers off is not well.
                self.chosen.note_failure(sys::clock::coarse_ms());
                Err(Failure::closed_early(During::ReadingBody))
            }
        }
    }
}
