//! Reading from and writing to a client's connection, each with its patience.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use net::{Stream, Watched};

use crate::relay::FilePart;
use crate::thread::Thread;

/// Bytes that may wait unread in the buffer while a request is being answered.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes read at once where they only pass.
const BULK_BYTES: usize = 256 * 1024;
/// Bytes handed to sendfile(2) at once, so that one fast client does not hold the thread.
const FILE_STEP_BYTES: u64 = 1024 * 1024;

/// A client's connection.
#[derive(Debug)]
pub struct Wire {
    /// The socket.
    pub stream: Stream,
    /// Bytes read and not yet used. Invariant: without capacity while the connection is idle.
    pub buffer: BytesMut,
    /// Deadline and idleness.
    pub watched: Watched,
    /// The last write found no room.
    stalled: bool,
    /// [`Stream::moved`] at that time.
    moved: u64,
    thread: Rc<Thread>,
}

/// Why nothing more can be read or written.
#[derive(Debug)]
pub enum WireEnd {
    /// The client closed its side, or reset the connection.
    ClientGone,
    /// The client took too long.
    TimedOut,
}

impl From<io::Error> for WireEnd {
    fn from(_: io::Error) -> WireEnd {
        // Whatever the reason (reset, broken pipe): the client cannot be reached any more.
        WireEnd::ClientGone
    }
}

impl Wire {
    /// Takes over an accepted connection.
    pub fn new(stream: Stream, thread: Rc<Thread>) -> Wire {
        Wire {
            stream,
            buffer: BytesMut::new(),
            watched: thread.watch.join(),
            stalled: false,
            moved: 0,
            thread,
        }
    }

    /// Reads more bytes into the buffer. The deadline is the caller's.
    ///
    /// # Errors
    /// At the client's end of file, when it is gone, or when the deadline passes.
    pub async fn fill(&mut self) -> Result<(), WireEnd> {
        let mut woken = false;
        poll_fn(|context| {
            // At first most likely nothing has come, once woken most likely something has: only
            // then is a buffer taken before anybody asks.
            let filled = match std::mem::replace(&mut woken, true) {
                true => self.poll_read(context),
                false => self.poll_fill(context),
            };
            if filled.is_pending() {
                self.relax();
            }
            filled
        })
        .await
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireEnd>> {
        if self.buffer.is_empty()
            && self.buffer.capacity() < net::pool::BUFFER_BYTES / 2
            && self.stream.poll_readable(context)?.is_pending()
        {
            return self.wait(context);
        }
        self.poll_read(context)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WireEnd>> {
        if self.buffer.is_empty() && self.buffer.capacity() < net::pool::BUFFER_BYTES / 2 {
            self.buffer = self.thread.pool.take();
        }
        self.buffer.reserve(net::pool::BUFFER_BYTES / 2);
        match self.stream.poll_read(context, &mut self.buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(WireEnd::ClientGone)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => self.wait(context),
        }
    }

    /// Reads what has come past the buffer, which must be empty, into a room that the connections
    /// of this thread share: so many bytes at once for each of them would be a lot of memory.
    /// `take` gets them and says first how many of them it took; the buffer gets the rest. The
    /// deadline is the caller's.
    ///
    /// # Errors
    /// As [`Wire::fill`].
    pub async fn read_past_buffer<T>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> (usize, T),
    ) -> Result<(usize, T), WireEnd> {
        debug_assert!(self.buffer.is_empty(), "those bytes come first");
        self.relax();
        poll_fn(|context| {
            if self.stream.poll_readable(context)?.is_pending() {
                return self.wait(context);
            }
            let thread = self.thread.clone();
            let mut room = thread.bulk.borrow_mut();
            room.clear();
            room.reserve(BULK_BYTES);
            match self.stream.poll_read(context, &mut room) {
                Poll::Ready(Ok(0)) => Poll::Ready(Err(WireEnd::ClientGone)),
                Poll::Ready(Ok(_)) => {
                    let (taken, outcome) = take(&room);
                    let rest = room.get(taken..).unwrap_or(&[]);
                    self.buffer.extend_from_slice(rest);
                    Poll::Ready(Ok((taken, outcome)))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Pending => self.wait(context),
            }
        })
        .await
    }

    fn wait<T>(&self, context: &Context<'_>) -> Poll<Result<T, WireEnd>> {
        match self.watched.poll_expired(context) {
            true => Poll::Ready(Err(WireEnd::TimedOut)),
            false => Poll::Pending,
        }
    }

    /// Gives the read buffer back if nothing is in it.
    pub fn relax(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > 0 {
            self.thread.pool.put(std::mem::take(&mut self.buffer));
        }
    }

    /// Ready when the client has gone away; what it sends meanwhile is kept, up to a limit.
    ///
    /// The buffer stays although nothing is in it: the request's head still shares its memory, so
    /// the next connection that takes it from the pool would have to allocate.
    pub fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.watched.unlimited();
        while self.buffer.len() < AHEAD_BYTES_MAX {
            if ready!(self.poll_fill(context)).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Writes `head` and then `body`, in one go if the socket takes it.
    ///
    /// # Errors
    /// If the client is gone or takes nothing during `patience`.
    pub async fn write(
        &mut self,
        mut head: &[u8],
        mut body: &[u8],
        patience: Duration,
    ) -> Result<(), WireEnd> {
        poll_fn(|context| {
            while !(head.is_empty() && body.is_empty()) {
                let count = ready!(self.poll_write(context, [head, body, &[]], patience))?;
                let of_head = count.min(head.len());
                head = head.get(of_head..).unwrap_or(&[]);
                body = body.get(count - of_head..).unwrap_or(&[]);
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Writes some of the pieces; says how much.
    ///
    /// # Errors
    /// As [`Wire::write`].
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: [&[u8]; 3],
        patience: Duration,
    ) -> Poll<Result<usize, WireEnd>> {
        let written = match pieces {
            [one, [], []] | [[], one, []] => self.stream.poll_write(context, one),
            _ => self.stream.poll_write_vectored(context, &pieces.map(IoSlice::new)),
        };
        match written {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(WireEnd::ClientGone)),
            Poll::Ready(Ok(count)) => {
                self.stalled = false;
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => self.stall(context, patience),
        }
    }

    /// Sends some of a piece of a file; zero means that the file has become shorter.
    ///
    /// # Errors
    /// As [`Wire::write`].
    pub fn poll_send_file(
        &mut self,
        context: &mut Context<'_>,
        part: &FilePart,
        patience: Duration,
    ) -> Poll<Result<u64, WireEnd>> {
        let step = usize::try_from(part.bytes.min(FILE_STEP_BYTES)).unwrap_or(usize::MAX);
        match self.stream.poll_send_file(context, &part.file, part.offset, step) {
            Poll::Ready(Ok(count)) => {
                self.stalled = false;
                Poll::Ready(Ok(count as u64))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => self.stall(context, patience),
        }
    }

    /// The client takes nothing: its patience begins with the first time.
    fn stall<T>(&mut self, context: &Context<'_>, patience: Duration) -> Poll<Result<T, WireEnd>> {
        let moved = self.stream.moved();
        let moves = std::mem::replace(&mut self.moved, moved) != moved;
        if !std::mem::replace(&mut self.stalled, true) || moves {
            self.watched.patience(patience);
        }
        self.wait(context)
    }

    /// Closes so that the client gets to read what was written to it: nothing more is sent, and
    /// what still comes is read and thrown away within limits.
    pub async fn lingering_close(mut self, each: Duration, whole: Duration) {
        if poll_fn(|context| self.stream.poll_shutdown(context)).await.is_err() {
            return;
        }
        let started = std::time::Instant::now();
        // A stopping thread does not wait for this one.
        self.watched.idle(true);
        loop {
            self.buffer.clear();
            let left = whole.saturating_sub(started.elapsed());
            self.watched.patience(each.min(left));
            if left.is_zero() || self.fill().await.is_err() {
                return;
            }
        }
    }
}
