//! HTTP/1.0 and HTTP/1.1 (RFC 9112), read one way, written one way.
//!
//! Rooms: `limits` (what a request may cost), `scan` (a request head as ranges, resumable, no
//! allocation of its own), `fields` (what the header fields decide together), `target` (the four
//! target forms and the Host value), `request` ([`RequestReader`]), `chunked` (the chunked
//! coding), `response` ([`ResponseReader`]), `write` (request heads and chunks on their way out),
//! `bytes` (which byte may stand where).
//!
//! Invariants: a byte is looked at once while a head trickles in; after an error the connection
//! is dead, nothing more may be read from it; leniencies are only those that cannot be used to
//! smuggle (a bare LF ends a line of a head, but never of the chunked coding).

mod bytes;
mod chunked;
mod fields;
mod limits;
mod request;
mod response;
mod scan;
mod target;
mod write;

pub use self::chunked::{Chunk, ChunkError, ChunkedDecoder};
pub use self::limits::{InvalidNames, RequestError, RequestLimits};
pub use self::request::RequestReader;
pub use self::response::{ResponseError, ResponseReader, ResponseStyle};
pub use self::scan::{RequestScan, ScannedHead, scan_request};
pub use self::target::is_valid_host;
pub use self::write::{CHUNK_END, LAST_CHUNK, write_chunk_prefix, write_request_head};
