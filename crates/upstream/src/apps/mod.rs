//! The front's side of the private channel to our own workers (`proto::channel` has the picture).
//!
//! Rooms: `slots` (requests under way, by id), `app` (one app: its queue, its workers, the gate
//! before it), `mail` (this thread's mailboxes), `pace` (how quick an app is), `reply` (what workers say to the requests that
//! wait), `place` (where a request's body travels), `body` (the answer's body).
//!
//! Invariants: a request whose future is dropped before it was sent is never sent; at most
//! `gate` requests of this thread are in an app's queue or workers, the others wait here, where
//! a client that goes away takes its request with it; an id that is not under way any more is
//! ignored wherever it turns up.

mod app;
mod body;
mod mail;
mod pace;
mod place;
mod reply;
mod slots;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use message::BodyLength;
use plan::front::UpstreamCall;
use proto::channel::{REQUEST_HEAD_BYTES, RequestHeader};
use proto::mailbox::Mailboxes;
use sys::memory::SharedWords;
use tokio::time::Instant;

use self::app::App;
use self::mail::Mail;
use self::place::{Placed, Upload};
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

/// What a front thread needs to reach an app.
#[derive(Debug)]
pub struct AppDoor {
    /// Sending end of its request queue.
    pub queue: OwnedFd,
    /// Who works on what.
    pub scoreboard: Arc<SharedWords>,
    /// Request threads per worker.
    pub threads: u32,
    /// The mailboxes, and the eventfd by which workers wake this thread.
    pub mail: Option<(Arc<Mailboxes>, OwnedFd)>,
}

thread_local! {
    /// Apps of this thread that have mailboxes.
    static MAIL: RefCell<Vec<(Weak<App>, Rc<Inbox>)>> = const { RefCell::new(Vec::new()) };
}

/// To be called when this thread has nothing to do and is about to sleep: what has come into
/// mailboxes meanwhile is handed over, and workers hear that they have to wake us.
///
/// While a quick app has enough to do the thread naps for a moment, and looks then
/// (`Pace::nap`).
pub fn before_sleep() {
    let mut nap = None;
    each_mail(|app, mail, _| {
        app.announce();
        if !mail.has_news() {
            nap = nap.or_else(|| app.nap());
        }
    });
    if let Some(nap) = nap {
        std::thread::sleep(nap);
    }
    each_mail(|app, mail, inbox| {
        if mail.is_woken_before_sleep() {
            inbox.collect(app);
        }
    });
}

/// To be called when this thread has slept.
pub fn after_sleep() {
    each_mail(|app, mail, inbox| {
        mail.is_awake();
        inbox.collect(app);
    });
}

/// Hands over what has come into mailboxes, and wakes workers for what was put into others. To be
/// called now and then while this thread is so busy that it never sleeps.
pub fn look() {
    each_mail(|app, _, inbox| {
        app.announce();
        inbox.collect(app);
    });
}

fn each_mail(mut each: impl FnMut(&App, &Mail, &Inbox)) {
    MAIL.with_borrow(|known| {
        for (app, inbox) in known {
            if let Some(app) = app.upgrade()
                && let Some(mail) = &app.mail
            {
                each(&app, mail, inbox);
            }
        }
    });
}

struct Channels {
    /// Number of this front thread: where replies come.
    thread: u16,
    /// By their numbers, which are small and follow one another.
    apps: RefCell<Vec<Option<Rc<App>>>>,
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

    /// An app is there. Replaces an app of the same number. Mailboxes that cannot be used are
    /// done without.
    pub fn add_app(&self, app: u16, mut door: AppDoor) {
        let mail = door.mail.take();
        let mail = mail.and_then(|(boxes, bell)| Mail::new(boxes, self.0.thread, bell).ok());
        let channel = Rc::new(App::new(door, mail));
        MAIL.with_borrow_mut(|known| {
            known.retain(|(app, _)| app.strong_count() > 0);
            if channel.mail.is_some() {
                known.push((Rc::downgrade(&channel), self.0.inbox.clone()));
            }
        });
        let mut apps = self.0.apps.borrow_mut();
        let place = usize::from(app);
        if apps.len() <= place {
            apps.resize(place + 1, None);
        }
        if let Some(place) = apps.get_mut(place) {
            *place = Some(channel);
        }
    }

    /// A worker is about to accept: this thread's end of its reply socket. `birth` counts the
    /// workers of the app. Must be called inside a `LocalSet`.
    ///
    /// # Errors
    /// The app is not known, or the descriptor cannot be watched.
    pub fn add_worker(&self, app: u16, seat: u32, birth: u32, replies: OwnedFd) -> io::Result<()> {
        let app = self.app(app).ok_or(io::ErrorKind::NotFound)?;
        reply::watch_worker(&app, &self.0.inbox, (seat, birth), replies)
    }

    /// Whether an app of that number has been added.
    pub fn has_app(&self, app: u16) -> bool {
        self.app(app).is_some()
    }

    fn app(&self, app: u16) -> Option<Rc<App>> {
        self.0.apps.borrow().get(usize::from(app)).cloned().flatten()
    }

    /// Sends a request to any idle worker and returns when the head of the answer has come. `begun`
    /// is now, if anybody asks for the call's times.
    pub(crate) async fn call(
        &self,
        (app, written): (u16, Rc<str>),
        call: &UpstreamCall,
        outgoing: Outgoing,
        begun: Option<Instant>,
        trace: &mut CallTrace,
    ) -> Result<Box<Answer>, CallError> {
        let mut attempt = Attempt::new(written);
        let result = self.attempt(app, call, outgoing, &mut attempt).await;
        let elapsed = begun.map(|begun| begun.elapsed());
        let answered = match result {
            Ok((head, body)) => {
                attempt.status = head.status;
                attempt.header_time = elapsed;
                Ok(Box::new(Answer { head, body: AnswerBody::app(body, 0, begun) }))
            }
            Err(failure) => {
                attempt.status = failure.status();
                attempt.response_time = elapsed;
                Err(failure.into_error())
            }
        };
        trace.push(attempt);
        answered
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
        let app = self.app(app).ok_or_else(|| {
            Failure::new(FailureKind::Error, "the app is not running while connecting to upstream")
        })?;
        let placed = Placed::new(vars.len(), body)?;
        let pass = app.enter(call.connect_timeout).await?;
        let ticket = Ticket::open(&self.0.slots, pass);
        let header = RequestHeader {
            id: ticket.id(),
            front_thread: self.0.thread,
            body: placed.place,
            body_bytes: placed.bytes,
            vars_bytes: vars.len() as u32,
        };
        let (sent, upload) = match app.post(&header, &vars, &placed) {
            Some(mailbox) => {
                ticket.is_posted(mailbox);
                let bytes = REQUEST_HEAD_BYTES + vars.len() + placed.inline.len();
                (bytes as u64, Upload::none())
            }
            None => app.send(&header, &vars, placed, call.send_timeout).await?,
        };
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
