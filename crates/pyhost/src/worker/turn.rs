//! A request thread's loop: the next thing to do, the app, the next thing to do.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::prelude::*;
use sys::clock::{monotonic_ms, monotonic_ns};
use sys::epoll::{Event, Events};

use super::burst::Burst;
use super::cancel::Heard;
use super::channel::{self, ChannelRequest, ChannelResponder, Line, Received};
use super::connection::{Connection, Turn};
use super::harakiri::{self, Client, lock};
use super::lead::{Flying, Follow, Lead};
use super::log;
use super::read::{ReadyRequest, Scratch};
use super::respond::StreamResponder;
use super::statics;
use super::table::{CONNECTION_BIT, NEVER};
use super::{CONTROL, FIRST_LISTENER, FIRST_REPLY, QUEUE, WAKE, Worker};
use crate::exchange::{Request, Served};
use crate::wsgi::{self, Own, uwsgi_module};
use plan::app::Protocol;
use proto::channel::REQUEST_BYTES_MAX;

/// Events taken in one batch.
const BATCH_EVENTS: usize = 64;
/// Requests served one after the other from one connection before others get their turn.
const PIPELINED_MAX: u32 = 32;
/// Requests taken from the front, or connections from one listener, one after the other before
/// other events get their turn.
const EAGER_MAX: u32 = 16;
/// The same for requests in mailboxes, and for so many milliseconds (the request that goes on
/// for longer excepted).
const MAIL_MAX: u32 = 16;
const MAIL_MS: u64 = 1;
/// How late the look at the deadlines may be while there is always something else to do.
const LATE_MS: u64 = 1000;

/// What a thread is to do next.
enum Work {
    /// A request on a connection of our own.
    Connection(Box<Connection>, ReadyRequest),
    /// A request from the front; its variables are in the thread's room.
    Channel(ChannelRequest),
    /// A signal came while waiting: Python handlers may want to run.
    Signal,
    /// The worker is done.
    End,
}

/// What the leading thread needs to find work.
pub struct Finding {
    events: Events,
    /// How many more looks into the queue are made without asking epoll: where one request came
    /// from there are often more.
    eager: u32,
    /// How many more requests are taken from mailboxes before epoll is asked.
    mail_left: u32,
    /// When epoll was asked last.
    asked_ms: u64,
    /// The events of this batch were there without waiting for them: there is much to do.
    busy: bool,
    /// The listener that a connection came from, and how many more are taken from it without
    /// asking epoll, when there is much to do.
    arriving: (u64, u32),
    /// Answers that leave together.
    burst: Burst,
}

impl Finding {
    /// Nothing found yet.
    pub fn new() -> Finding {
        Finding {
            events: Events::with_room(BATCH_EVENTS),
            eager: 0,
            mail_left: MAIL_MAX,
            asked_ms: 0,
            busy: false,
            arriving: (FIRST_LISTENER, 0),
            burst: Burst::default(),
        }
    }
}

/// Connections with a whole request in memory that let others go first.
pub type Waiting = VecDeque<(Box<Connection>, ReadyRequest)>;

/// What a thread has for itself.
struct Thread<'a> {
    worker: &'a Worker,
    core: u32,
    /// Whether it is this thread that looks for work; always, if there is only one.
    leads: bool,
    scratch: Scratch,
    /// What the bridge keeps between requests.
    own: Own,
    /// Datagrams of the private queue.
    room: Vec<u8>,
    /// Response heads and log lines.
    buffer: Vec<u8>,
    /// When the last request from the front began.
    began_ms: u64,
    /// The answer to the next request may be held: others wait behind it.
    may_hold: bool,
}

/// Serves until the worker is done.
pub fn run(py: Python<'_>, worker: &Worker, core: u32) {
    name_thread(py, worker, core);
    let mut thread = Thread {
        worker,
        core,
        leads: worker.lead.is_none(),
        scratch: Scratch::new(),
        own: Own::new(core),
        room: vec![0; if worker.queue.is_some() { REQUEST_BYTES_MAX } else { 0 }],
        buffer: Vec::with_capacity(4096),
        began_ms: 0,
        may_hold: false,
    };
    loop {
        // The GIL is kept as long as there is something to do: with four threads and short views
        // this costs 8.7 us of CPU per request, against 13.5 when it is given up each time.
        let work = if thread.may_look() { thread.next_work(false) } else { None };
        let work = work.or_else(|| py.detach(|| thread.wait_for_work()));
        match work {
            Some(Work::Connection(connection, request)) => {
                thread.serve_connection(py, connection, request);
            }
            Some(Work::Channel(request)) => thread.serve_channel(py, request),
            Some(Work::Signal) | None => {
                if let Err(error) = py.check_signals() {
                    error.print(py);
                }
            }
            Some(Work::End) => {
                if let Some(lead) = &worker.lead {
                    lead.resign();
                }
                return;
            }
        }
    }
}

/// Python shows the thread under the name uWSGI gives it.
fn name_thread(py: Python<'_>, worker: &Worker, core: u32) {
    if core == 0 {
        return;
    }
    let name = format!("uWSGIWorker{}Core{core}", worker.number);
    let named = py
        .import("threading")
        .and_then(|threading| threading.call_method0("current_thread")?.setattr("name", name));
    if let Err(error) = named {
        log::note(&format!("cannot name a request thread: {error}"));
    }
}

impl Thread<'_> {
    /// Whether it is this thread's business to look for work.
    fn may_look(&mut self) -> bool {
        self.leads = self.leads || self.worker.lead.as_ref().is_some_and(|it| it.take(self.core));
        self.leads
    }

    /// Waits, detached, until this thread leads and there is something to do.
    fn wait_for_work(&mut self) -> Option<Work> {
        if let Some(lead) = self.worker.lead.as_ref().filter(|_| !self.leads) {
            match lead.follow(self.core) {
                Follow::Leads => self.leads = true,
                Follow::Signal => return Some(Work::Signal),
            }
        }
        self.next_work(true)
    }

    /// Goes into the app: the lead may pass to another thread meanwhile.
    fn begin(&mut self) -> Flying {
        let flying = self.worker.lead.as_ref().filter(|_| self.leads).map(Lead::begin);
        let flying = flying.unwrap_or(Flying::Following);
        self.leads &= self.worker.lead.is_none() || flying != Flying::Following;
        flying
    }

    /// Comes back from the app.
    fn end(&mut self, flying: Flying) {
        if let Some(lead) = &self.worker.lead {
            self.leads = lead.end(flying);
        }
    }

    /// Finds the next thing to do; `None` if there is none and `may_wait` is false.
    fn next_work(&mut self, may_wait: bool) -> Option<Work> {
        let worker = self.worker;
        // Free: only the thread that leads comes here.
        let mut finding = lock(&worker.finding);
        loop {
            self.let_leave(&mut finding);
            if worker.is_finished() {
                return Some(Work::End);
            }
            while let Some(event) = finding.events.take() {
                if let Some(work) = self.handle_event(event, &mut finding) {
                    self.may_hold = finding.burst.may_hold() && finding.events.left() > 0;
                    return Some(work);
                }
            }
            self.may_hold = false;
            self.let_leave(&mut finding);
            if let Some(work) = self.take_mail(&mut finding) {
                return Some(work);
            }
            if let Some(work) = self.take_more(&mut finding) {
                return Some(work);
            }
            let now = monotonic_ms();
            let next = self.next_deadline_ms();
            if next.saturating_add(LATE_MS) <= now {
                self.handle_deadlines(now);
            }
            let mail_waits = finding.mail_left == 0;
            let must_ask = mail_waits || !lock(&worker.waiting).is_empty();
            let at_once = !may_wait || must_ask || next <= now;
            (finding.mail_left, finding.asked_ms) = (MAIL_MAX, now);
            let timeout = match next {
                _ if at_once => Some(0),
                NEVER => None,
                next => Some(next - now),
            };
            finding.busy = at_once;
            if !at_once && let Some(work) = self.fall_asleep(&mut finding) {
                return Some(work);
            }
            let asked = worker.epoll.wait(&mut finding.events, timeout);
            if let Some(mail) = worker.mail.as_ref().filter(|_| !at_once) {
                mail.is_awake();
                finding.asked_ms = monotonic_ms();
            }
            let count = match asked {
                Ok(count) => count,
                Err(error) => {
                    log::note(&format!("cannot wait for events: {error}"));
                    worker.quiesce();
                    return Some(Work::End);
                }
            };
            if count > 0 || mail_waits {
                continue;
            }
            if let Some((connection, request)) = lock(&worker.waiting).pop_front() {
                return Some(Work::Connection(connection, request));
            }
            if next <= now {
                self.handle_deadlines(now);
            } else if !may_wait {
                return None;
            } else if timeout.is_none() || monotonic_ms() < next {
                return Some(Work::Signal);
            }
        }
    }

    /// Sends the held answers whose time has come.
    fn let_leave(&self, finding: &mut Finding) {
        if finding.burst.is_empty() {
            return;
        }
        let mut table = lock(&self.worker.table);
        for token in finding.burst.leaving(finding.events.left()) {
            // One that is not parked has been closed, which sends as well.
            if let Some(connection) = table.parked(token) {
                connection.output.release(connection.socket.as_fd());
            }
        }
    }

    /// Looks again where the last request came from.
    fn take_more(&mut self, finding: &mut Finding) -> Option<Work> {
        if finding.eager > 0 {
            finding.eager -= 1;
            if let Some(work) = self.handle_queue() {
                return Some(work);
            }
            finding.eager = 0;
        }
        let (listener, more) = finding.arriving;
        if more > 0 {
            finding.arriving = (listener, more - 1);
            if let Some(work) = self.handle_listener(listener) {
                return Some(work);
            }
            finding.arriving = (listener, 0);
        }
        None
    }

    /// Takes a request out of a mailbox, unless it is the turn of other events.
    fn take_mail(&mut self, finding: &mut Finding) -> Option<Work> {
        let worker = self.worker;
        let mail = worker.mail.as_ref()?;
        if worker.is_quiescing() && !mail.owes_a_look() {
            return None;
        }
        if finding.mail_left == 0 || self.began_ms > finding.asked_ms + MAIL_MS {
            finding.mail_left = 0;
            return None;
        }
        finding.mail_left -= 1;
        // Counted before it is taken, so that the worker does not finish in between.
        worker.channel_requests.fetch_add(1, Ordering::AcqRel);
        let request = mail.take(&mut self.room);
        if request.is_none() {
            finding.mail_left = MAIL_MAX;
            worker.channel_requests.fetch_sub(1, Ordering::AcqRel);
            worker.finish_if_done();
        }
        request.map(Work::Channel)
    }

    /// Whoever posts a request from now on wakes this worker; what was posted before is found.
    fn fall_asleep(&mut self, finding: &mut Finding) -> Option<Work> {
        let mail = self.worker.mail.as_ref().filter(|_| !self.worker.is_quiescing())?;
        mail.sleeps();
        let work = self.take_mail(finding);
        if work.is_some() {
            mail.is_awake();
        }
        work
    }

    fn next_deadline_ms(&self) -> u64 {
        let worker = self.worker;
        let table = lock(&worker.table).next_deadline_ms();
        let accept = worker.accept_again_ms.load(Ordering::Relaxed);
        let recycled = worker.recycle_asked.load(Ordering::Relaxed) || worker.is_quiescing();
        let life = if recycled { NEVER } else { worker.life_end_ms };
        table.min(accept).min(life)
    }

    fn handle_event(&mut self, event: Event, finding: &mut Finding) -> Option<Work> {
        let worker = self.worker;
        match event.token {
            CONTROL => worker.read_control(),
            WAKE => {
                if worker.wake.read() {
                    worker.quiesce();
                }
            }
            QUEUE => {
                let work = self.handle_queue();
                finding.eager = if work.is_some() { EAGER_MAX } else { 0 };
                return work;
            }
            token @ FIRST_REPLY..FIRST_LISTENER => {
                let index = usize::try_from(token - FIRST_REPLY).ok()?;
                // One frame: if there are more, epoll says so again.
                let reply = worker.replies.get(index)?.as_fd();
                if matches!(worker.read_front_frame(reply), Heard::End) {
                    for reply in &worker.replies {
                        let _ = worker.epoll.remove(reply.as_fd());
                    }
                    worker.quiesce();
                }
            }
            token if token & CONNECTION_BIT == 0 => {
                let work = self.handle_listener(token);
                let more = if work.is_some() && finding.busy { EAGER_MAX } else { 0 };
                finding.arriving = (token, more);
                return work;
            }
            token => {
                let connection = {
                    let mut table = lock(&worker.table);
                    let connection = table.claim(token);
                    if connection.is_none() {
                        // A thread is busy with it: silence until it is parked.
                        table.silence(token, &worker.epoll);
                    }
                    connection?
                };
                return self.advance(connection, Connection::handle_event);
            }
        }
        worker.finish_if_done();
        None
    }

    fn handle_listener(&mut self, token: u64) -> Option<Work> {
        let index = usize::try_from(token - FIRST_LISTENER).ok()?;
        let connection = self.worker.accept(index)?;
        // The request is usually there already.
        self.advance(connection, Connection::handle_event)
    }

    fn handle_queue(&mut self) -> Option<Work> {
        let worker = self.worker;
        if worker.is_quiescing() {
            return None;
        }
        let queue = worker.queue.as_ref()?;
        // Counted before it is taken, so that the worker does not finish in between.
        worker.channel_requests.fetch_add(1, Ordering::AcqRel);
        let timeout = worker.settings.socket_timeout_ms;
        match channel::receive(queue.as_fd(), &mut self.room, timeout) {
            Received::Request(request) => return Some(Work::Channel(request)),
            Received::Nothing => {}
            Received::End => worker.quiesce(),
        }
        worker.channel_requests.fetch_sub(1, Ordering::AcqRel);
        worker.finish_if_done();
        None
    }

    fn handle_deadlines(&mut self, now: u64) {
        let worker = self.worker;
        if worker.accept_again_ms.load(Ordering::Relaxed) <= now {
            worker.resume_accepting();
        }
        if worker.life_end_ms <= now {
            worker.recycle("lifetime");
        }
        let expired = lock(&worker.table).expired(now);
        for token in expired {
            let Some(connection) = lock(&worker.table).claim(token) else { continue };
            if let Some(Work::Connection(connection, request)) =
                self.advance(connection, Connection::handle_deadline)
            {
                lock(&worker.waiting).push_back((connection, request));
            }
        }
        worker.finish_if_done();
    }

    /// Lets a connection take a step, and parks or closes it unless a request came out.
    fn advance(
        &mut self,
        mut connection: Box<Connection>,
        step: fn(&mut Connection, &mut Scratch, &super::settings::Settings) -> Turn,
    ) -> Option<Work> {
        match step(&mut connection, &mut self.scratch, &self.worker.settings) {
            Turn::Request(request) => Some(Work::Connection(connection, request)),
            Turn::Wait => {
                self.park(connection);
                None
            }
            Turn::Close => {
                self.close(connection);
                None
            }
        }
    }

    fn park(&mut self, mut connection: Box<Connection>) {
        let worker = self.worker;
        let interest = connection.interest();
        let known = connection.watched.replace(interest);
        let mut deadline = connection.deadline_ms(&worker.settings);
        if worker.is_quiescing() && connection.is_idle() {
            deadline = deadline.min(monotonic_ms() + super::DRAIN_MS);
        }
        let token = connection.token;
        let mut table = lock(&worker.table);
        // Under the table's lock: another thread may get the event at once and must find the
        // connection here, and nobody may close it before it is watched.
        let told = match known.filter(|_| !table.is_silenced(token)) {
            None => worker.epoll.add(connection.socket.as_fd(), token, interest),
            Some(known) if known == interest => Ok(()),
            Some(_) => worker.epoll.change(connection.socket.as_fd(), token, interest),
        };
        if told.is_ok() {
            let first = table.park(connection, deadline);
            if first && !self.leads {
                // The leader waits for another deadline.
                worker.wake.ring();
            }
            return;
        }
        table.forget(token);
        drop(table);
        worker.finish_if_done();
    }

    fn close(&mut self, connection: Box<Connection>) {
        // In this order: a late event must not find the number of the descriptor, which another
        // connection may have by then.
        lock(&self.worker.table).forget(connection.token);
        drop(connection);
        if self.worker.is_quiescing() {
            self.worker.finish_if_done();
        }
    }

    fn serve_connection(
        &mut self,
        py: Python<'_>,
        mut connection: Box<Connection>,
        mut request: ReadyRequest,
    ) {
        for _ in 0..PIPELINED_MAX {
            match self.serve_one(py, &mut connection, request) {
                Turn::Request(next) => request = next,
                Turn::Wait => return self.park_served(connection),
                Turn::Close => return self.close(connection),
            }
        }
        // Others come first now: what is ready does not wait for them. A client that is gone is
        // noticed when the next answer is sent.
        let _ = connection.output.uncork(connection.socket.as_fd());
        connection.output.release(connection.socket.as_fd());
        lock(&self.worker.waiting).push_back((connection, request));
        if !self.leads {
            self.worker.wake.ring();
        }
    }

    /// Parks a connection that has been answered, and notes whether its answer is held.
    fn park_served(&mut self, mut connection: Box<Connection>) {
        let held = connection.output.is_held();
        if held && !self.leads {
            // Another thread finds the work by now, and this one does not know when it is done.
            connection.output.release(connection.socket.as_fd());
        }
        let token = connection.token;
        self.park(connection);
        if held && self.leads {
            lock(&self.worker.finding).burst.hold(token);
        }
    }

    fn serve_one(
        &mut self,
        py: Python<'_>,
        connection: &mut Connection,
        request: ReadyRequest,
    ) -> Turn {
        let worker = self.worker;
        let began_ns = monotonic_ns();
        let began_ms = began_ns / 1_000_000;
        connection.may_hold = self.may_hold;
        let client = harakiri::stream_client(&connection.socket);
        let flight = worker.take_off(self.core, client, &request.vars);
        let flying = self.begin();
        let mut responder = StreamResponder::new(
            connection,
            request.manner,
            worker,
            began_ms,
            flight,
            &mut self.buffer,
        );
        let ReadyRequest { vars, input, manner } = request;
        let served = match statics::serve(py, &worker.plan.static_maps, &vars, &mut responder) {
            Some(served) => served,
            None => {
                let direct = manner.protocol == Protocol::Http;
                let request = Request { vars: &vars, input, direct };
                wsgi::serve(py, &worker.app, &mut self.own, request, &mut responder)
            }
        };
        let (after, pieces) = responder.finish();
        self.end(flying);
        let ended_ns = monotonic_ns();
        if self.leads {
            lock(&worker.finding).burst.note(began_ns, ended_ns);
        }
        if let Some(flight) = flight {
            harakiri::land(flight);
        }
        let entry = Facts { vars: &vars, served: &served, pieces, began_ns };
        self.note_request(&entry);
        self.scratch.recycle(vars);
        connection.conclude(after, ended_ns / 1_000_000, &mut self.scratch, &worker.settings)
    }

    fn serve_channel(&mut self, py: Python<'_>, request: ChannelRequest) {
        let worker = self.worker;
        let began_ns = monotonic_ns();
        let began_ms = began_ns / 1_000_000;
        let id = request.header.id;
        let room = std::mem::take(&mut self.room);
        let vars = room.get(request.vars).unwrap_or(&[]);
        let Some(reply) = worker.replies.get(usize::from(request.header.front_thread)) else {
            log::note("the front names a reply socket that does not exist");
            if let Some((mail, claim)) = worker.mail.as_ref().zip(request.claim) {
                mail.done(&claim);
            }
            worker.channel_requests.fetch_sub(1, Ordering::AcqRel);
            self.room = room;
            return;
        };
        self.began_ms = began_ms;
        self.score(id.wrapping_add(1), began_ms);
        let client = Client::Channel { id, reply: reply.as_raw_fd() };
        let flight = worker.take_off(self.core, client, vars);
        let head_only = is_head(vars);
        let flying = self.begin();
        let mailbox = worker.mail.as_ref().zip(request.claim);
        let line = Line { worker, core: self.core, id, reply: reply.as_fd(), mailbox, flight };
        let mut responder = ChannelResponder::new(line, head_only, &mut self.buffer);
        let served = match statics::serve(py, &worker.plan.static_maps, vars, &mut responder) {
            Some(served) => served,
            None => {
                let request = Request { vars, input: request.input, direct: false };
                wsgi::serve(py, &worker.app, &mut self.own, request, &mut responder)
            }
        };
        let (pieces, front_gone) = responder.finish(py);
        self.end(flying);
        if let Some(flight) = flight {
            harakiri::land(flight);
        }
        self.score(0, 0);
        let entry = Facts { vars, served: &served, pieces, began_ns };
        self.note_request(&entry);
        self.room = room;
        if front_gone {
            worker.quiesce();
        }
        worker.channel_requests.fetch_sub(1, Ordering::AcqRel);
        worker.finish_if_done();
    }

    /// Writes this thread's place on the scoreboard.
    fn score(&self, id: u64, began_ms: u64) {
        if let Some(word) = self.worker.slot(self.core, 1) {
            word.store(began_ms, Ordering::Relaxed);
        }
        if let Some(word) = self.worker.slot(self.core, 0) {
            word.store(id, Ordering::Release);
        }
    }

    fn note_request(&mut self, facts: &Facts<'_>) {
        let worker = self.worker;
        let worker_requests = worker.count_request(self.core);
        if worker.plan.log.requests {
            let elapsed = Duration::from_nanos(monotonic_ns().saturating_sub(facts.began_ns));
            let entry = log::Entry {
                vars: facts.vars,
                served: facts.served,
                worker: worker.number,
                worker_requests,
                total_requests: worker.total_requests(),
                elapsed,
                switches: facts.pieces,
                core: self.core,
                started: log::since_1970().saturating_sub(elapsed),
            };
            let to = worker.request_log.as_ref();
            match &worker.plan.log.format {
                None => log::request(&mut self.buffer, &entry, to),
                Some(format) => log::formatted(&mut self.buffer, format, &entry, to),
            }
        }
        uwsgi_module::forget_log_variables();
    }
}

/// What is known of a request after it was served.
struct Facts<'a> {
    vars: &'a [u8],
    served: &'a Served,
    pieces: u32,
    began_ns: u64,
}

fn is_head(vars: &[u8]) -> bool {
    let method = proto::uwsgi::vars(vars).flatten().find(|(name, _)| *name == b"REQUEST_METHOD");
    method.is_some_and(|(_, value)| value == b"HEAD")
}
