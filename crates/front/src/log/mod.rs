//! Log lines: where they go, and the two kinds of them.
//!
//! Rooms: [`files`] (log files shared by all threads, buffered per thread until the thread has
//! nothing else to do), [`access`] (access log formats), [`error`] (nginx's error line).

pub mod access;
pub mod error;
pub mod files;

pub use files::LogFiles;
