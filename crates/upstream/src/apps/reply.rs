//! Frames from workers, handed to the requests that wait for them; and the death of workers.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use message::{BodyLength, HeaderField, Headers, KnownHeader, ResponseHead, Slice};
use proto::channel::{
    FLAG_END, REPLY_FRAME_BYTES_MAX, REPLY_HEAD_BYTES, ReplyHead, ReplyHeader, ReplyKind,
    SLOT_WORDS,
};
use proto::mailbox::claimant;
use sys::fdpass::{recv_many_with_fds, send_with_fds};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::app::{App, watched};
use super::slots::{Event, Slots, WorkerKey};

/// Frames received with one system call at most.
const FRAMES_MAX: usize = 8;

/// Fields that answers usually have: one allocation holds them.
const FIELDS: usize = 12;

/// Where frames of all workers of this thread are received: one worker's at a time.
pub(super) struct Inbox {
    slots: Rc<RefCell<Slots>>,
    /// Borrowed for one receive, never across a wait.
    room: RefCell<Room>,
    next_worker: Cell<u64>,
}

/// Room for frames of the greatest length and what comes along with them.
struct Room {
    frames: [Box<[u8]>; FRAMES_MAX],
    descriptors: [Vec<OwnedFd>; FRAMES_MAX],
}

/// A worker's reply socket.
pub(super) struct WorkerSocket {
    socket: UnixDatagram,
    key: WorkerKey,
    seat: u32,
    /// As mailboxes name it.
    claimant: u32,
    /// The seat has been given to another worker: the scoreboard is not about this one any more.
    superseded: Cell<bool>,
    buried: Cell<bool>,
}

/// What is left after a receive.
enum Left {
    Perhaps,
    Nothing,
    /// The worker is gone.
    End,
}

impl WorkerSocket {
    /// Tells the worker that nobody waits for that answer any more. A socket that is full has a
    /// worker behind it that is behind with much else; it finds out at its end.
    fn cancel(&self, id: u64) {
        self.say(id, ReplyKind::Cancel);
    }

    /// Tells the worker, which sleeps, that there is a request in a mailbox. A socket that is
    /// full wakes it as well.
    pub fn wake(&self) {
        self.say(0, ReplyKind::Wake);
    }

    fn say(&self, id: u64, kind: ReplyKind) {
        let frame = ReplyHeader { id, kind, flags: 0, head_bytes: 0 }.encode();
        let socket = self.socket.as_fd();
        let _ = send_with_fds(socket, &[IoSlice::new(&frame)], &[], libc::MSG_DONTWAIT);
    }

    /// Its place on the scoreboard and among the sleepers.
    pub fn seat(&self) -> u32 {
        self.seat
    }

    /// As mailboxes name it.
    pub fn claimant(&self) -> u32 {
        self.claimant
    }
}

impl App {
    /// A request ends before its answer: whoever works on it hears so. `worker` is who began to
    /// answer; before that the scoreboard knows who has taken it out of the queue, if anybody.
    pub fn cancel(&self, id: u64, worker: Option<WorkerKey>) {
        let workers = self.workers.borrow();
        let has_begun = |candidate: &&Rc<WorkerSocket>| match worker {
            Some(key) => candidate.key == key,
            None => self
                .words(candidate.seat)
                .any(|word| word.load(Ordering::Acquire).checked_sub(1) == Some(id)),
        };
        if let Some(found) = workers.values().find(has_begun) {
            found.cancel(id);
        }
    }

    /// Of each thread on that seat the word that names its request.
    fn words(&self, seat: u32) -> impl Iterator<Item = &AtomicU64> {
        let threads = self.threads as usize;
        let word = move |thread| (seat as usize * threads + thread) * SLOT_WORDS;
        let board = &self.scoreboard;
        (0..threads).map(word).filter(|word| *word < board.len()).map(|word| board.at(word))
    }
}

/// Reads a worker's replies until it is gone.
pub(super) fn watch_worker(
    app: &Rc<App>,
    inbox: &Rc<Inbox>,
    (seat, birth): (u32, u32),
    replies: OwnedFd,
) -> io::Result<()> {
    let key = WorkerKey(inbox.next_worker.get());
    inbox.next_worker.set(key.0 + 1);
    let worker = Rc::new(WorkerSocket {
        socket: watched(replies)?,
        key,
        seat,
        claimant: claimant(birth),
        superseded: Cell::new(false),
        buried: Cell::new(false),
    });
    let before = app.workers.borrow_mut().insert(seat, worker.clone());
    if let Some(before) = before {
        // Its end may not have been read yet; the scoreboard must be, before the new worker
        // writes there.
        inbox.drain(app, &before);
        before.superseded.set(true);
    }
    app.open_gate();
    app.wake_for_mail();
    let (app, inbox) = (app.clone(), inbox.clone());
    tokio::task::spawn_local(async move {
        while !worker.buried.get() {
            if worker.socket.readable().await.is_err() {
                break;
            }
            // Drained to the last frame: that is what "would block" tells the runtime.
            let drained = worker.socket.try_io(Interest::READABLE, || -> io::Result<()> {
                inbox.drain(&app, &worker);
                Err(io::ErrorKind::WouldBlock.into())
            });
            debug_assert!(drained.is_err());
        }
        inbox.bury(&app, &worker);
        let mut workers = app.workers.borrow_mut();
        if workers.get(&seat).is_some_and(|current| Rc::ptr_eq(current, &worker)) {
            workers.remove(&seat);
        }
    });
    Ok(())
}

impl Inbox {
    pub fn new(slots: Rc<RefCell<Slots>>) -> Inbox {
        let frame = || vec![0; REPLY_FRAME_BYTES_MAX].into_boxed_slice();
        let frames = std::array::from_fn(|_| frame());
        let room = Room { frames, descriptors: Default::default() };
        Inbox { slots, room: RefCell::new(room), next_worker: Cell::new(0) }
    }

    /// Receives all there is.
    fn drain(&self, app: &App, worker: &WorkerSocket) {
        loop {
            match self.receive(worker) {
                Left::Perhaps => {}
                Left::Nothing => return,
                Left::End => return self.bury(app, worker),
            }
        }
    }

    /// One system call; in the usual case, all frames and the knowledge that there is no other.
    fn receive(&self, worker: &WorkerSocket) -> Left {
        let mut room = self.room.borrow_mut();
        let Room { frames, descriptors } = &mut *room;
        match recv_many_with_fds(worker.socket.as_fd(), frames, descriptors) {
            Ok((count, lengths)) => {
                for ((frame, bytes), beside) in
                    frames.iter().zip(lengths).zip(&mut *descriptors).take(count)
                {
                    if !self.handle_frame(frame.get(..bytes), beside, worker) {
                        descriptors.iter_mut().for_each(Vec::clear);
                        return Left::End;
                    }
                }
                if count == FRAMES_MAX { Left::Perhaps } else { Left::Nothing }
            }
            Err(error) => {
                descriptors.iter_mut().for_each(Vec::clear);
                match error.kind() {
                    io::ErrorKind::WouldBlock => Left::Nothing,
                    io::ErrorKind::Interrupted => Left::Perhaps,
                    _ => Left::End,
                }
            }
        }
    }

    /// Hands a frame to its request. False at the end, which is an empty frame, and at nonsense:
    /// a worker that writes nonsense is not to be trusted with the rest.
    fn handle_frame(
        &self,
        frame: Option<&[u8]>,
        descriptors: &mut Vec<OwnedFd>,
        worker: &WorkerSocket,
    ) -> bool {
        let found = event(frame.unwrap_or(&[]), descriptors.drain(..));
        let Some((id, event)) = found else { return false };
        let goes_on = !event.is_last();
        let wanted = self.slots.borrow_mut().deliver(id, event, Some(worker.key));
        if goes_on && !wanted {
            // It was still in the queue when its client went.
            worker.cancel(id);
        }
        true
    }

    /// Hands over what has come into mailboxes.
    pub fn collect(&self, app: &App) {
        if let Some(mail) = &app.mail {
            mail.collect(|id, reply| self.deliver_reply(id, reply));
        }
    }

    fn deliver_reply(&self, id: u64, reply: Option<Vec<u8>>) {
        let event = reply.and_then(|reply| reply_event(id, reply)).unwrap_or_else(|| {
            let message = "the worker left an answer that is none".to_owned();
            Event::Abort { status: 502, message }
        });
        self.slots.borrow_mut().deliver(id, event, None);
    }

    /// The worker is gone: its requests, by the scoreboard and by what it began to answer, end.
    fn bury(&self, app: &App, worker: &WorkerSocket) {
        if worker.buried.replace(true) {
            return;
        }
        app.close_gate();
        if let Some(mail) = &app.mail {
            let died = |id| {
                let _ = self.slots.borrow_mut().deliver(id, Event::Died, None);
            };
            mail.bury(worker.claimant, |id, reply| self.deliver_reply(id, reply), died);
        }
        app.wake_for_mail();
        let mut slots = self.slots.borrow_mut();
        slots.bury(worker.key);
        if worker.superseded.get() {
            return;
        }
        for word in app.words(worker.seat) {
            let noted = word.load(Ordering::Acquire);
            let Some(id) = noted.checked_sub(1) else { continue };
            if slots.is_open(id) {
                slots.deliver(id, Event::Died, None);
                // Only if the next worker on that seat has not written there meanwhile.
                let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
                let _ = word.compare_exchange(noted, 0, success, failure);
            }
        }
    }
}

/// Takes a frame apart; `None` if it is not one.
fn event(frame: &[u8], mut descriptors: impl Iterator<Item = OwnedFd>) -> Option<(u64, Event)> {
    let header = ReplyHeader::decode(frame).ok()?;
    let payload = frame.get(REPLY_HEAD_BYTES..)?;
    let end = header.flags & FLAG_END != 0;
    let event = match header.kind {
        // One copy out of the shared room.
        ReplyKind::Head => {
            let bytes = Bytes::copy_from_slice(payload);
            head_event(bytes, header.head_bytes as usize, end)?
        }
        ReplyKind::Data => Event::Data { data: Bytes::copy_from_slice(payload), end },
        ReplyKind::File => {
            let offset = u64::from_le_bytes(*payload.first_chunk()?);
            let bytes = u64::from_le_bytes(*payload.get(8..)?.first_chunk()?);
            Event::File { file: File::from(descriptors.next()?), offset, bytes, end }
        }
        ReplyKind::Stream => Event::Stream(UnixStream::from(descriptors.next()?)),
        ReplyKind::Abort => {
            let status = u16::from_le_bytes(*payload.first_chunk()?);
            let status = if (400..=599).contains(&status) { status } else { 502 };
            let message = String::from_utf8_lossy(payload.get(2..)?).into_owned();
            Event::Abort { status, message }
        }
        // Only we say that.
        ReplyKind::Cancel | ReplyKind::Wake => return None,
    };
    Some((header.id, event))
}

/// The answer in a mailbox, which is whole: nothing else would have been left there.
fn reply_event(id: u64, reply: Vec<u8>) -> Option<Event> {
    let header = ReplyHeader::decode(&reply).ok()?;
    let is_whole = header.kind == ReplyKind::Head && header.flags & FLAG_END != 0;
    if header.id != id || !is_whole {
        return None;
    }
    let payload = Bytes::from(reply).slice(REPLY_HEAD_BYTES..);
    head_event(payload, header.head_bytes as usize, true)
}

/// A head and the first piece of the body behind it.
fn head_event(bytes: Bytes, head_bytes: usize, end: bool) -> Option<Event> {
    let head = bytes.get(..head_bytes)?;
    let mut fields = Vec::with_capacity(FIELDS);
    let each = |name: Range<usize>, value: Range<usize>| {
        let known = KnownHeader::from_name(head.get(name.clone()).unwrap_or(&[]));
        let (name, value) = (Slice::new(name.start, name.end), Slice::new(value.start, value.end));
        fields.push(HeaderField { name, value, known });
    };
    let (status, reason) = ReplyHead::decode(head, each).ok()?;
    let headers = Headers::new(head, fields);
    let length = headers.get_all(KnownHeader::ContentLength).last();
    let length = length.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let body = match length {
        _ if message::is_bodiless(status) => BodyLength::None,
        Some(length) => BodyLength::Length(length),
        None => BodyLength::UntilClose,
    };
    let reason = message::reason_bytes(status, head.get(reason)?);
    (100..=999).contains(&status).then(|| {
        let first = bytes.slice(head_bytes..);
        Event::Head { head: ResponseHead { status, reason, headers, body }, first, end }
    })
}
