//! Calls to upstreams: peer groups and their health, retries, and one exchange for every
//! protocol.
//!
//! Rooms: `peers` (who is chosen: a policy without clock and sockets), `group` (a group as this
//! thread uses it), `pool` (its idle connections), `connect`, `request` (what is known about a
//! request over its attempts), `send` (it on its way out), `exchange` (one attempt with one
//! peer), `call` (attempts until one answers), `answer` (body pieces), `spares` (memory that is
//! used again), `apps` (the private channel to our own workers), `trace` (what the `$upstream_*`
//! variables say), `error`.
//!
//! Invariants: everything but [`PeerStates`] belongs to one thread and its runtime (a `LocalSet`
//! must be running); an answer that ends before its announced end is an error, never a short
//! body; dropping a call or an answer closes what it used.

mod answer;
pub mod apps;
mod call;
mod connect;
mod error;
mod exchange;
mod group;
mod outgoing;
mod peers;
mod pool;
mod request;
mod send;
mod spares;
mod trace;

pub use answer::{Answer, AnswerBody, Piece};
pub use apps::{AppChannels, AppDoor, after_sleep, before_sleep, look};
pub use call::Upstreams;
pub use error::{CallError, Fault};
pub use outgoing::{Outgoing, OutgoingBody, Say, Whom};
pub use peers::PeerStates;
pub use trace::{Attempt, CallTrace};
