//! Waking another process that waits for events (eventfd(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// A new one, close-on-exec and non-blocking.
///
/// # Errors
/// Out of descriptors or memory.
pub fn new() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let number = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the call succeeded; the descriptor is new and ours alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Wakes whoever waits for it to become readable; edge-triggered waiting need never read it.
pub fn signal(event: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: the bytes live through the call and are as many as it is told. It fails only if
    // the count is at its limit, and then whoever waits has been woken before.
    unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::epoll::{Epoll, Events, Interest};

    #[test]
    fn a_signal_makes_it_readable() {
        let event = new().unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(event.as_fd(), 1, Interest::READ).unwrap();
        let mut events = Events::with_room(1);
        assert_eq!(epoll.wait(&mut events, Some(0)).unwrap(), 0);
        signal(event.as_fd());
        assert_eq!(epoll.wait(&mut events, Some(0)).unwrap(), 1);
    }
}
