//! A client's connection: one request after the other.
//!
//! ```text
//!  idle ──bytes──► head ──complete──► phases ──► answer ──► rest of the body ──► idle
//!    │timeout        │timeout, error                │close         │too long
//!    ▼               ▼                              ▼              ▼
//!  closed          answer, lingering close        closed        lingering close
//! ```

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use message::{BodyLength, Method, RequestHead, Version};
use net::{Peer, Stream};
use plan::Address;
use plan::front::{LogLevel, ServerId};
use proto::http1::{RequestError, RequestLimits, RequestReader};

use crate::exchange::{Client, Exchange, Sent, UpstreamFacts};
use crate::phases::{self, Next, Outcome, Start};
use crate::request_body::RequestBody;
use crate::runtime::Active;
use crate::secure::{self, Security};
use crate::thread::Thread;
use crate::wire::{Wire, WireEnd};
use crate::{error_pages, finish};

/// Facts about an accepted connection.
pub fn client(number: u64, stream: &Stream, peer: Peer, listen: Address) -> Client {
    let address = match peer {
        Peer::Inet(address) => address.ip().to_string(),
        Peer::Unix => "unix:".to_owned(),
    };
    Client {
        number,
        peer,
        address,
        local: stream.local(),
        listen,
        listen_index: Cell::new((0, usize::MAX)),
        opened: Instant::now(),
        requests: Cell::new(0),
        security: Security::Plain,
    }
}

/// What becomes of the connection after a request.
enum After {
    KeepAlive,
    Close,
    /// The client may still be sending what we shall not read.
    Linger,
}

/// What waiting for a head came to.
enum Head {
    Complete(RequestHead),
    Refused(RequestError),
    /// The head did not come in time.
    TooSlow,
    /// Nothing to answer: the client left, or stayed idle for too long.
    Over,
}

/// Counts an open connection for as long as it lives.
struct Counted(Rc<Thread>);

impl Counted {
    fn new(thread: Rc<Thread>) -> Counted {
        thread.counters.accepted.fetch_add(1, Ordering::Relaxed);
        thread.counters.active.fetch_add(1, Ordering::Relaxed);
        Counted(thread)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection to its end.
pub async fn serve(thread: Rc<Thread>, mut stream: Stream, mut client: Client) {
    let _counted = Counted::new(thread.clone());
    if secure::is_wanted(&thread, &client) {
        // In a box: idle connections must not be as large as ones that shake hands.
        let secured = Box::pin(secure::begin(&thread, stream, &mut client)).await;
        stream = match secured {
            Some(secured) => secured,
            None => return,
        };
    }
    let client = Rc::new(client);
    let mut wire = Wire::new(stream, thread.clone());
    let mut reader = RequestReader::new();
    // How long the location of the last request lets the connection wait for the next.
    let mut idle = None;
    loop {
        // Between requests no configuration is held: one that is replaced can go.
        let pipelined = !wire.buffer.is_empty();
        let head = next_head(&thread, &mut wire, &mut reader, &client, idle).await;
        let Some(active) = thread.active() else { return };
        let after = match head {
            Head::Over => return,
            Head::Complete(head) => {
                client.requests.set(client.requests.get() + 1);
                thread.counters.requests.fetch_add(1, Ordering::Relaxed);
                // In a box: an idle connection must not be as large as one with a request.
                let answering = answered(&thread, &active, &client, &mut wire, (head, pipelined));
                let (after, keepalive_timeout) = Box::pin(answering).await;
                idle = Some(keepalive_timeout);
                after
            }
            Head::Refused(error) => {
                Box::pin(refuse(&thread, &active, &client, &mut wire, Some(error))).await
            }
            Head::TooSlow => Box::pin(refuse(&thread, &active, &client, &mut wire, None)).await,
        };
        match after {
            After::KeepAlive => {}
            After::Close => return,
            After::Linger => {
                let server = active.server(default_server(&active, &client));
                let manners = &active.location(server.fallback).manners;
                let (each, whole) = (manners.lingering_timeout, manners.lingering_time);
                drop(active);
                return wire.lingering_close(each, whole).await;
            }
        }
    }
}

/// Answers one request whose head is complete; also says how long its location lets the
/// connection wait for the next one.
async fn answered(
    thread: &Rc<Thread>,
    active: &Rc<Active>,
    client: &Rc<Client>,
    wire: &mut Wire,
    (head, pipelined): (RequestHead, bool),
) -> (After, Duration) {
    let mut place = thread.places.take();
    let exchange = place.fill(exchange(thread, active, client, head));
    exchange.pipelined = pipelined;
    let after = guarded(wire, exchange).await;
    let keepalive_timeout = exchange.location().manners.keepalive_timeout;
    thread.places.put(place);
    (after, keepalive_timeout)
}

fn default_server(active: &Active, client: &Client) -> ServerId {
    let listens = &active.plan().listens;
    let listen = listens.get(listen_index(active, client)).or(listens.first());
    listen.map_or(ServerId(0), |listen| listen.default_server)
}

pub fn listen_index(active: &Active, client: &Client) -> usize {
    let (generation, index) = client.listen_index.get();
    if generation == active.shared.generation {
        return index;
    }
    let index = active.listen_index(&client.listen);
    client.listen_index.set((active.shared.generation, index));
    index
}

/// What a connection waits by.
struct Limits {
    head: RequestLimits,
    head_time: Duration,
}

impl Limits {
    /// Those of the default server: nobody knows yet whose request it is.
    fn of(thread: &Thread, client: &Client) -> Option<Limits> {
        let active = thread.active()?;
        let id = default_server(&active, client);
        let (head, head_time) = active.limits(id);
        Some(Limits { head, head_time })
    }
}

/// Reads until a head is complete.
async fn next_head(
    thread: &Rc<Thread>,
    wire: &mut Wire,
    reader: &mut RequestReader,
    client: &Client,
    idle: Option<Duration>,
) -> Head {
    let Some(mut limits) = Limits::of(thread, client) else { return Head::Over };
    // Whether part of the head has come and its time runs.
    let mut begun = false;
    if wire.buffer.is_empty() {
        wire.watched.idle(true);
        wire.watched.patience(idle.unwrap_or(limits.head_time));
    }
    loop {
        if !wire.buffer.is_empty() {
            match reader.next_head(&mut wire.buffer, &limits.head) {
                Ok(Some(head)) => {
                    wire.watched.idle(false);
                    return Head::Complete(head);
                }
                Ok(None) => {}
                Err(error) => return Head::Refused(error),
            }
            if !begun {
                begun = true;
                wire.watched.idle(false);
                if let Some(current) = Limits::of(thread, client) {
                    limits = current;
                }
                wire.watched.patience(limits.head_time);
            }
        }
        match wire.fill().await {
            Ok(()) => {}
            Err(WireEnd::TimedOut) if begun => return Head::TooSlow,
            Err(_) => return Head::Over,
        }
    }
}

/// Puts a request together; Host is not yet judged.
fn exchange(
    thread: &Rc<Thread>,
    active: &Rc<Active>,
    client: &Rc<Client>,
    head: RequestHead,
) -> Exchange {
    let server = default_server(active, client);
    let location = active.server(server).fallback;
    let slots = vec![None; usize::from(active.plan().slots)];
    Exchange {
        thread: thread.clone(),
        active: active.clone(),
        client: client.clone(),
        host: Bytes::new(),
        method: head.method,
        server,
        location,
        uri: Bytes::new(),
        args: head.bytes.slice_ref(head.text(head.query)),
        uri_changed: false,
        rewritten: false,
        slots: RefCell::new(slots),
        captures: None,
        internal: false,
        redirects: 0,
        error_page: None,
        body: RequestBody::new(&head),
        started: Instant::now(),
        request_bytes: head.bytes.len() as u64,
        limit_rate: 0,
        sent: Sent::default(),
        upstream: UpstreamFacts::default(),
        must_close: false,
        unbuffered: false,
        pipelined: false,
        fills_cache: false,
        kept: None,
        revalidate: None,
        overloaded: false,
        head,
    }
}

/// Chooses the server and makes the URI normal; the status if that cannot be done.
fn place(exchange: &mut Exchange) -> Result<(), u16> {
    let active = exchange.active.clone();
    let head = &exchange.head;
    let host = match head.target_host {
        Some(host) => head.text(host),
        None => head.header(message::KnownHeader::Host).unwrap_or(&[]),
    };
    if !host.is_empty() {
        let normal = route::host::normalise(host).map_err(|_| 400u16)?;
        exchange.host = share(&head.bytes, normal);
    }
    let listen = listen_index(&active, &exchange.client);
    let (server, captures) =
        active.shared.router.server(listen, &exchange.host).map_err(|_| 500u16)?;
    exchange.server = server;
    exchange.location = active.server(server).fallback;
    if let Some(captures) = captures {
        for (slot, text) in captures.named() {
            route::RewriteState::set_slot(exchange, slot, text.to_vec());
        }
        exchange.captures = Some(captures);
    }
    let merge = active.server(server).merge_slashes;
    let path = exchange.head.text(exchange.head.path);
    let normal = route::normalise_uri(path, merge).map_err(|_| 400u16)?;
    exchange.uri = share(&exchange.head.bytes, normal);
    Ok(())
}

/// A text as a share of the head it stands in, or as its own bytes if it had to be changed.
fn share(head: &Bytes, text: std::borrow::Cow<'_, [u8]>) -> Bytes {
    match text {
        std::borrow::Cow::Borrowed(text) => head.slice_ref(text),
        std::borrow::Cow::Owned(text) => Bytes::from(text),
    }
}

/// Answers one request; a panic on the way is a 500 of this request and nobody else's matter.
async fn guarded(wire: &mut Wire, exchange: &mut Exchange) -> After {
    let answered = {
        let mut answering = std::pin::pin!(one(wire, exchange));
        poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
                Ok(poll) => poll.map(Some),
                Err(_) => Poll::Ready(None),
            }
        })
        .await
    };
    if let Some(after) = answered {
        return after;
    }
    exchange.log(LogLevel::Alert, "a defect of this server ended the request");
    if exchange.sent.status == 0 {
        let outcome = error_pages::plain(exchange, 500);
        let next = phases::settle(exchange, outcome);
        return Box::pin(answer(wire, exchange, next)).await;
    }
    After::Close
}

/// Answers one request.
async fn one(wire: &mut Wire, exchange: &mut Exchange) -> After {
    let invalid = "client sent invalid request while reading client request line";
    let placed = place(exchange).map_err(|status| (status, invalid));
    let admitted = placed.and_then(|()| secure::admit(exchange)).and(no_trace(exchange));
    let next = match admitted {
        Ok(()) => phases::run(exchange, Start::Server),
        Err((status, reason)) => {
            exchange.must_close = true;
            exchange.log(LogLevel::Info, reason);
            phases::settle(exchange, Outcome::Status(status))
        }
    };
    answer(wire, exchange, next).await
}

/// The answer to TRACE would show scripts what credentials the client sends.
fn no_trace(exchange: &Exchange) -> Result<(), (u16, &'static str)> {
    match exchange.method {
        Method::Trace => {
            Err((405, "client sent TRACE method while reading client request headers"))
        }
        _ => Ok(()),
    }
}

async fn answer(wire: &mut Wire, exchange: &mut Exchange, mut next: Next) -> After {
    let response = loop {
        match next {
            Next::Respond(response) => break response,
            Next::Close => {
                exchange.sent.status = 444;
                crate::log::access::write(exchange);
                return After::Close;
            }
            Next::Call => match crate::call::call(wire, exchange).await {
                Some(outcome) => next = phases::settle(exchange, outcome),
                None => {
                    exchange.sent.status = 499;
                    crate::log::access::write(exchange);
                    return After::Close;
                }
            },
        }
    };
    // The body of a request that nobody wanted is only thrown away after the answer, but whether
    // the connection can be kept must be said before it.
    if exchange.body.is_too_long_to_discard() {
        exchange.must_close = true;
    }
    let response = finish::filter(exchange, response);
    let keep_alive = finish::send(wire, exchange, response).await;
    crate::log::access::write(exchange);
    if !exchange.sent.complete {
        return After::Close;
    }
    if !exchange.body.is_read() && !exchange.body.discard(wire).await {
        return After::Linger;
    }
    if keep_alive {
        return After::KeepAlive;
    }
    // A client that pipelines may have sent more: closing at once would reset what we wrote.
    if !wire.buffer.is_empty() { After::Linger } else { After::Close }
}

/// Answers a head that is none, or that did not come in time.
async fn refuse(
    thread: &Rc<Thread>,
    active: &Rc<Active>,
    client: &Rc<Client>,
    wire: &mut Wire,
    error: Option<RequestError>,
) -> After {
    client.requests.set(client.requests.get() + 1);
    thread.counters.requests.fetch_add(1, Ordering::Relaxed);
    let mut exchange = exchange(thread, active, client, no_head(wire));
    exchange.must_close = true;
    let (status, text) = match error {
        Some(error) => (error.nginx_status(), error.text()),
        None => (408, "client timed out (110: Connection timed out)"),
    };
    exchange.log(LogLevel::Info, &format!("{text} while reading client request headers"));
    if status == 408 {
        exchange.sent.status = 408;
        crate::log::access::write(&exchange);
        return After::Close;
    }
    let outcome = error_pages::answer(&mut exchange, status, None);
    let next = phases::settle(&mut exchange, outcome);
    match answer(wire, &mut exchange, next).await {
        After::KeepAlive | After::Linger => After::Linger,
        After::Close => After::Linger,
    }
}

/// What stands for the head of a request that has none: as much of its first line as there is.
fn no_head(wire: &Wire) -> RequestHead {
    let end = memchr::memchr2(b'\r', b'\n', &wire.buffer).unwrap_or(wire.buffer.len());
    let line = wire.buffer.get(..end.min(1024)).unwrap_or(&[]);
    RequestHead {
        bytes: Bytes::copy_from_slice(line),
        method: Method::Get,
        method_text: Default::default(),
        target: Default::default(),
        path: Default::default(),
        query: Default::default(),
        has_query: false,
        target_host: None,
        version: Version::Http11,
        headers: Vec::new(),
        body: BodyLength::None,
        keep_alive: false,
        expect_continue: false,
    }
}

/// A number for a connection, unique within the process.
pub fn next_number() -> u64 {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
    CONNECTIONS.fetch_add(1, Ordering::Relaxed)
}
