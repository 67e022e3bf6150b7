//! The phases of a request, from its URI to the decision what makes the answer.
//!
//! ```text
//!  Server ─► server rewrite ─► find location ─► location rewrite ─► limits ─► access ─► try_files ─► content
//!                 ▲                  ▲               │ changed         │503      │403       │           │
//!                 │                  └───────────────┘                 ▼         ▼          ▼           ▼
//!                 └──────────── internal redirect ◄────────────────── error_page        redirect   index, error
//! ```
//!
//! Nothing here waits for anything but the file system: the wait that a limit imposes, and an access
//! phase that has to wait (`auth`), are outcomes; `Start::Limited` and `Start::Admitted` go on behind them.

use std::time::Duration;

use bytes::Bytes;
use message::Method;
use plan::front::rewrite::FileTest;
use plan::front::{Handler, LocationId, LogLevel};
use plan::template::Slot;
use route::try_files::TryOutcome;
use route::{Captures, RewriteOutcome, RewriteState};

use crate::content::{index, paths, static_file};
use crate::exchange::{Exchange, REDIRECTS_MAX, Text};
use crate::response::Response;
use crate::{auth, error_pages, limit, real_ip, redirect};

/// Where the phases begin.
#[derive(Debug)]
pub enum Start {
    /// A new request.
    Server,
    /// The URI was rewritten: choose a location anew.
    Location,
    /// An internal redirect to a URI with arguments.
    Redirect(Bytes, Bytes),
    /// An internal redirect to a named location.
    Named(LocationId),
    /// The checks of the location in force let the request in.
    Admitted,
    /// The wait that a limit has imposed is over.
    Limited,
}

/// What a phase decided.
#[derive(Debug)]
pub enum Outcome {
    /// Answer with this; in a box, because it changes hands many times.
    Respond(Box<Response>),
    /// Answer with the page of a status.
    Status(u16),
    /// Answer with a redirect: status and Location, not yet absolute.
    Redirect(u16, Bytes),
    /// The checks of the location in force need time.
    Admit,
    /// Ask the upstream of the location in force.
    Call,
    /// Go on with [`Start::Limited`] after so much time.
    Wait(Duration),
    /// Close without an answer.
    Close,
    /// Go on there.
    Again(Start),
}

/// What makes the answer.
#[derive(Debug)]
pub enum Next {
    /// This.
    Respond(Box<Response>),
    /// The checks of the location in force, before anything else.
    Admit,
    /// The upstream of the location in force.
    Call,
    /// [`run`] with [`Start::Limited`], after so much time.
    Wait(Duration),
    /// Nothing: the connection closes.
    Close,
}

/// Runs the phases, internal redirects and error pages until something makes the answer.
pub fn run(exchange: &mut Exchange, start: Start) -> Next {
    settle(exchange, Outcome::Again(start))
}

/// The same for a decision that was made elsewhere, such as the failure of an upstream.
pub fn settle(exchange: &mut Exchange, mut outcome: Outcome) -> Next {
    loop {
        outcome = match outcome {
            Outcome::Respond(response) => return Next::Respond(response),
            Outcome::Admit => return Next::Admit,
            Outcome::Call => return Next::Call,
            Outcome::Wait(time) => return Next::Wait(time),
            Outcome::Close => return Next::Close,
            Outcome::Again(start) => once(exchange, start),
            Outcome::Status(status) => error_pages::answer(exchange, status, None),
            Outcome::Redirect(status, location) => {
                error_pages::answer(exchange, status, Some(location))
            }
        };
    }
}

fn once(exchange: &mut Exchange, start: Start) -> Outcome {
    let redirected = !matches!(start, Start::Server | Start::Limited | Start::Admitted);
    if redirected {
        exchange.redirects += 1;
        if exchange.redirects > REDIRECTS_MAX {
            let uri = String::from_utf8_lossy(exchange.uri()).into_owned();
            let text = format!("rewrite or internal redirection cycle while processing \"{uri}\"");
            exchange.log(LogLevel::Error, &text);
            return error_pages::plain(exchange, 500);
        }
    }
    match start {
        Start::Server => {
            real_ip::find(exchange);
            server(exchange)
        }
        Start::Location => find_location(exchange),
        Start::Redirect(uri, args) => {
            exchange.internal = true;
            exchange.uri = Text::Own(uri);
            exchange.args = Text::Own(args);
            exchange.uri_changed = true;
            server(exchange)
        }
        Start::Named(location) => {
            exchange.internal = true;
            exchange.enter(location);
            in_location(exchange)
        }
        Start::Admitted => admitted(exchange),
        Start::Limited => preaccess(exchange),
    }
}

fn server(exchange: &mut Exchange) -> Outcome {
    exchange.location = exchange.server().fallback;
    if exchange.active.shared.router.server_rewrite(exchange.server).is_empty() {
        return find_location(exchange);
    }
    let active = exchange.active.clone();
    let steps = active.shared.router.server_rewrite(exchange.server);
    match route::rewrite::run(steps, exchange) {
        RewriteOutcome::Stay | RewriteOutcome::ChooseAnew => find_location(exchange),
        other => rewritten(exchange, other),
    }
}

fn find_location(exchange: &mut Exchange) -> Outcome {
    exchange.rewritten = false;
    let router = &exchange.active.shared.router;
    let Ok(found) = router.location(exchange.server, exchange.uri()) else {
        exchange.log(LogLevel::Error, "a location's regular expression gave up");
        return Outcome::Status(500);
    };
    if let Some(captures) = found.captures {
        exchange.take_captures(captures);
    }
    exchange.enter(found.location);
    let location = exchange.location();
    if location.internal && !exchange.internal {
        return Outcome::Status(404);
    }
    let announced = exchange.body.announced();
    if let Some((limit, announced)) = location.body.bytes_max.zip(announced)
        && announced > limit
    {
        let text = format!("client intended to send too large body: {announced} bytes");
        exchange.log(LogLevel::Error, &text);
        return Outcome::Status(413);
    }
    if found.redirect_to_slash {
        return redirect::with_slash(exchange);
    }
    in_location(exchange)
}

fn in_location(exchange: &mut Exchange) -> Outcome {
    if let Some(outcome) = rewrite_in_location(exchange) {
        return outcome;
    }
    real_ip::find(exchange);
    preaccess(exchange)
}

fn preaccess(exchange: &mut Exchange) -> Outcome {
    if let Some(outcome) = limit::check(exchange) {
        return outcome;
    }
    let location = exchange.location();
    if location.auth.is_some() && !exchange.subrequest {
        return Outcome::Admit;
    }
    let is_open = location.access.is_empty() || exchange.subrequest;
    if !is_open && !auth::may_by_address(exchange) {
        return Outcome::Status(403);
    }
    admitted(exchange)
}

/// What comes after the access phase.
fn admitted(exchange: &mut Exchange) -> Outcome {
    let location = exchange.location();
    if !location.try_files.is_empty() {
        match route::try_files::decide(&location.try_files, exchange, exchange) {
            TryOutcome::Serve(uri) => exchange.uri = Text::Own(Bytes::from(uri)),
            TryOutcome::Redirect { uri, args } => {
                let args = args.map_or_else(Bytes::new, Bytes::from);
                return Outcome::Again(Start::Redirect(Bytes::from(uri), args));
            }
            TryOutcome::Named(location) => return Outcome::Again(Start::Named(location)),
            TryOutcome::Status(status) => return Outcome::Status(status),
        }
    }
    content(exchange)
}

/// The location's rewriting; an outcome if the request does not go on in it.
fn rewrite_in_location(exchange: &mut Exchange) -> Option<Outcome> {
    if exchange.active.shared.router.location_rewrite(exchange.location).is_empty() {
        return None;
    }
    let active = exchange.active.clone();
    let steps = active.shared.router.location_rewrite(exchange.location);
    let before = exchange.uri.clone();
    match route::rewrite::run(steps, exchange) {
        RewriteOutcome::Stay => {
            exchange.rewritten |= exchange.uri() != before.of(&exchange.head);
            None
        }
        RewriteOutcome::ChooseAnew => Some(Outcome::Again(Start::Location)),
        other => Some(rewritten(exchange, other)),
    }
}

fn content(exchange: &mut Exchange) -> Outcome {
    match &exchange.location().handler {
        Handler::Upstream(_) => Outcome::Call,
        Handler::StubStatus => Outcome::Respond(Box::new(exchange.thread.counters.page())),
        // Whether there is such a file is not told to who asks for something else.
        Handler::Static
            if !matches!(exchange.method, Method::Get | Method::Head | Method::Post) =>
        {
            Outcome::Status(405)
        }
        Handler::Static if exchange.uri().ends_with(b"/") => index::serve(exchange),
        Handler::Static => static_file::serve(exchange),
    }
}

fn rewritten(exchange: &mut Exchange, outcome: RewriteOutcome) -> Outcome {
    match outcome {
        RewriteOutcome::Stay | RewriteOutcome::ChooseAnew => Outcome::Again(Start::Location),
        RewriteOutcome::Redirect { status, location } => {
            Outcome::Redirect(status, Bytes::from(location))
        }
        RewriteOutcome::Return { status: 444, .. } => Outcome::Close,
        RewriteOutcome::Return { status, text } => returned(exchange, status, text),
        RewriteOutcome::Failed(why) => {
            let uri = String::from_utf8_lossy(exchange.uri()).into_owned();
            exchange.log(LogLevel::Error, &format!("rewriting failed: {why:?}: {uri}"));
            Outcome::Status(500)
        }
    }
}

fn returned(exchange: &mut Exchange, status: u16, text: Option<Bytes>) -> Outcome {
    match (status, text) {
        (301 | 302 | 303 | 307 | 308, Some(text)) => Outcome::Redirect(status, text),
        (400.., None) => Outcome::Status(status),
        (_, text) => {
            let text = text.unwrap_or_default();
            let content_type = static_file::content_type(exchange).unwrap_or_default();
            Outcome::Respond(Box::new(Response::memory(status, content_type, text)))
        }
    }
}

impl Exchange {
    /// What a regex of a server's or location's name found.
    pub fn take_captures(&mut self, captures: Captures) {
        for (slot, text) in captures.named() {
            self.set_slot(slot, text.to_vec());
        }
        self.captures = Some(Box::new(captures));
    }
}

impl RewriteState for Exchange {
    fn uri(&self) -> &[u8] {
        Exchange::uri(self)
    }

    fn set_uri(&mut self, uri: Vec<u8>) {
        self.uri = Text::Own(Bytes::from(uri));
        self.uri_changed = true;
    }

    fn args(&self) -> &[u8] {
        Exchange::args(self)
    }

    fn set_args(&mut self, args: Vec<u8>) {
        self.args = Text::Own(Bytes::from(args));
    }

    fn set_slot(&mut self, slot: Slot, value: Vec<u8>) {
        if let Some(place) = self.slots.get_mut().get_mut(usize::from(slot.0)) {
            *place = Some(Bytes::from(value));
        }
    }

    fn set_captures(&mut self, captures: Option<Captures>) {
        self.captures = captures.map(Box::new);
    }

    fn path_was_escaped(&self) -> bool {
        self.head.text(self.head.path).iter().any(|byte| matches!(byte, b'%' | b'+'))
    }

    fn install_location(&mut self, location: LocationId) {
        self.location = location;
    }

    fn test_file(&self, test: FileTest, path: &[u8]) -> bool {
        let path = paths::as_path(path);
        match (test, std::fs::metadata(path)) {
            (_, Err(_)) => false,
            (FileTest::Exists, Ok(_)) => true,
            (FileTest::File, Ok(found)) => found.is_file(),
            (FileTest::Directory, Ok(found)) => found.is_dir(),
            (FileTest::Executable, Ok(_)) => sys::files::executable(path),
        }
    }
}
