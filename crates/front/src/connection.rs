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

use bytes::BytesMut;
use message::{BodyLength, KnownHeader, Method, RequestHead, Slice, Version};
use net::{Peer, Stream};
use plan::Address;
use plan::front::{LogLevel, ServerId};
use proto::http1::{RequestError, RequestReader};

use crate::exchange::{Client, Exchange, Place, Sent, Text, UpstreamFacts};
use crate::phases::{self, Next, Outcome, Start};
use crate::request_body::RequestBody;
use crate::runtime::Active;
use crate::secure::{self, Security};
use crate::thread::Thread;
use crate::wire::{Wire, WireEnd};
use crate::{error_pages, finish, limit};

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
    /// A request stands there.
    Complete(Place),
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
pub async fn serve(thread: Rc<Thread>, mut stream: Stream, mut client: Box<Client>) {
    let _counted = Counted::new(thread.clone());
    if secure::is_wanted(&thread, &client) {
        // In a box: idle connections must not be as large as ones that shake hands.
        let secured = Box::pin(secure::begin(&thread, stream, &mut client)).await;
        stream = match secured {
            Some(secured) => secured,
            None => return,
        };
    }
    let client: Rc<Client> = Rc::from(client);
    let mut wire = Wire::new(stream, thread.clone());
    let mut reader = RequestReader::new();
    // How long the location of the last request lets the connection wait for the next.
    let mut idle = None;
    loop {
        // Between requests no configuration is held: one that is replaced can go.
        let after = match next_head(&thread, &mut wire, &mut reader, &client, idle).await {
            Head::Over => return,
            Head::Complete(mut place) => {
                let Some(exchange) = place.exchange() else { return };
                let after = guarded(&mut wire, exchange).await;
                idle = Some(exchange.location().manners.keepalive_timeout);
                thread.clear(place);
                after
            }
            Head::Refused(error) => {
                Box::pin(refuse(&thread, &client, &mut wire, Some(error))).await
            }
            Head::TooSlow => Box::pin(refuse(&thread, &client, &mut wire, None)).await,
        };
        match after {
            After::KeepAlive => {}
            After::Close => return,
            After::Linger => {
                let Some(active) = thread.active() else { return };
                let server = active.server(default_server(&active, &client));
                let manners = &active.location(server.fallback).manners;
                let (each, whole) = (manners.lingering_timeout, manners.lingering_time);
                drop(active);
                return Box::pin(wire.lingering_close(each, whole)).await;
            }
        }
    }
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

/// Reads until a head is complete.
async fn next_head(
    thread: &Rc<Thread>,
    wire: &mut Wire,
    reader: &mut RequestReader,
    client: &Rc<Client>,
    idle: Option<Duration>,
) -> Head {
    let pipelined = !wire.buffer.is_empty();
    if !pipelined {
        let Some(patience) = idle.or_else(|| head_time(thread, client)) else { return Head::Over };
        wire.watched.idle(true);
        wire.watched.patience(patience);
    }
    // Whether part of the head has come and its time runs.
    let mut begun = false;
    loop {
        if !wire.buffer.is_empty() {
            let Some(active) = thread.active() else { return Head::Over };
            let (limits, time) = active.limits(default_server(&active, client));
            if !begun {
                reader.reuse(thread.fields.take().unwrap_or_default());
            }
            match reader.next_head(&mut wire.buffer, limits) {
                Ok(Some(head)) => {
                    wire.watched.idle(false);
                    return Head::Complete(begin(thread, active, client, (head, pipelined)));
                }
                Ok(None) => {}
                Err(error) => return Head::Refused(error),
            }
            if !begun {
                begun = true;
                wire.watched.idle(false);
                wire.watched.patience(*time);
            }
        }
        match wire.fill().await {
            Ok(()) => {}
            Err(WireEnd::TimedOut) if begun => return Head::TooSlow,
            Err(_) => return Head::Over,
        }
    }
}

/// The time the first head of a connection may take: the default server's, nobody knows yet whose
/// request it is.
fn head_time(thread: &Thread, client: &Client) -> Option<Duration> {
    let active = thread.active()?;
    Some(active.limits(default_server(&active, client)).1)
}

/// Gives a request whose head is complete its place.
fn begin(
    thread: &Rc<Thread>,
    active: Rc<Active>,
    client: &Rc<Client>,
    (head, pipelined): (RequestHead, bool),
) -> Place {
    client.requests.set(client.requests.get() + 1);
    thread.counters.requests.fetch_add(1, Ordering::Relaxed);
    let mut place = thread.places.take().unwrap_or_default();
    place.fill(exchange(thread, active, client, (head, pipelined)));
    place
}

/// Puts a request together; Host is not yet judged.
#[inline]
pub fn exchange(
    thread: &Rc<Thread>,
    active: Rc<Active>,
    client: &Rc<Client>,
    (head, pipelined): (RequestHead, bool),
) -> Exchange {
    let server = default_server(&active, client);
    let location = active.server(server).fallback;
    let slots = match active.plan().slots {
        0 => Vec::new(),
        slots => vec![None; usize::from(slots)],
    };
    Exchange {
        thread: thread.clone(),
        active,
        client: client.clone(),
        host: Text::default(),
        method: head.method,
        server,
        location,
        uri: Text::default(),
        args: Text::OfHead(head.query),
        uri_changed: false,
        rewritten: false,
        slots: RefCell::new(slots),
        captures: None,
        internal: false,
        subrequest: false,
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
        pipelined,
        fills_cache: false,
        kept: None,
        revalidate: None,
        real_client: None,
        nesting: Cell::new(0),
        limited: None,
        overloaded: false,
        head,
    }
}

/// Chooses the server and makes the URI normal; the status if that cannot be done.
fn place(exchange: &mut Exchange) -> Result<(), u16> {
    exchange.host = normal_host(&exchange.head)?;
    let active = &exchange.active;
    let listen = listen_index(active, &exchange.client);
    let router = &active.shared.router;
    let (server, captures) =
        router.server(listen, exchange.host.of(&exchange.head)).map_err(|_| 500u16)?;
    exchange.server = server;
    let plan = active.server(server);
    exchange.location = plan.fallback;
    let path = exchange.head.path;
    let normal = route::normalise_uri(exchange.head.text(path), plan.merge_slashes);
    exchange.uri = Text::made_from(path, normal.map_err(|_| 400u16)?);
    if let Some(captures) = captures {
        exchange.take_captures(captures);
    }
    Ok(())
}

/// The host that the request names, in normal form; 400 if it is none.
fn normal_host(head: &RequestHead) -> Result<Text, u16> {
    let of_field = || head.headers.iter().find(|field| field.known == KnownHeader::Host);
    let host = match (head.target_host, head.plain_host) {
        (None, Some(plain)) => return Ok(Text::OfHead(plain)),
        (Some(host), _) => host,
        (None, None) => of_field().map_or(Slice::default(), |field| field.value),
    };
    if host.is_empty() {
        return Ok(Text::default());
    }
    let normal = route::host::normalise(head.text(host)).map_err(|_| 400u16)?;
    Ok(Text::made_from(host, normal))
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
        let outcome = match next {
            Next::Respond(response) => break response,
            Next::Close => {
                if exchange.sent.status == 0 {
                    exchange.sent.status = 444;
                }
                crate::log::access::write(exchange);
                return After::Close;
            }
            // In boxes: an idle connection must not be as large as one that waits for an upstream.
            Next::Wait(time) => Box::pin(limit::wait(wire, exchange, time)).await,
            Next::Call => Box::pin(crate::call::call(wire, exchange)).await,
            Next::Admit => Box::pin(crate::auth::admit(wire, exchange)).await,
        };
        let Some(outcome) = outcome else {
            exchange.sent.status = 499;
            crate::log::access::write(exchange);
            return After::Close;
        };
        next = phases::settle(exchange, outcome);
    };
    // The body of a request that nobody wanted is only thrown away after the answer, but whether
    // the connection can be kept must be said before it.
    if exchange.body.is_too_long_to_discard() {
        exchange.must_close = true;
    }
    let response = finish::filter(exchange, response);
    let keep_alive = finish::send(wire, exchange, response).await;
    limit::give_back(exchange);
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
    client: &Rc<Client>,
    wire: &mut Wire,
    error: Option<RequestError>,
) -> After {
    let Some(active) = thread.active() else { return After::Close };
    let mut place = begin(thread, active, client, (no_head(wire), false));
    let Some(exchange) = place.exchange() else { return After::Close };
    exchange.must_close = true;
    let (status, text) = match error {
        Some(error) => (error.nginx_status(), error.text()),
        None => (408, "client timed out (110: Connection timed out)"),
    };
    exchange.log(LogLevel::Info, &format!("{text} while reading client request headers"));
    if status == 408 {
        exchange.sent.status = 408;
        crate::log::access::write(exchange);
        return After::Close;
    }
    let outcome = error_pages::answer(exchange, status, None);
    let next = phases::settle(exchange, outcome);
    match answer(wire, exchange, next).await {
        After::KeepAlive | After::Linger => After::Linger,
        After::Close => After::Linger,
    }
}

/// What stands for the head of a request that has none: as much of its first line as there is.
fn no_head(wire: &Wire) -> RequestHead {
    let end = memchr::memchr2(b'\r', b'\n', &wire.buffer).unwrap_or(wire.buffer.len());
    let line = wire.buffer.get(..end.min(1024)).unwrap_or(&[]);
    RequestHead {
        bytes: BytesMut::from(line),
        method: Method::Get,
        method_text: Default::default(),
        target: Default::default(),
        path: Default::default(),
        query: Default::default(),
        has_query: false,
        target_host: None,
        plain_host: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<F: Future>(_: fn(Rc<Thread>, Stream, Box<Client>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small_although_answering_needs_no_box() {
        let bytes = future_bytes(serve);
        assert!(bytes <= 1024, "{bytes}");
    }
}
