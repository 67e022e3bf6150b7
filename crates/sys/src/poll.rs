//! Waiting for many descriptors at once.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Waits until one of `fds` can be read, or has ended, or `timeout_ms` is over (`None` waits for
/// ever), and says which are ready, in the same order. An interrupting signal ends the wait with
/// nothing ready.
///
/// # Errors
/// Out of memory.
pub fn readable(fds: &[BorrowedFd<'_>], timeout_ms: Option<u64>) -> io::Result<Vec<bool>> {
    wait(fds, libc::POLLIN, timeout_ms)
}

/// Waits until one of `fds` can be written; otherwise as [`readable`].
///
/// # Errors
/// Out of memory.
pub fn writable(fds: &[BorrowedFd<'_>], timeout_ms: Option<u64>) -> io::Result<Vec<bool>> {
    wait(fds, libc::POLLOUT, timeout_ms)
}

fn wait(
    fds: &[BorrowedFd<'_>],
    events: libc::c_short,
    timeout_ms: Option<u64>,
) -> io::Result<Vec<bool>> {
    let mut list: Vec<libc::pollfd> =
        fds.iter().map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }).collect();
    let timeout = timeout_ms.map_or(-1, |ms| ms.min(i32::MAX as u64) as libc::c_int);
    // SAFETY: pointer and length are those of one vector.
    let result = unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, timeout) };
    if result < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok(vec![false; fds.len()]);
    }
    Ok(list.iter().map(|entry| entry.revents != 0).collect())
}
