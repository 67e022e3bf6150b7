//! The master: starts the app's processes and the front, watches them, reloads, stops.
//!
//! Rooms: [`machine`] (every decision, pure: events and time in, actions out), `driver` (the
//! loop that turns the world into events and actions into the world), `sockets` (listening
//! sockets, kept over reloads), `log` (the master's own lines), `place` (pid files, daemon,
//! limits: what is done once, before anything is started).
//!
//! Invariants: the master runs neither Python nor client bytes; it has one thread; it never waits
//! for a child outside `poll`; every listening socket lives here, so nothing is refused while
//! others restart.

pub mod machine;
