//! epoll(7): readiness of many descriptors, told in batches.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::check;

/// What to be told about a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// There is something to read, or the end.
    pub read: bool,
    /// There is room to write.
    pub write: bool,
    /// Tell once, then be silent until the next [`Epoll::change`].
    pub once: bool,
    /// The descriptor is shared with other processes: wake one of the waiters, not all. Cannot
    /// be changed afterwards, only removed, and excludes `once`.
    pub exclusive: bool,
    /// Tell what has become true since the last time, not what is true: who is told reads until
    /// nothing is left, or is not told again.
    pub edge: bool,
}

impl Interest {
    /// Readable, told as long as it is true.
    pub const READ: Interest =
        Interest { read: true, write: false, once: false, exclusive: false, edge: false };

    fn bits(self) -> u32 {
        let mut bits = 0;
        if self.read {
            bits |= libc::EPOLLIN;
            if !self.exclusive {
                bits |= libc::EPOLLRDHUP;
            }
        }
        if self.write {
            bits |= libc::EPOLLOUT;
        }
        if self.once {
            bits |= libc::EPOLLONESHOT;
        }
        if self.exclusive {
            bits |= libc::EPOLLEXCLUSIVE;
        }
        if self.edge {
            bits |= libc::EPOLLET;
        }
        bits as u32
    }
}

/// One descriptor's readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The number given at [`Epoll::add`].
    pub token: u64,
    /// Readable, or at its end, or broken: a read will not wait.
    pub readable: bool,
    /// Writable, or broken: a write will not wait.
    pub writable: bool,
}

/// Room for a batch of events.
pub struct Events {
    room: Vec<libc::epoll_event>,
    filled: usize,
    next: usize,
}

impl Events {
    /// Room for `events_max` of them.
    pub fn with_room(events_max: usize) -> Events {
        let empty = libc::epoll_event { events: 0, u64: 0 };
        Events { room: vec![empty; events_max.max(1)], filled: 0, next: 0 }
    }

    /// Events of the batch that nobody has taken yet.
    pub fn left(&self) -> usize {
        self.filled.saturating_sub(self.next)
    }

    /// Takes the next event out of the batch.
    pub fn take(&mut self) -> Option<Event> {
        if self.next >= self.filled {
            return None;
        }
        let raw = *self.room.get(self.next)?;
        self.next += 1;
        let bits = raw.events;
        let broken = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        Some(Event {
            token: raw.u64,
            readable: bits & ((libc::EPOLLIN | libc::EPOLLRDHUP) as u32 | broken) != 0,
            writable: bits & (libc::EPOLLOUT as u32 | broken) != 0,
        })
    }
}

/// An epoll descriptor.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    /// Makes one, close-on-exec.
    ///
    /// # Errors
    /// As of epoll_create1(2).
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: takes a flag only.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
        Ok(Epoll { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Begins to watch a descriptor.
    ///
    /// # Errors
    /// As of epoll_ctl(2).
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest.bits())
    }

    /// Changes what is watched of a descriptor.
    ///
    /// # Errors
    /// As of epoll_ctl(2).
    pub fn change(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest.bits())
    }

    /// Stops watching a descriptor.
    ///
    /// # Errors
    /// As of epoll_ctl(2).
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// Waits for events: `timeout_ms` `None` is for ever, 0 is a look. A signal ends the wait
    /// with an empty batch. Events of the batch before that were not taken are dropped.
    ///
    /// # Errors
    /// As of epoll_wait(2), EINTR excepted.
    pub fn wait(&self, events: &mut Events, timeout_ms: Option<u64>) -> io::Result<usize> {
        events.filled = 0;
        events.next = 0;
        let timeout = timeout_ms.map_or(-1, |ms| i32::try_from(ms).unwrap_or(i32::MAX));
        let room = i32::try_from(events.room.len()).unwrap_or(i32::MAX);
        // SAFETY: the room is at least as long as the number that is passed.
        let count = unsafe {
            libc::epoll_wait(self.fd.as_raw_fd(), events.room.as_mut_ptr(), room, timeout)
        };
        match usize::try_from(count) {
            Ok(count) => events.filled = count,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
        Ok(events.filled)
    }

    fn control(
        &self,
        operation: libc::c_int,
        fd: BorrowedFd<'_>,
        token: u64,
        bits: u32,
    ) -> io::Result<()> {
        let mut event = libc::epoll_event { events: bits, u64: token };
        // SAFETY: both descriptors are borrowed and therefore open; the event outlives the call.
        check(unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd.as_raw_fd(), &mut event)
        })?;
        Ok(())
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_byte_is_told_with_its_token_and_once_means_once() {
        let epoll = Epoll::new().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        let interest = Interest { once: true, ..Interest::READ };
        epoll.add(near.as_fd(), 7, interest).unwrap();
        let mut events = Events::with_room(4);
        assert_eq!(epoll.wait(&mut events, Some(0)).unwrap(), 0);
        far.write_all(b"x").unwrap();
        assert_eq!(epoll.wait(&mut events, Some(1000)).unwrap(), 1);
        assert_eq!(events.take(), Some(Event { token: 7, readable: true, writable: false }));
        assert_eq!(events.take(), None);
        assert_eq!(epoll.wait(&mut events, Some(0)).unwrap(), 0);
        epoll.change(near.as_fd(), 8, interest).unwrap();
        assert_eq!(epoll.wait(&mut events, Some(1000)).unwrap(), 1);
        assert_eq!(events.take().unwrap().token, 8);
    }

    #[test]
    fn with_edges_the_same_byte_is_told_once_and_the_next_one_again() {
        let epoll = Epoll::new().unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        epoll.add(near.as_fd(), 7, Interest { edge: true, ..Interest::READ }).unwrap();
        let mut events = Events::with_room(4);
        far.write_all(b"x").unwrap();
        assert_eq!(epoll.wait(&mut events, Some(1000)).unwrap(), 1);
        assert_eq!(epoll.wait(&mut events, Some(0)).unwrap(), 0);
        far.write_all(b"y").unwrap();
        assert_eq!(epoll.wait(&mut events, Some(1000)).unwrap(), 1);
    }
}
