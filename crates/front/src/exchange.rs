//! One request and everything known about it, from its complete head to its log line.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use message::{Headers, KnownHeader, Method, RequestHead, Slice};
use net::Peer;
use plan::front::{LocationId, LocationPlan, LogLevel, ServerId, ServerPlan};
use route::Captures;
use upstream::CallTrace;

use crate::limit::Limited;
use crate::real_ip::RealClient;
use crate::request_body::RequestBody;
use crate::runtime::Active;
use crate::secure::Security;
use crate::thread::Thread;

/// Internal redirects one request may take; a configuration that needs more goes in a circle.
pub const REDIRECTS_MAX: u8 = 10;

/// Variables of blocks that may need one another for one value.
pub const NESTING_MAX: u8 = 32;
/// In place of their number: they go in a circle.
pub const NESTING_CYCLE: u8 = u8::MAX;

/// A client's connection, as its requests see it.
#[derive(Debug)]
pub struct Client {
    /// Number of the connection, unique within the process.
    pub number: u64,
    /// Where it comes from.
    pub peer: Peer,
    /// `$remote_addr`.
    pub address: String,
    /// Our end; `None` on a Unix socket.
    pub local: Option<SocketAddr>,
    /// Which listening socket.
    pub listen: plan::Address,
    /// Its index in a plan, with that plan's generation.
    pub listen_index: Cell<(u64, usize)>,
    /// When it was accepted.
    pub opened: Instant,
    /// Requests that have begun on it.
    pub requests: Cell<u32>,
    /// Whether it is under TLS.
    pub security: Security,
}

/// What went out, for the log and `$sent_http_NAME`.
#[derive(Debug, Default)]
pub struct Sent {
    /// Status; 0 as long as nothing was sent.
    pub status: u16,
    /// All bytes.
    pub bytes: u64,
    /// Bytes of bodies, framing not counted.
    pub body_bytes: u64,
    /// Compression ratio times 100, if compressed.
    pub gzip_ratio: Option<u64>,
    /// Fields of the head.
    pub headers: Headers,
    /// Whether the response went out whole.
    pub complete: bool,
}

/// What upstreams did for the request.
#[derive(Debug, Default)]
pub struct UpstreamFacts {
    /// Peers tried.
    pub trace: CallTrace,
    /// Fields of the last answer, before anything was hidden.
    pub headers: Headers,
    /// `$upstream_cache_status`.
    pub cache_status: Option<&'static str>,
}

/// Why the status differs from what the content answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorPageInUse {
    /// Status to send instead of 200; `None` sends what the page answers.
    pub status: Option<u16>,
}

/// Validators of a stored answer.
#[derive(Clone, Debug)]
pub struct Revalidate {
    /// Its Last-Modified.
    pub modified: Option<Bytes>,
    /// Its ETag.
    pub tag: Option<Bytes>,
}

/// Fields of an answer that only said where the content is, and what a client is asked that may not
/// come in: they go out with the content, whoever makes it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Its Content-Type.
    pub content_type: Option<Bytes>,
    /// The others, in order.
    pub headers: Headers,
}

/// A text of a request: a piece of its head as long as it can be used as it came.
#[derive(Clone, Debug)]
pub enum Text {
    /// That piece.
    OfHead(Slice),
    /// Bytes of its own.
    Own(Bytes),
}

impl Text {
    /// What a piece of the head became: `normal` is the piece, or its beginning, if nothing had to
    /// be changed.
    pub fn made_from(piece: Slice, normal: Cow<'_, [u8]>) -> Text {
        match normal {
            Cow::Borrowed(text) => {
                let end = piece.start + text.len() as u32;
                Text::OfHead(Slice { start: piece.start, end })
            }
            Cow::Owned(text) => Text::Own(Bytes::from(text)),
        }
    }

    /// The bytes; `head` is the request's.
    pub fn of<'a>(&'a self, head: &'a RequestHead) -> &'a [u8] {
        match self {
            Text::OfHead(piece) => head.text(*piece),
            Text::Own(bytes) => bytes,
        }
    }
}

impl Default for Text {
    fn default() -> Text {
        Text::OfHead(Slice::default())
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Exchange {
    /// The thread that serves it.
    pub thread: Rc<Thread>,
    /// The configuration it is served by, to its end.
    pub active: Rc<Active>,
    /// Its connection.
    pub client: Rc<Client>,
    /// The head.
    pub head: RequestHead,
    /// Host without port, lower case.
    pub host: Text,
    /// Method; an error page turns it into GET.
    pub method: Method,
    /// Virtual server.
    pub server: ServerId,
    /// Location (or `if` block) in force.
    pub location: LocationId,
    /// Normalised URI.
    pub uri: Text,
    /// Arguments.
    pub args: Text,
    /// The URI is no longer the one of the request line.
    pub uri_changed: bool,
    /// The location in force has changed the URI, and serves it all the same.
    pub rewritten: bool,
    /// User variables.
    pub slots: RefCell<Vec<Option<Bytes>>>,
    /// Captures of the last match.
    pub captures: Option<Box<Captures>>,
    /// Reached by an internal redirect.
    pub internal: bool,
    /// A question of ours about a client's request, whose method stands in the head: nobody's access
    /// is checked again.
    pub subrequest: bool,
    /// Internal redirects taken.
    pub redirects: u8,
    /// An error page is being made.
    pub error_page: Option<ErrorPageInUse>,
    /// The body.
    pub body: RequestBody,
    /// When the head was complete.
    pub started: Instant,
    /// Bytes of the request as received.
    pub request_bytes: u64,
    /// `limit_rate` of an upstream in bytes per second; 0 is none.
    pub limit_rate: u64,
    /// The connection cannot be kept after this.
    pub must_close: bool,
    /// The upstream wants its answer passed on as it comes.
    pub unbuffered: bool,
    /// It was there already when the request before it had been answered.
    pub pipelined: bool,
    /// The answer is going to be stored.
    pub fills_cache: bool,
    /// What was said about the content to come, by an `X-Accel-Redirect` or a refusal.
    pub kept: Option<Box<Kept>>,
    /// A stored answer that the upstream is asked to confirm.
    pub revalidate: Option<Box<Revalidate>>,
    /// Who asks, if a trusted proxy tells another address than its own.
    pub real_client: Option<Box<RealClient>>,
    /// How many variables of blocks (`map` and its like) are being made, one for the other.
    pub nesting: Cell<u8>,
    /// What `limit_req` and `limit_conn` said, if they had anything to say.
    pub limited: Option<Box<Limited>>,
    /// An upstream had too many requests waiting: worth another try soon.
    pub overloaded: bool,
    /// What went out.
    pub sent: Sent,
    /// What upstreams did.
    pub upstream: UpstreamFacts,
}

/// Where one request stands: outside of its connection, which is smaller while it is idle.
#[derive(Debug, Default)]
pub struct Place(Box<Option<Exchange>>);

impl Place {
    /// Puts a request there.
    pub fn fill(&mut self, exchange: Exchange) {
        *self.0 = Some(exchange);
    }

    /// The request that stands there.
    pub fn exchange(&mut self) -> Option<&mut Exchange> {
        Option::as_mut(&mut self.0)
    }

    /// Ends the request that stands there.
    pub fn clear(&mut self) {
        *self.0 = None;
    }
}

impl Exchange {
    /// Puts a location in force, or for a method that its `limit_except` means what stands there.
    pub fn enter(&mut self, location: LocationId) {
        self.location = location;
        if let Some(limit) = &self.location().limit_except
            && !limit.methods.iter().any(|method| method.as_bytes() == self.method_text())
        {
            self.location = limit.location;
        }
    }

    /// The location in force.
    pub fn location(&self) -> &LocationPlan {
        self.active.location(self.location)
    }

    /// The virtual server.
    pub fn server(&self) -> &ServerPlan {
        self.active.server(self.server)
    }

    /// The host without port, lower case; empty if the request names none.
    pub fn host(&self) -> &[u8] {
        self.host.of(&self.head)
    }

    /// The normalised URI.
    pub fn uri(&self) -> &[u8] {
        self.uri.of(&self.head)
    }

    /// The arguments, without the question mark.
    pub fn args(&self) -> &[u8] {
        self.args.of(&self.head)
    }

    /// The request line without its line end.
    pub fn request_line(&self) -> &[u8] {
        let bytes = &self.head.bytes;
        let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
        let line = bytes.get(..end).unwrap_or(&[]);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Whether the answer has no body because of the method.
    pub fn is_head(&self) -> bool {
        self.method == Method::Head
    }

    /// Time since the head was complete.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Who asks: the connection's peer, or whom that has the right to name.
    pub fn peer(&self) -> Peer {
        self.real_client.as_ref().map_or(self.client.peer, |client| Peer::Inet(client.address))
    }

    /// `$remote_addr`.
    pub fn remote_address(&self) -> &str {
        self.real_client.as_ref().map_or(&self.client.address, |client| &client.text)
    }

    /// Host as a redirect names it: the server's own if that is wanted, else the request's, else our
    /// address.
    pub fn redirect_host(&self) -> Bytes {
        let manners = &self.location().manners;
        let name = &self.server().first_name;
        if manners.server_name_in_redirect && !name.is_empty() {
            return Bytes::copy_from_slice(name.as_bytes());
        }
        match self.client.local {
            Some(SocketAddr::V4(local)) if self.host().is_empty() => local.ip().to_string().into(),
            Some(SocketAddr::V6(local)) if self.host().is_empty() => {
                format!("[{}]", local.ip()).into()
            }
            _ => Bytes::copy_from_slice(self.host()),
        }
    }

    /// First value of a request header.
    pub fn header(&self, known: KnownHeader) -> Option<&[u8]> {
        self.head.header(known)
    }

    /// Writes to the error log.
    pub fn log(&self, level: LogLevel, message: &str) {
        crate::log::error::write(self, level, message, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_in_the_head_unless_it_was_changed() {
        let piece = Slice { start: 6, end: 12 };
        let beginning = Text::made_from(piece, Cow::Borrowed(b"host"));
        let Text::OfHead(Slice { start: 6, end: 10 }) = beginning else { panic!("{beginning:?}") };
        let changed = Text::made_from(piece, Cow::Owned(b"HOST".to_vec()));
        let Text::Own(bytes) = changed else { panic!("{changed:?}") };
        assert_eq!(bytes, "HOST");
    }
}
