//! A request on its way to an upstream, as the front hands it over.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use plan::front::GroupId;
use plan::front::upstream::PeerAddress;
use tls::Identity;
use tokio::sync::mpsc;

/// A request for an upstream.
#[derive(Debug)]
pub struct Outgoing {
    /// Whom to call.
    pub whom: Whom,
    /// Under TLS, and as whom the peer must show itself; `None` is plain text.
    pub tls: Option<Arc<Identity>>,
    /// What to say before the body.
    pub say: Say,
    /// The body.
    pub body: OutgoingBody,
    /// The answer to a HEAD request has no body, whatever its fields say.
    pub method_is_head: bool,
    /// The request may be repeated without harm (RFC 9110, 9.2.2).
    pub idempotent: bool,
    /// The client's address, for `ip_hash`.
    pub client: Option<IpAddr>,
}

/// Whom to call.
#[derive(Clone, Debug)]
pub enum Whom {
    /// A group of the plan.
    Group(GroupId),
    /// An address that was worked out for this request, and how it is written in logs.
    Address(PeerAddress, String),
}

/// What to say before the body.
#[derive(Debug)]
pub enum Say {
    /// A uwsgi packet.
    Uwsgi {
        /// The variables, coded.
        vars: Vec<u8>,
        /// `uwsgi_modifier1`.
        modifier1: u8,
        /// `uwsgi_modifier2`.
        modifier2: u8,
    },
    /// A complete HTTP/1 request head, the empty line included. It announces the body's length,
    /// or the chunked coding if the body's length is not known.
    Http {
        /// The head.
        head: Vec<u8>,
    },
}

/// A request body.
#[derive(Debug)]
pub enum OutgoingBody {
    /// There is none.
    None,
    /// In memory.
    Memory(Bytes),
    /// In a file, from offset 0, so many bytes.
    File(File, u64),
    /// Still arriving, with its length if that is known. The end of the channel is the end of
    /// the body; an error is passed on by cutting the request. HTTP/1 sends it in chunks if the
    /// length is not known.
    Stream(mpsc::Receiver<io::Result<Bytes>>, Option<u64>),
}
