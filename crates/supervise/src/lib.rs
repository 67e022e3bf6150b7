//! The master: starts the app's processes and the front, watches them, reloads, stops.
//!
//! Rooms: [`machine`] (every decision, pure: events and time in, actions out), [`driver`] (the
//! loop that turns the world into events and actions into the world), [`sockets`] (listening
//! sockets, kept over reloads), [`control`] (messages to children), [`log`] (the master's own
//! lines), [`launch`] (what the executable asks for: plans, pid files, background), [`watch`] (files
//! whose touching asks for a reload).
//!
//! Invariants: the master runs neither Python nor client bytes; it has one thread; it never waits
//! for a child outside `poll`; every listening socket lives here, so nothing is refused while
//! others restart.

pub mod control;
pub mod driver;
pub mod launch;
pub mod log;
pub mod machine;
pub mod sockets;
pub mod watch;

pub use driver::run;
pub use launch::{AppLaunch, FrontLaunch, Launch, PidFile, Place, Reloaded};
