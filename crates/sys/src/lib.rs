//! The one room for system calls: descriptors, memory, clocks, processes, signals, users, sockets.
//!
//! Everything here is a thin, safe wrapper that says what it needs and what it leaves behind; no
//! policy. Rooms: [`fdpass`] (messages with descriptors), [`memory`] (memory files, shared
//! words), [`clock`], [`process`] (start, reap, kill, daemonise), [`signals`] (signalfd),
//! [`users`] (look-ups, dropping privileges for good), [`listen`] (listening sockets), [`poll`],
//! [`files`] (pid files, log files, limits), [`title`], [`futex`] (sleeping threads),
//! [`epoll`], [`eventfd`], [`socket`] (streams without waiting), [`resident`] (memory that only
//! start-up needed), [`crypt`] (stored passwords).
//!
//! Invariant: every descriptor made here is close-on-exec; a child gets only what
//! [`process::Child::inherit`] names.

#![allow(unsafe_code)]

pub mod clock;
pub mod crypt;
pub mod epoll;
pub mod eventfd;
pub mod fdpass;
pub mod files;
pub mod futex;
pub mod listen;
pub mod memory;
pub mod poll;
pub mod process;
pub mod resident;
pub mod send;
pub mod signals;
pub mod socket;
pub mod title;
pub mod users;

use std::io;

/// Turns the -1 of a system call into the error it left in `errno`.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
