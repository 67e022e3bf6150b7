//! Codecs without I/O: bytes in, messages out, and back.
//!
//! Rooms: [`http1`] (request and response heads, the chunked coding), [`uwsgi`] (packets, both
//! ways), [`cgi`] (one table: request to CGI variables), [`channel`] (between our own front and
//! workers), [`mailbox`] (the same through shared memory), [`control`] (between the master and
//! its children).
//!
//! Invariants: no socket, no clock, no thread in here; "need more bytes" is a value, not an
//! error; nothing in here panics on bytes from outside.

pub mod cgi;
pub mod channel;
pub mod control;
pub mod http1;
pub mod mailbox;
pub mod uwsgi;
