//! The front as a whole, spoken to over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod common;
mod serving;
mod upstreams;
