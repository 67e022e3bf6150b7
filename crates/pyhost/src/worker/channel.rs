//! The private channel: requests from our own front, answers back as frames
//! ([`proto::channel`] has the picture).

use std::fs::File;
use std::io::{self, IoSlice, Seek};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use bytes::Bytes;
use proto::channel::{
    self, BodyPlace, FLAG_END, REPLY_FRAME_BYTES_MAX, REPLY_HEAD_BYTES, REPLY_INLINE_BYTES_MAX,
    ReplyHead, ReplyHeader, ReplyKind, RequestHeader, STREAM_CHUNK_BYTES_MAX,
};
use proto::mailbox::Claim;
use pyo3::Python;
use sys::{fdpass, socket};

use super::Worker;
use super::harakiri::{Flight, may_begin, may_go_on};
use super::mail::Mail;
use super::output::is_later;
use super::wait::{For, wait};
use crate::exchange::{Input, LiveInput, Responder, ResponseParts, SendError};

/// How long the front may take nothing at all. It has its clients' own time limits, so this is
/// only against a front that is stuck.
const FRONT_TIMEOUT_MS: u64 = 300_000;
/// Most body bytes in one frame.
const FRAME_BODY_BYTES: usize = REPLY_FRAME_BYTES_MAX - REPLY_HEAD_BYTES;

/// A request out of the queue. Its variables stay in the buffer it was received into.
pub struct ChannelRequest {
    /// Its fixed head.
    pub header: RequestHeader,
    /// Where its variables are.
    pub vars: Range<usize>,
    /// Its body.
    pub input: Input,
    /// The mailbox that it was in, if it was in one.
    pub claim: Option<Claim>,
}

/// What a look into the queue found.
pub enum Received {
    /// A request for this thread.
    Request(ChannelRequest),
    /// Nothing, or another worker was faster.
    Nothing,
    /// The front is gone.
    End,
}

/// Takes one request out of the queue without waiting. `room` takes the datagram.
pub fn receive(queue: BorrowedFd<'_>, room: &mut [u8], timeout_ms: u64) -> Received {
    let mut fds = Vec::new();
    let count = match fdpass::recv_with_fds(queue, room, &mut fds, libc::MSG_DONTWAIT) {
        Ok(0) => return Received::End,
        Ok(count) => count,
        Err(error) if is_later(&error) => return Received::Nothing,
        Err(error) => {
            super::log::note(&format!("cannot take a request from the front: {error}"));
            return Received::Nothing;
        }
    };
    let datagram = room.get(..count).unwrap_or(&[]);
    let frame = match channel::decode_request(datagram) {
        Ok(frame) => frame,
        Err(error) => {
            super::log::note(&format!("the front sent no request: {error:?}"));
            return Received::Nothing;
        }
    };
    let input = match (frame.header.body, fds.pop()) {
        (BodyPlace::Inline, _) if frame.body.is_empty() => Input::Empty,
        (BodyPlace::Inline, _) => {
            Input::Memory(Bytes::copy_from_slice(datagram.get(frame.body).unwrap_or(&[])))
        }
        (BodyPlace::File, Some(fd)) => {
            let mut file = File::from(fd);
            // The front's writing has moved the position that we share with it. A failure shows
            // when the app reads.
            let _ = file.rewind();
            Input::File(file, frame.header.body_bytes)
        }
        (BodyPlace::Stream, Some(fd)) => {
            let left = Some(frame.header.body_bytes).filter(|bytes| *bytes != u64::MAX);
            Input::Live(Box::new(StreamInput { socket: fd, left, timeout_ms }))
        }
        (_, None) => {
            super::log::note("the front sent a request without its body's descriptor");
            return Received::Nothing;
        }
    };
    Received::Request(ChannelRequest { header: frame.header, vars: frame.vars, input, claim: None })
}

/// A body that the front passes on while it arrives.
struct StreamInput {
    socket: OwnedFd,
    /// Bytes missing, if the length is known.
    left: Option<u64>,
    timeout_ms: u64,
}

impl LiveInput for StreamInput {
    fn read(&mut self, py: Python<'_>, bytes_max: usize, out: &mut Vec<u8>) -> io::Result<usize> {
        let most = self
            .left
            .map_or(bytes_max, |left| bytes_max.min(usize::try_from(left).unwrap_or(usize::MAX)));
        if most == 0 {
            return Ok(0);
        }
        loop {
            match socket::receive_into(self.socket.as_fd(), out, most) {
                Ok(0) if self.left.is_some() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.left = self.left.map(|left| left - count as u64);
                    return Ok(count);
                }
                Err(error) if is_later(&error) => {}
                Err(error) => return Err(error),
            }
            if !wait(py, self.socket.as_fd(), For::Input, self.timeout_ms)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has been sent.
    Fresh,
    /// The head has been sent.
    Begun,
    /// The end, or the cut, has been sent.
    Done,
}

/// Where an answer goes, and who else has a say in it.
pub struct Line<'a> {
    /// The worker.
    pub worker: &'a Worker,
    /// Which of its threads serves the request.
    pub core: u32,
    /// The request.
    pub id: u64,
    /// The reply socket of the front's thread that waits.
    pub reply: BorrowedFd<'a>,
    /// The mailbox that the request was in: a short answer may go there.
    pub mailbox: Option<(&'a Mail, Claim)>,
    /// Its deadline, if there are any.
    pub flight: Option<&'a Mutex<Flight>>,
}

/// Sends one answer to the front.
pub struct ChannelResponder<'a> {
    line: Line<'a>,
    state: State,
    /// HEAD, or a status without a body.
    bodiless: bool,
    /// Body bytes missing, if the length is known.
    left: Option<u64>,
    /// Body bytes sent over the shared socket.
    inline_bytes: usize,
    stream: Option<OwnedFd>,
    pieces: u32,
    front_gone: bool,
    buffer: &'a mut Vec<u8>,
}

impl<'a> ChannelResponder<'a> {
    /// For the request of `line`. `buffer` is the thread's, to build heads in.
    pub fn new(line: Line<'a>, head_only: bool, buffer: &'a mut Vec<u8>) -> ChannelResponder<'a> {
        ChannelResponder {
            line,
            state: State::Fresh,
            bodiless: head_only,
            left: None,
            inline_bytes: 0,
            stream: None,
            pieces: 0,
            front_gone: false,
            buffer,
        }
    }

    /// Aborts what was not ended; says how many pieces there were and whether the front is gone.
    pub fn finish(mut self, py: Python<'_>) -> (u32, bool) {
        if self.state != State::Done {
            self.abort(py, 500, "the response was not completed");
        }
        if let Some((mail, claim)) = self.line.mailbox.take() {
            mail.done(&claim);
        }
        (self.pieces, self.front_gone)
    }

    fn frame(
        &mut self,
        py: Python<'_>,
        header: ReplyHeader,
        parts: (&[u8], &[u8]),
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), SendError> {
        if !may_go_on(self.line.flight) {
            return Err(SendError::Gone);
        }
        let head = header.encode();
        let iov = [IoSlice::new(&head), IoSlice::new(parts.0), IoSlice::new(parts.1)];
        let reply = self.line.reply;
        loop {
            match fdpass::send_with_fds(reply, &iov, fds, libc::MSG_DONTWAIT) {
                Ok(_) => return Ok(()),
                Err(error) if is_later(&error) => {}
                Err(_) => {
                    self.front_gone = true;
                    return Err(SendError::Gone);
                }
            }
            wait_writable(py, reply)?;
        }
    }

    /// Leaves a whole answer in the request's mailbox; false if there is none or it is too long.
    fn mail(&mut self, header: ReplyHeader, parts: (&[u8], &[u8])) -> bool {
        let Some((mail, claim)) = self.line.mailbox else { return false };
        let left = mail.reply(&claim, &[&header.encode(), parts.0, parts.1]);
        if left {
            self.line.mailbox = None;
        }
        left
    }

    /// Before a piece after the first one: whether anybody still waits for it.
    fn check_wanted(&mut self) -> Result<(), SendError> {
        if self.stream.is_some() {
            // Writing to it tells.
            return Ok(());
        }
        let Line { worker, core, id, reply, .. } = self.line;
        self.front_gone |= !worker.read_front(reply);
        if worker.mail.as_ref().is_some_and(Mail::owes_a_look) {
            // That was for the thread that looks for work, which sleeps.
            worker.wake.ring();
        }
        if !self.front_gone && !worker.is_cancelled(core, id) {
            return Ok(());
        }
        // Nothing more is sent, not even that the answer was cut.
        self.state = State::Done;
        Err(SendError::Gone)
    }

    fn header(&self, kind: ReplyKind, end: bool, head_bytes: usize) -> ReplyHeader {
        let flags = if end { FLAG_END } else { 0 };
        // A head of 4 GiB does not pass the frame's limit.
        ReplyHeader { id: self.line.id, kind, flags, head_bytes: head_bytes as u32 }
    }

    /// Body bytes, over the shared socket as long as they are few; `end`: the last ones.
    fn data(&mut self, py: Python<'_>, mut piece: &[u8], end: bool) -> Result<(), SendError> {
        if self.stream.is_none() && !piece.is_empty() && self.is_long_with(piece.len()) {
            self.open_stream(py)?;
        }
        if self.stream.is_some() {
            return self.stream_data(py, piece, end);
        }
        self.inline_bytes += piece.len();
        loop {
            let (now, later) = piece.split_at(piece.len().min(FRAME_BODY_BYTES));
            let last = end && later.is_empty();
            if last || !now.is_empty() {
                let header = self.header(ReplyKind::Data, last, 0);
                self.frame(py, header, (now, &[]), &[])?;
            }
            piece = later;
            if piece.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether so many more bytes, and what `Content-Length` says will come after them, are too
    /// many for the shared socket.
    fn is_long_with(&self, bytes: usize) -> bool {
        let inline = (self.inline_bytes + bytes) as u64;
        inline.saturating_add(self.left.unwrap_or(0)) > REPLY_INLINE_BYTES_MAX as u64
    }

    fn open_stream(&mut self, py: Python<'_>) -> Result<(), SendError> {
        let (near, far) = fdpass::stream_pair().map_err(|_| SendError::Gone)?;
        let header = self.header(ReplyKind::Stream, false, 0);
        self.frame(py, header, (&[], &[]), &[far.as_fd()])?;
        self.stream = Some(near);
        Ok(())
    }

    fn stream_data(&self, py: Python<'_>, piece: &[u8], end: bool) -> Result<(), SendError> {
        let Some(stream) = &self.stream else { return Err(SendError::Gone) };
        for part in piece.chunks(STREAM_CHUNK_BYTES_MAX) {
            let length = (part.len() as u32).to_le_bytes();
            send_all(py, stream.as_fd(), &length, part)?;
        }
        if end { send_all(py, stream.as_fd(), &0u32.to_le_bytes(), &[]) } else { Ok(()) }
    }

    /// Cuts a piece to what the length allows; whether it was too long.
    fn fit<'p>(&mut self, piece: &'p [u8]) -> (&'p [u8], bool) {
        if self.bodiless {
            return (&[], false);
        }
        let Some(left) = &mut self.left else { return (piece, false) };
        let fits = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= fits as u64;
        (piece.get(..fits).unwrap_or(piece), fits < piece.len())
    }

    fn is_short(&self) -> bool {
        !self.bodiless && self.left.is_some_and(|left| left > 0)
    }
}

impl Responder for ChannelResponder<'_> {
    fn start(
        &mut self,
        py: Python<'_>,
        parts: &ResponseParts<'_>,
        first: &[u8],
        end: bool,
    ) -> Result<(), SendError> {
        if !may_begin(self.line.flight) {
            return Err(SendError::Gone);
        }
        self.bodiless |= message::is_bodiless(parts.status);
        self.left = parts.content_length;
        self.pieces += 1;
        let mut head = std::mem::take(self.buffer);
        head.clear();
        ReplyHead::begin(&mut head, parts.status, parts.reason);
        for (name, value) in parts.fields.iter() {
            ReplyHead::field(&mut head, name, value);
        }
        if let Some(bytes) = parts.content_length.filter(|_| parts.add_content_length) {
            ReplyHead::field(&mut head, b"Content-Length", bytes.to_string().as_bytes());
        }
        if head.len() > FRAME_BODY_BYTES {
            *self.buffer = head;
            self.abort(py, 500, "the response's header fields are too long for a frame");
            return Err(SendError::TooMuch);
        }
        let (first, too_much) = self.fit(first);
        let room = FRAME_BODY_BYTES - head.len();
        let (now, later) = first.split_at(first.len().min(room));
        let whole = end && !too_much && !self.is_short();
        let header = self.header(ReplyKind::Head, whole && later.is_empty(), head.len());
        let is_mailed = header.flags & FLAG_END != 0 && self.mail(header, (&head, now));
        let sent = if is_mailed { Ok(()) } else { self.frame(py, header, (&head, now), &[]) };
        *self.buffer = head;
        sent?;
        self.state = State::Begun;
        self.inline_bytes = now.len();
        if !later.is_empty() {
            self.data(py, later, whole)?;
        }
        if whole {
            self.state = State::Done;
        }
        if too_much { Err(SendError::TooMuch) } else { Ok(()) }
    }

    fn body(&mut self, py: Python<'_>, piece: &[u8]) -> Result<(), SendError> {
        self.pieces += 1;
        self.check_wanted()?;
        let (piece, too_much) = self.fit(piece);
        if !piece.is_empty() {
            self.data(py, piece, false)?;
        }
        if too_much { Err(SendError::TooMuch) } else { Ok(()) }
    }

    fn file(
        &mut self,
        py: Python<'_>,
        file: BorrowedFd<'_>,
        offset: u64,
        bytes: u64,
    ) -> Result<(), SendError> {
        if self.bodiless || bytes == 0 {
            return Ok(());
        }
        let fits = self.left.map_or(bytes, |left| left.min(bytes));
        self.left = self.left.map(|left| left - fits);
        if self.stream.is_some() {
            return self.file_as_data(py, file, offset, fits);
        }
        let mut place = [0; 16];
        place[..8].copy_from_slice(&offset.to_le_bytes());
        place[8..].copy_from_slice(&fits.to_le_bytes());
        let header = self.header(ReplyKind::File, false, 0);
        self.frame(py, header, (&place, &[]), &[file])?;
        if fits < bytes { Err(SendError::TooMuch) } else { Ok(()) }
    }

    fn end(&mut self, py: Python<'_>) -> Result<(), SendError> {
        if self.state != State::Begun {
            return Ok(());
        }
        if self.is_short() {
            self.abort(py, 500, "the body is shorter than its Content-Length");
            return Ok(());
        }
        self.data(py, &[], true)?;
        self.state = State::Done;
        Ok(())
    }

    fn abort(&mut self, py: Python<'_>, status: u16, reason: &str) {
        if self.state == State::Done {
            return;
        }
        self.state = State::Done;
        if self.stream.take().is_some() {
            // The end of the stream without its last chunk is the cut.
            return;
        }
        let header = self.header(ReplyKind::Abort, false, 0);
        // A front that has gone needs no answer.
        let _ = self.frame(py, header, (&status.to_le_bytes(), reason.as_bytes()), &[]);
    }
}

impl ChannelResponder<'_> {
    /// A file behind a stream that has begun: read and sent piece by piece.
    fn file_as_data(
        &self,
        py: Python<'_>,
        file: BorrowedFd<'_>,
        mut offset: u64,
        mut bytes: u64,
    ) -> Result<(), SendError> {
        let file = File::from(file.try_clone_to_owned().map_err(|_| SendError::Gone)?);
        let mut room = vec![0; STREAM_CHUNK_BYTES_MAX];
        while bytes > 0 {
            let most = room.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            let part = room.get_mut(..most).unwrap_or(&mut []);
            let count = file.read_at(part, offset).map_err(|_| SendError::Gone)?;
            if count == 0 {
                return Err(SendError::Gone);
            }
            self.stream_data(py, part.get(..count).unwrap_or(&[]), false)?;
            offset += count as u64;
            bytes -= count as u64;
        }
        Ok(())
    }
}

/// Sends two pieces whole, waiting detached whenever the socket is full.
fn send_all(
    py: Python<'_>,
    to: BorrowedFd<'_>,
    first: &[u8],
    second: &[u8],
) -> Result<(), SendError> {
    let mut sent = 0;
    while sent < first.len() + second.len() {
        let rest = first.get(sent..).unwrap_or(&[]);
        let tail = second.get(sent.saturating_sub(first.len())..).unwrap_or(&[]);
        match socket::send_pieces(to, &[IoSlice::new(rest), IoSlice::new(tail)]) {
            Ok(count) => sent += count,
            Err(error) if is_later(&error) => wait_writable(py, to)?,
            Err(_) => return Err(SendError::Gone),
        }
    }
    Ok(())
}

fn wait_writable(py: Python<'_>, fd: BorrowedFd<'_>) -> Result<(), SendError> {
    match wait(py, fd, For::Room, FRONT_TIMEOUT_MS) {
        Ok(true) => Ok(()),
        Ok(false) => Err(SendError::TimedOut),
        Err(_) => Err(SendError::Gone),
    }
}
