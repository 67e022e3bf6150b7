//! The front's side of the private channel to our own workers (`proto::channel` has the picture).
//!
//! Rooms: `slots` (requests under way, by id), `app` (one app: its queue, its workers, the gate
//! before it), `reply` (frames from workers to the requests that wait), `place` (where a
//! request's body travels), `body` (the answer's body).
//!
//! Invariants: a request whose future is dropped before it was sent is never sent; at most
//! `gate` requests of this thread are in an app's queue or workers, the others wait here, where
//! a client that goes away takes its request with it; an id that is not under way any more is
//! ignored wherever it turns up.

mod app;
mod body;
mod place;
mod reply;
mod slots;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use message::BodyLength;
use plan::front::UpstreamCall;
use sys::memory::SharedWords;
use tokio::time::Instant;

use self::app::App;
use self::place::Placed;
use self::reply::Inbox;
use self::slots::{Event, Slots, Ticket};
use crate::CallError;
use crate::answer::{Answer, AnswerBody};
use crate::error::{During, Failure, FailureKind};
use crate::outgoing::{Outgoing, Say};
use crate::trace::{Attempt, CallTrace};

pub(crate) use self::body::AppBody;

/// One front thread's channels to the apps of the same master. Cloning shares them.
#[derive(Clone)]
pub struct AppChannels(Rc<Channels>);

struct Channels {
    /// Number of this front thread: where replies come.
    thread: u16,
    apps: RefCell<HashMap<u16, Rc<App>>>,
    slots: Rc<RefCell<Slots>>,
    inbox: Rc<Inbox>,
}

impl fmt::Debug for AppChannels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AppChannels").field("thread", &self.0.thread).finish_non_exhaustive()
    }
}

impl AppChannels {
    /// For the front thread of that number, from 0; no app yet.
    pub fn new(thread: u16) -> AppChannels {
        let slots = Rc::new(RefCell::new(Slots::new(thread)));
        let inbox = Rc::new(Inbox::new(slots.clone()));
        AppChannels(Rc::new(Channels { thread, apps: RefCell::default(), slots, inbox }))
    }

    /// An app is there: the sending end of its queue (a duplicate for this thread), its
    /// scoreboard, and the request threads of each worker. Replaces an app of the same number.
    pub fn add_app(&self, app: u16, queue: OwnedFd, scoreboard: Arc<SharedWords>, threads: u32) {
        let channel = App::new(queue, scoreboard, threads);
        self.0.apps.borrow_mut().insert(app, Rc::new(channel));
    }

    /// A worker is about to accept: this thread's end of its reply socket. Must be called inside
    /// a `LocalSet`.
    ///
    /// # Errors
    /// The app is not known, or the descriptor cannot be watched.
    pub fn add_worker(&self, app: u16, seat: u32, replies: OwnedFd) -> io::Result<()> {
        let app = self.0.apps.borrow().get(&app).cloned();
        let app = app.ok_or(io::ErrorKind::NotFound)?;
        reply::watch_worker(&app, &self.0.inbox, seat, replies)
    }

    /// Whether an app of that number has been added.
    pub fn has_app(&self, app: u16) -> bool {
        self.0.apps.borrow().contains_key(&app)
    }

    /// Sends a request to any idle worker and returns when the head of the answer has come.
    pub(crate) async fn call(
        &self,
        app: u16,
        written: &Arc<str>,
        call: &UpstreamCall,
        outgoing: Outgoing,
    ) -> Result<Answer, CallError> {
        let begun = Instant::now();
        let mut attempt = Attempt::new(written.clone());
        let result = self.attempt(app, call, outgoing, &mut attempt).await;
        let elapsed = Some(begun.elapsed());
        match result {
            Ok((head, body)) => {
                attempt.status = head.status;
                attempt.header_time = elapsed;
                let trace = CallTrace { attempts: vec![attempt] };
                let body = AnswerBody::app(body, 0, begun);
                Ok(Answer { head, body, trace })
            }
            Err(failure) => {
                attempt.status = failure.status();
                attempt.response_time = elapsed;
                attempt.error = Some(failure.message.clone());
                Err(failure.into_error(CallTrace { attempts: vec![attempt] }))
            }
        }
    }

    async fn attempt(
        &self,
        app: u16,
        call: &UpstreamCall,
        outgoing: Outgoing,
        attempt: &mut Attempt,
    ) -> Result<(message::ResponseHead, AppBody), Failure> {
        let Outgoing { say, body, method_is_head, .. } = outgoing;
        let Say::Uwsgi { vars, .. } = say else {
            let text = "an app of this server is called by uwsgi only";
            return Err(Failure::new(FailureKind::Error, text));
        };
        let app = self.0.apps.borrow().get(&app).cloned();
        let app = app.ok_or_else(|| {
            Failure::new(FailureKind::Error, "the app is not running while connecting to upstream")
        })?;
        let placed = Placed::new(vars.len(), body)?;
        let pass = app.enter(call.connect_timeout).await?;
        let ticket = Ticket::open(&self.0.slots, pass);
        let (sent, upload) =
            app.send(ticket.id(), self.0.thread, &vars, placed, call.send_timeout).await?;
        attempt.connect_time = Some(std::time::Duration::ZERO);
        attempt.bytes_sent = sent;
        let mut deadline = Instant::now() + call.read_timeout;
        let event = loop {
            match ticket.next(deadline).await {
                Some(event) => break event,
                None if upload.is_flowing() => deadline = Instant::now() + call.read_timeout,
                None => return Err(Failure::timed_out(During::ReadingHead)),
            }
        };
        match event {
            Event::Head { mut head, first, end } => {
                if method_is_head {
                    head.body = BodyLength::None;
                }
                let body = AppBody::new(ticket, call.read_timeout, &head);
                Ok((head, body.beginning_with(first, end)))
            }
            Event::Abort { status, message } => {
                Err(Failure::new(FailureKind::Aborted(status), message))
            }
            Event::Died => Err(Failure::closed_early(During::ReadingHead)),
            Event::Data { .. } | Event::File { .. } | Event::Stream(_) => {
                Err(Failure::new(FailureKind::InvalidHead, "worker sent a body without a head"))
            }
        }
    }
}
