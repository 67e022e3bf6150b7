//! The master's decisions, without a system call or a clock: events and the time go in, actions
//! come out.
//!
//! Rooms: [`app`] (nurseries and workers of one app), [`front`] (the front's processes),
//! [`backoff`] (when to try again). [`crate::driver`] turns the world into events and actions
//! into the world.

pub mod app;
pub mod backoff;
pub mod front;

pub use app::AppMachine;
pub use front::FrontMachine;

/// Milliseconds of the monotonic clock.
pub type Millis = u64;

/// How a child process ended, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
    /// It is gone; nobody told us how.
    Unknown,
}

/// How loud a line of the master's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// The usual course of things.
    Notice,
    /// Something the operator should look at.
    Error,
}
