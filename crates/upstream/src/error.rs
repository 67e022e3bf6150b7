//! Why a call failed, in the words nginx's users know from their error logs.

use std::fmt;
use std::io;

use net::tls::HandshakeError;
use proto::http1::{ChunkError, ResponseError};

/// Whose fault a failed call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The upstream could not be reached, broke its answer, or died.
    Upstream,
    /// The upstream took too long.
    UpstreamTooSlow,
    /// More requests wait for the upstream than we keep waiting.
    Overload,
    /// The client's body ended early.
    Client,
    /// A limit of our own.
    Us,
}

/// A failed call, or an answer that broke off.
#[derive(Clone, Debug)]
pub struct CallError {
    /// Whose fault.
    pub fault: Fault,
    /// The status to answer with if nothing has been sent yet.
    pub status: u16,
    /// One line for the error log.
    pub message: String,
}

impl fmt::Display for CallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

/// What was being done when it failed; nginx ends its sentences with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum During {
    Connecting,
    ShakingHands,
    Sending,
    ReadingHead,
    ReadingBody,
}

/// Why one attempt failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub kind: FailureKind,
    pub message: String,
    /// Not a byte of an answer had come, and not a byte of the request was surely seen.
    pub nothing_received: bool,
}

/// What a failure means for `*_next_upstream` and for the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    Error,
    Timeout,
    InvalidHead,
    Overload,
    /// The client's body broke off: no retry, no blame for the peer.
    ClientBody,
    /// The request is too large for the protocol.
    TooLarge,
    /// The worker gave up and says with which status.
    Aborted(u16),
}

impl During {
    fn text(self) -> &'static str {
        match self {
            During::Connecting => "while connecting to upstream",
            During::ShakingHands => "while SSL handshaking to upstream",
            During::Sending => "while sending request to upstream",
            During::ReadingHead => "while reading response header from upstream",
            During::ReadingBody => "while reading upstream",
        }
    }
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), nothing_received: false }
    }

    pub fn connect(written: &str, error: &io::Error) -> Failure {
        let kind = FailureKind::Error;
        let (reason, during) = (errno_text(error), During::Connecting.text());
        // An address is named beside the message, a path in it.
        let whom =
            if written.starts_with("unix:") { format!(" to {written}") } else { String::new() };
        Failure::new(kind, format!("connect(){whom} failed {reason} {during}"))
    }

    pub fn call(call: &str, error: &io::Error, during: During) -> Failure {
        let reason = errno_text(error);
        Failure::new(FailureKind::Error, format!("{call}() failed {reason} {}", during.text()))
    }

    /// `name` is whom the peer should have been.
    pub fn handshake(error: &HandshakeError, name: &str) -> Failure {
        let closed = "peer closed connection in SSL handshake";
        let reason = match error {
            HandshakeError::PeerGone => closed.to_owned(),
            HandshakeError::Socket(error) => format!("{closed} {}", errno_text(error)),
            HandshakeError::Session(error) => tls::peer::told(error, name),
            HandshakeError::TurnedAway => "SSL_do_handshake() failed".to_owned(),
        };
        Failure::new(FailureKind::Error, format!("{reason} {}", During::ShakingHands.text()))
    }

    /// A read has failed, of the socket or of what was sealed in it.
    pub fn read(error: &io::Error, during: During) -> Failure {
        match error.kind() {
            io::ErrorKind::InvalidData => {
                let text = format!("SSL_read() failed (SSL: {error}) {}", during.text());
                Failure::new(FailureKind::Error, text)
            }
            _ => Failure::call("recv", error, during),
        }
    }

    pub fn timed_out(during: During) -> Failure {
        let text = format!("upstream timed out (110: Connection timed out) {}", during.text());
        Failure::new(FailureKind::Timeout, text)
    }

    pub fn closed_early(during: During) -> Failure {
        let text = format!("upstream prematurely closed connection {}", during.text());
        Failure::new(FailureKind::Error, text)
    }

    pub fn head(error: ResponseError) -> Failure {
        let text = format!("{} {}", error.text(), During::ReadingHead.text());
        Failure::new(FailureKind::InvalidHead, text)
    }

    pub fn chunk(_error: ChunkError) -> Failure {
        let text = format!("upstream sent invalid chunked response {}", During::ReadingBody.text());
        Failure::new(FailureKind::Error, text)
    }

    pub fn status(&self) -> u16 {
        match self.kind {
            FailureKind::Error | FailureKind::InvalidHead => 502,
            FailureKind::Timeout => 504,
            FailureKind::Overload => 503,
            FailureKind::ClientBody => 400,
            FailureKind::TooLarge => 431,
            FailureKind::Aborted(status) => status,
        }
    }

    pub fn into_error(self) -> CallError {
        let fault = match self.kind {
            FailureKind::Timeout => Fault::UpstreamTooSlow,
            FailureKind::Overload => Fault::Overload,
            FailureKind::ClientBody => Fault::Client,
            FailureKind::TooLarge => Fault::Us,
            _ => Fault::Upstream,
        };
        CallError { fault, status: self.status(), message: self.message }
    }
}

/// `(2: No such file or directory)`, as nginx writes it.
fn errno_text(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return format!("({error})") };
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
    format!("({number}: {text})")
}
