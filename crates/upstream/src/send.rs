//! A request on its way out: head, then body, whatever the body is made of.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use net::Stream;
use proto::http1::{CHUNK_END, LAST_CHUNK, write_chunk_prefix};
use tokio::sync::mpsc;

use crate::OutgoingBody;

/// Bytes of a file sent in one go.
const FILE_PIECE_BYTES: u64 = 256 * 1024;

/// Sends one request; can start anew for another attempt unless the body is gone.
#[derive(Debug)]
pub(crate) struct Sender {
    head: Vec<u8>,
    body: Body,
    /// Bytes of the head sent in this attempt.
    head_sent: usize,
    /// Invariant: empty unless the body is a stream.
    stream_left: Bytes,
    /// Bytes of the body sent in this attempt (memory and file).
    body_sent: u64,
    pub bytes_sent: u64,
    /// The last poll ended because the client's body has not arrived: the peer is not to blame.
    pub waits_for_client: bool,
}

#[derive(Debug)]
enum Body {
    None,
    Memory(Bytes),
    File(File, u64),
    Stream {
        pieces: mpsc::Receiver<io::Result<Bytes>>,
        left: Option<u64>,
        coded: bool,
        begun: bool,
    },
    /// A stream that has ended.
    Spent,
}

/// Why sending stopped.
#[derive(Debug)]
pub(crate) enum SendFailure {
    /// The peer's side.
    Socket(&'static str, io::Error),
    /// The client's body broke off.
    Body(String),
}

impl Sender {
    /// `coded`: a stream of unknown length goes in chunks (HTTP/1).
    pub fn new(head: Vec<u8>, body: OutgoingBody, coded: bool) -> Sender {
        let body = match body {
            OutgoingBody::None => Body::None,
            OutgoingBody::Memory(bytes) => Body::Memory(bytes),
            OutgoingBody::File(file, bytes) => Body::File(file, bytes),
            OutgoingBody::Stream(pieces, left) => {
                Body::Stream { pieces, left, coded: coded && left.is_none(), begun: false }
            }
        };
        Sender {
            head,
            head_sent: 0,
            body,
            stream_left: Bytes::new(),
            body_sent: 0,
            bytes_sent: 0,
            waits_for_client: false,
        }
    }

    /// Ends what has been sent; what is left is the room in which the head stood.
    pub fn end(&mut self) -> Vec<u8> {
        self.body = Body::None;
        self.head_sent = 0;
        let mut head = std::mem::take(&mut self.head);
        head.clear();
        head
    }

    /// Whether another attempt can send all of it again.
    pub fn can_restart(&self) -> bool {
        !matches!(self.body, Body::Stream { begun: true, .. } | Body::Spent)
    }

    /// Back to the first byte.
    pub fn restart(&mut self) {
        debug_assert!(self.can_restart());
        self.head_sent = 0;
        self.body_sent = 0;
        self.bytes_sent = 0;
    }

    /// Whether everything has been sent.
    pub fn is_done(&self) -> bool {
        self.head_left().is_empty()
            && self.stream_left.is_empty()
            && match &self.body {
                Body::None | Body::Spent => true,
                Body::Memory(bytes) => self.body_sent >= bytes.len() as u64,
                Body::File(_, bytes) => self.body_sent >= *bytes,
                Body::Stream { .. } => false,
            }
    }

    fn head_left(&self) -> &[u8] {
        self.head.get(self.head_sent..).unwrap_or(&[])
    }

    /// Sends on; ready when all is sent or nothing more can be. Returns pending only when the
    /// socket is full or the client's body has not arrived.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<(), SendFailure>> {
        while !self.is_done() {
            ready!(self.poll_step(context, stream))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what a fresh connection takes at once. An error is left to be found by whoever
    /// sends or reads next.
    pub fn send_at_once(&mut self, socket: BorrowedFd<'_>) {
        let body: &[u8] = match &self.body {
            Body::Memory(bytes) => bytes,
            _ => &[],
        };
        let pieces = [IoSlice::new(self.head_left()), IoSlice::new(body)];
        if let Ok(sent) = sys::socket::send_pieces(socket, &pieces) {
            self.note_sent(sent);
        }
    }

    fn poll_step(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<(), SendFailure>> {
        if self.head_left().is_empty() && self.stream_left.is_empty() {
            if let Body::File(file, bytes) = &self.body {
                let room = (bytes - self.body_sent).min(FILE_PIECE_BYTES) as usize;
                let sent = ready!(stream.poll_send_file(context, file, self.body_sent, room))
                    .map_err(|error| SendFailure::Socket("sendfile", error))?;
                if sent == 0 {
                    let text = "request body file is shorter than it was".to_owned();
                    return Poll::Ready(Err(SendFailure::Body(text)));
                }
                self.body_sent += sent as u64;
                self.bytes_sent += sent as u64;
                return Poll::Ready(Ok(()));
            }
            if matches!(self.body, Body::Stream { .. }) {
                return self.poll_next_piece(context);
            }
        }
        let body: &[u8] = match &self.body {
            Body::Memory(bytes) => bytes.get(self.body_sent as usize..).unwrap_or(&[]),
            _ => &self.stream_left,
        };
        let head = self.head_left();
        let sent = if body.is_empty() {
            ready!(stream.poll_write(context, head))
        } else {
            let pieces = [IoSlice::new(head), IoSlice::new(body)];
            ready!(stream.poll_write_vectored(context, &pieces))
        };
        let sent = sent.map_err(|error| SendFailure::Socket("writev", error))?;
        if sent == 0 {
            let error = io::Error::from(io::ErrorKind::WriteZero);
            return Poll::Ready(Err(SendFailure::Socket("writev", error)));
        }
        self.note_sent(sent);
        Poll::Ready(Ok(()))
    }

    fn note_sent(&mut self, sent: usize) {
        self.bytes_sent += sent as u64;
        let of_head = sent.min(self.head_left().len());
        self.head_sent += of_head;
        let of_body = sent - of_head;
        if matches!(self.body, Body::Memory(_)) {
            self.body_sent += of_body as u64;
        } else {
            self.stream_left.advance(of_body.min(self.stream_left.len()));
        }
    }

    fn poll_next_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SendFailure>> {
        let Body::Stream { pieces, left, coded, begun } = &mut self.body else {
            return Poll::Ready(Ok(()));
        };
        *begun = true;
        let piece = pieces.poll_recv(context);
        self.waits_for_client = piece.is_pending();
        let piece = match ready!(piece) {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => {
                return Poll::Ready(Err(SendFailure::Body(error.to_string())));
            }
            None if left.is_some_and(|left| left != 0) => {
                let text = "client prematurely closed connection".to_owned();
                return Poll::Ready(Err(SendFailure::Body(text)));
            }
            None => {
                if *coded {
                    self.stream_left = Bytes::from_static(LAST_CHUNK);
                }
                self.body = Body::Spent;
                return Poll::Ready(Ok(()));
            }
        };
        if let Some(left) = left {
            match left.checked_sub(piece.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    let text = "request body is longer than it was said to be".to_owned();
                    return Poll::Ready(Err(SendFailure::Body(text)));
                }
            }
        }
        self.stream_left = if *coded && !piece.is_empty() { chunk(&piece) } else { piece };
        if *left == Some(0) {
            self.body = Body::Spent;
        }
        Poll::Ready(Ok(()))
    }
}

fn chunk(piece: &[u8]) -> Bytes {
    let mut prefix = Vec::with_capacity(20);
    write_chunk_prefix(&mut prefix, piece.len());
    let mut out = BytesMut::with_capacity(prefix.len() + piece.len() + CHUNK_END.len());
    out.extend_from_slice(&prefix);
    out.extend_from_slice(piece);
    out.extend_from_slice(CHUNK_END);
    out.freeze()
}
