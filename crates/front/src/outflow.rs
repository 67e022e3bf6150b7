//! Sending a body while its source still makes it.
//!
//! Source and client go at their own speeds: what the client has not taken yet waits in memory
//! up to a limit, then in a file up to another limit, then the source has to wait. Before the
//! file is used, the client gets a moment ([`grace`]): most are behind for no longer than that.

mod grace;

use std::collections::VecDeque;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use proto::http1::{CHUNK_END, LAST_CHUNK, write_chunk_prefix};
use tokio::time::Sleep;

use self::grace::Grace;
use crate::relay::{Body, BodyCut, FilePart, Part};
use crate::wire::{Wire, WireEnd};

/// How much of a body may wait.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Bytes in memory; zero passes every piece on before the next one is made.
    pub memory_bytes_max: u64,
    /// Bytes in a file, over the whole body.
    pub file_bytes_max: u64,
    /// Where that file is.
    pub temp_path: PathBuf,
    /// Nothing goes out before the source has made so many bytes, or its last one.
    pub held_bytes: u64,
}

/// How sending a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flown {
    /// Whole.
    Whole,
    /// The source broke off: the client must see a cut.
    SourceCut,
    /// The client is gone.
    ClientGone,
    /// The client took nothing for too long.
    TimedOut,
}

/// Sends bodies of one response.
#[derive(Debug)]
pub struct Outflow {
    queue: VecDeque<Part>,
    queued_memory: u64,
    spill: Option<Rc<File>>,
    spilled: u64,
    grace: Grace,
    /// Ends the source's waiting; made when it waits for the first time.
    grace_timer: Option<Pin<Box<Sleep>>>,
    current: Option<Sending>,
    chunked: bool,
    patience: Duration,
    waiting: Waiting,
    /// Bytes that wait for more, see [`Waiting::held_bytes`].
    held: BytesMut,
    /// Something may go out.
    open: bool,
    /// Bytes of the body that went out.
    pub body_bytes: u64,
    /// The same with framing.
    pub bytes: u64,
}

/// What happens next.
enum Turn {
    /// The source has made a piece, or has come to its end.
    Made(Result<Option<Part>, BodyCut>),
    /// The client has taken a piece, or will take no more.
    Taken(Result<(), Flown>),
}

/// The piece on its way.
#[derive(Debug)]
struct Sending {
    before: Bytes,
    part: Part,
    after: Bytes,
}

impl Outflow {
    /// Ready to send; `chunked` frames the pieces.
    pub fn new(chunked: bool, patience: Duration, waiting: Waiting) -> Outflow {
        let open = waiting.held_bytes == 0;
        Outflow {
            open,
            queue: VecDeque::new(),
            queued_memory: 0,
            spill: None,
            spilled: 0,
            grace: Grace::new(),
            grace_timer: None,
            current: None,
            chunked,
            patience,
            waiting,
            held: BytesMut::new(),
            body_bytes: 0,
            bytes: 0,
        }
    }

    /// Sends `first` (the head) and the whole body. `length` is what the head promised.
    pub async fn send(
        &mut self,
        wire: &mut Wire,
        first: Bytes,
        body: &mut Body,
        length: Option<u64>,
    ) -> Flown {
        self.current =
            Some(Sending { before: first, part: Part::Data(Bytes::new()), after: Bytes::new() });
        let mut left = length;
        let mut ended = false;
        loop {
            if ended && self.queue.is_empty() && self.current.is_none() {
                return if left.is_none_or(|left| left == 0) {
                    Flown::Whole
                } else {
                    Flown::SourceCut
                };
            }
            match self.turn(wire, body, ended).await {
                Turn::Taken(Ok(())) => {}
                Turn::Taken(Err(end)) => return end,
                Turn::Made(Ok(Some(part))) => {
                    let part = match limit(part, &mut left) {
                        Some(part) => part,
                        None => return Flown::SourceCut,
                    };
                    if self.hold(part).is_err() {
                        return Flown::SourceCut;
                    }
                }
                Turn::Made(Ok(None)) => {
                    ended = true;
                    if self.release().is_err() {
                        return Flown::SourceCut;
                    }
                    if self.chunked {
                        self.queue.push_back(Part::Data(Bytes::new()));
                    }
                }
                Turn::Made(Err(BodyCut)) => {
                    // What came before the cut is still the client's.
                    return match self.release() {
                        Ok(()) => self.drain(wire).await,
                        Err(_) => Flown::SourceCut,
                    };
                }
            }
        }
    }

    async fn drain(&mut self, wire: &mut Wire) -> Flown {
        while self.current.is_some() || !self.queue.is_empty() {
            if let Err(end) = poll_fn(|context| self.poll_send(context, wire)).await {
                return end;
            }
        }
        Flown::SourceCut
    }

    /// Waits for the source or the client, whichever is first.
    async fn turn(&mut self, wire: &mut Wire, body: &mut Body, ended: bool) -> Turn {
        let idle = !self.open || (self.current.is_none() && self.queue.is_empty());
        let may_pull = !ended && (idle || self.has_room());
        // Not to the file what the client would take now.
        let is_pressed = !idle && may_pull && self.is_pressed();
        let mut next = pin!(body.next());
        poll_fn(|context| {
            if is_pressed && let Poll::Ready(taken) = self.poll_send(context, wire) {
                return Poll::Ready(Turn::Taken(taken));
            }
            if may_pull
                && (!is_pressed || self.poll_grace_over(context).is_ready())
                && let Poll::Ready(made) = next.as_mut().poll(context)
            {
                return Poll::Ready(Turn::Made(made));
            }
            if idle {
                let gone = wire.poll_gone(context);
                return gone.map(|()| Turn::Taken(Err(Flown::ClientGone)));
            }
            if is_pressed { Poll::Pending } else { self.poll_send(context, wire).map(Turn::Taken) }
        })
        .await
    }

    /// Ready when the source need not wait for the client any longer.
    fn poll_grace_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(end) = self.grace.handle_full(Instant::now()) {
            let end = end.into();
            let timer = self.grace_timer.get_or_insert_with(|| {
                // Where the first wait ends, the next ones are told below.
                Box::pin(tokio::time::sleep_until(end))
            });
            if timer.deadline() != end {
                timer.as_mut().reset(end);
            }
            ready!(timer.as_mut().poll(context));
        }
        Poll::Ready(())
    }

    /// Whether the next piece may go to the file.
    fn is_pressed(&self) -> bool {
        self.waiting.file_bytes_max > 0 && self.is_half_full()
    }

    fn is_half_full(&self) -> bool {
        self.queued_memory.saturating_mul(2) >= self.waiting.memory_bytes_max
    }

    fn has_room(&self) -> bool {
        self.queued_memory < self.waiting.memory_bytes_max
            || (self.waiting.memory_bytes_max > 0 && self.spilled < self.waiting.file_bytes_max)
    }

    /// Takes a piece, which may have to wait until there is more.
    fn hold(&mut self, part: Part) -> std::io::Result<()> {
        let enough = self.waiting.held_bytes;
        match &part {
            Part::Data(bytes) if self.held.len() as u64 + part.len() < enough => {
                self.held.extend_from_slice(bytes);
                Ok(())
            }
            Part::Data(bytes) if !self.held.is_empty() => {
                self.held.extend_from_slice(bytes);
                self.release()
            }
            _ => {
                self.release()?;
                self.take(part)
            }
        }
    }

    /// Lets go what waits for more.
    fn release(&mut self) -> std::io::Result<()> {
        self.open = true;
        let held = self.held.split().freeze();
        self.take(Part::Data(held))
    }

    fn take(&mut self, part: Part) -> std::io::Result<()> {
        let Part::Data(bytes) = part else {
            if part.len() > 0 {
                self.queue.push_back(part);
            }
            return Ok(());
        };
        if bytes.is_empty() {
            return Ok(());
        }
        let length = bytes.len() as u64;
        let fits = self.queued_memory + length <= self.waiting.memory_bytes_max.max(1);
        // A piece that came while less than half of the memory was taken stays there even if it
        // is too long: its source has not been made to wait for the client yet.
        let stays = fits || !self.is_half_full() || self.queue.is_empty();
        if stays || self.waiting.file_bytes_max == 0 {
            self.queued_memory += length;
            self.queue.push_back(Part::Data(bytes));
            return Ok(());
        }
        let file = match &self.spill {
            Some(file) => file.clone(),
            None => {
                let file = Rc::new(net::temp_file::unnamed(&self.waiting.temp_path)?);
                self.spill.insert(file).clone()
            }
        };
        file.write_all_at(&bytes, self.spilled)?;
        let offset = self.spilled;
        self.spilled += length;
        if let Some(Part::File(last)) = self.queue.back_mut()
            && Rc::ptr_eq(&last.file, &file)
            && last.offset + last.bytes == offset
        {
            last.bytes += length;
            return Ok(());
        }
        self.queue.push_back(Part::File(FilePart { file, offset, bytes: length }));
        Ok(())
    }

    /// Sends one piece; ready when it is out.
    fn poll_send(&mut self, context: &mut Context<'_>, wire: &mut Wire) -> Poll<Result<(), Flown>> {
        loop {
            let Some(sending) = &mut self.current else {
                let Some(part) = self.queue.pop_front() else { return Poll::Ready(Ok(())) };
                if let Part::Data(bytes) = &part {
                    self.queued_memory = self.queued_memory.saturating_sub(bytes.len() as u64);
                }
                self.current = Some(self.frame(part));
                continue;
            };
            if !sending.is_done() {
                let (body, all) = ready!(sending.poll(context, wire, self.patience))?;
                self.body_bytes += body;
                self.bytes += all;
                self.grace.handle_taken(all, Instant::now);
                continue;
            }
            self.current = None;
            return Poll::Ready(Ok(()));
        }
    }

    fn frame(&self, part: Part) -> Sending {
        if !self.chunked {
            return Sending { before: Bytes::new(), part, after: Bytes::new() };
        }
        if part.len() == 0 {
            let (before, after) = (Bytes::from_static(LAST_CHUNK), Bytes::new());
            return Sending { before, part, after };
        }
        let mut prefix = Vec::with_capacity(20);
        write_chunk_prefix(&mut prefix, usize::try_from(part.len()).unwrap_or(usize::MAX));
        Sending { before: Bytes::from(prefix), part, after: Bytes::from_static(CHUNK_END) }
    }
}

impl Sending {
    fn is_done(&self) -> bool {
        self.before.is_empty() && self.part.len() == 0 && self.after.is_empty()
    }

    /// Sends some; says how many bytes of the body and how many in all.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        wire: &mut Wire,
        patience: Duration,
    ) -> Poll<Result<(u64, u64), Flown>> {
        if let Part::File(part) = &mut self.part
            && part.bytes > 0
            && self.before.is_empty()
        {
            let sent = ready!(wire.poll_send_file(context, part, patience)).map_err(gone)?;
            if sent == 0 {
                return Poll::Ready(Err(Flown::SourceCut));
            }
            part.offset += sent;
            part.bytes -= sent;
            return Poll::Ready(Ok((sent, sent)));
        }
        let data: &[u8] = match &self.part {
            Part::Data(bytes) => bytes,
            Part::File(_) => &[],
        };
        let after: &[u8] = match &self.part {
            Part::File(part) if part.bytes > 0 => &[],
            _ => &self.after,
        };
        let pieces = [&*self.before, data, after];
        let count = ready!(wire.poll_write(context, pieces, patience)).map_err(gone)?;
        let of_before = count.min(self.before.len());
        let of_data = (count - of_before).min(data.len());
        self.before.advance(of_before);
        if let Part::Data(bytes) = &mut self.part {
            bytes.advance(of_data);
        }
        self.after.advance(count - of_before - of_data);
        Poll::Ready(Ok((of_data as u64, count as u64)))
    }
}

fn gone(end: WireEnd) -> Flown {
    match end {
        WireEnd::ClientGone => Flown::ClientGone,
        WireEnd::TimedOut => Flown::TimedOut,
    }
}

/// A source must not send more than its head promised; `None` if it does.
fn limit(part: Part, left: &mut Option<u64>) -> Option<Part> {
    if let Some(left) = left {
        *left = left.checked_sub(part.len())?;
    }
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_to_the_file_before_the_source_had_to_wait_for_the_client() {
        let waiting = Waiting {
            memory_bytes_max: 64 << 10,
            file_bytes_max: 1 << 30,
            temp_path: std::env::temp_dir().join(format!("front-outflow-{}", std::process::id())),
            held_bytes: 0,
        };
        let mut outflow = Outflow::new(false, Duration::from_secs(1), waiting);
        let piece = |bytes| Part::Data(Bytes::from(vec![b'x'; bytes]));
        // Less than half of the memory, so the next piece is asked for at once, and is too long.
        for bytes in [8184, 64 << 10] {
            assert!(!outflow.is_pressed());
            outflow.take(piece(bytes)).unwrap();
            assert_eq!(outflow.spilled, 0, "{bytes}");
        }
        assert!(outflow.is_pressed());
        outflow.take(piece(1)).unwrap();
        assert_eq!(outflow.spilled, 1);
        std::fs::remove_dir(&outflow.waiting.temp_path).unwrap();
    }
}
