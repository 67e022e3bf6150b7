//! An upstream's answer: its head, and its body piece by piece.

use std::fs::File;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use message::{BodyLength, ResponseHead};
use proto::http1::{Chunk, ChunkedDecoder};
use tokio::time::Instant;

use crate::apps::AppBody;
use crate::error::{During, Failure};
use crate::exchange::{Patience, poll_fill};
use crate::peers::Chosen;
use crate::pool::{Connection, Home};
use crate::send::Sender;
use crate::{CallError, CallTrace};

/// An upstream's answer; handed on in a box, because it changes hands several times.
#[derive(Debug)]
pub struct Answer {
    /// Status and end-to-end fields.
    pub head: ResponseHead,
    /// The body; to be read to its end, or dropped.
    pub body: AnswerBody,
    /// What was tried; [`AnswerBody::finish_trace`] completes it.
    pub trace: CallTrace,
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
    /// When the attempt began.
    begun: Instant,
    body_bytes: u64,
    head_bytes: u64,
    ended_after: Option<std::time::Duration>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Socket(Box<SocketBody>),
    App(AppBody),
}

#[derive(Debug)]
struct SocketBody {
    connection: Box<Connection>,
    /// The rest of the request, while the answer is read already.
    sender: Option<Sender>,
    framing: Framing,
    home: Option<Home>,
    /// Counts as a connection of its peer until the body is read.
    chosen: Chosen,
    patience: Patience,
}

#[derive(Debug)]
enum Framing {
    Left(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
}

impl AnswerBody {
    /// A body on a socket. `home` is where the connection goes afterwards, if it may be kept.
    pub(crate) fn socket(
        head: &crate::exchange::Head,
        connection: Box<Connection>,
        sender: Sender,
        home: Option<Home>,
        (chosen, patience, begun): (Chosen, Patience, Instant),
    ) -> AnswerBody {
        let framing = match head.head.body {
            BodyLength::None => Framing::Left(0),
            BodyLength::Length(bytes) => Framing::Left(bytes),
            BodyLength::Chunked => Framing::Chunked(ChunkedDecoder::new()),
            BodyLength::UntilClose => Framing::UntilClose,
        };
        let sender = (!sender.is_done()).then_some(sender);
        let body = SocketBody { connection, sender, framing, home, chosen, patience };
        let source = Source::Socket(Box::new(body));
        AnswerBody {
            source,
            begun,
            body_bytes: 0,
            head_bytes: head.bytes as u64,
            ended_after: None,
        }
        .ended_if_empty()
    }

    pub(crate) fn app(body: AppBody, head_bytes: u64, begun: Instant) -> AnswerBody {
        let source = Source::App(body);
        AnswerBody { source, begun, body_bytes: 0, head_bytes, ended_after: None }
    }

    /// An empty body: an answer that nobody sent.
    pub fn empty() -> AnswerBody {
        AnswerBody {
            source: Source::Empty,
            begun: Instant::now(),
            body_bytes: 0,
            head_bytes: 0,
            ended_after: Some(std::time::Duration::ZERO),
        }
    }

    fn ended_if_empty(mut self) -> AnswerBody {
        if let Source::Socket(body) = &self.source
            && matches!(body.framing, Framing::Left(0))
        {
            self.finish();
        }
        self
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
                Err(failure.into_error(CallTrace::default()))
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
        let Some(last) = trace.attempts.last_mut() else { return };
        last.response_time = self.ended_after.or_else(|| Some(self.begun.elapsed()));
        last.response_length = self.body_bytes;
        last.bytes_received = self.head_bytes + self.body_bytes;
    }

    /// The body is complete: the connection goes back to its pool or is closed.
    fn finish(&mut self) {
        self.ended_after.get_or_insert(self.begun.elapsed());
        if let Source::Socket(body) = std::mem::replace(&mut self.source, Source::Empty) {
            let SocketBody { connection, sender, home, .. } = *body;
            // A request that was not sent to its end leaves the connection in the middle of it.
            if let (Some(home), None) = (home, sender) {
                home.keep(connection, sys::clock::coarse_ms());
            }
        }
    }
}

impl SocketBody {
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
        let room = inbox.len().min(self.patience.piece_bytes);
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
        let mut begins = Some(self.patience.read);
        let piece = poll_fn(|context| {
            self.poll_sending(context);
            loop {
                match poll_fill(context, &mut self.connection) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(self.handle_close()),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        let failure = Failure::call("recv", &error, During::ReadingBody);
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
        if let Some(sender) = &mut self.sender {
            match sender.poll_send(context, &mut self.connection.stream) {
                Poll::Ready(Ok(())) => self.sender = None,
                Poll::Ready(Err(_)) => {
                    self.sender = None;
                    self.home = None;
                }
                Poll::Pending => {}
            }
        }
    }

    fn handle_close(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.framing {
            Framing::UntilClose => {
                self.home = None;
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
