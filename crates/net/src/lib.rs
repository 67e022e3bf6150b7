//! Sockets, time and buffers of the front: what stands between protocols and the kernel.
//!
//! Rooms: [`listener`] (accepting on shared sockets), [`stream`] (a client's connection, TCP or
//! Unix), [`tls`] (the same under TLS), [`watch`] (one coarse deadline per connection), [`spares`]
//! (what a thread keeps for reuse), [`pool`] (read buffers that idle connections give back),
//! [`temp_file`] (bodies that do not fit into memory), [`store`] (cached objects).
//!
//! Invariants: everything here belongs to one thread and its runtime; an idle connection holds
//! no read buffer; a deadline that passes wakes its task exactly once.

pub mod listener;
pub mod pool;
pub mod spares;
pub mod store;
pub mod stream;
pub mod temp_file;
pub mod tls;
pub mod watch;

pub use listener::Listener;
pub use pool::BufferPool;
pub use spares::Spares;
pub use stream::{Peer, Stream};
pub use watch::{Watch, Watched};
