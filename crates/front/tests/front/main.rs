//! The front as a whole, spoken to over real sockets.

mod common;
mod serving;
mod upstreams;
