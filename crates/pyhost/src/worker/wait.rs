//! Waiting for one descriptor, detached from Python, across signals.

use std::io;
use std::os::fd::BorrowedFd;

use pyo3::Python;
use sys::clock::monotonic_ms;

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Bytes to read, or the end.
    Input,
    /// Room to write.
    Room,
}

/// Waits up to `timeout_ms`; false if nothing happened.
///
/// # Errors
/// As of poll(2).
pub fn wait(py: Python<'_>, fd: BorrowedFd<'_>, what: For, timeout_ms: u64) -> io::Result<bool> {
    py.detach(|| wait_detached(fd, what, timeout_ms))
}

/// The same for a caller that is detached already.
///
/// # Errors
/// As of poll(2).
pub fn wait_detached(fd: BorrowedFd<'_>, what: For, timeout_ms: u64) -> io::Result<bool> {
    let end = monotonic_ms().saturating_add(timeout_ms);
    loop {
        let left = end.saturating_sub(monotonic_ms());
        let ready = match what {
            For::Input => sys::poll::readable(&[fd], Some(left))?,
            For::Room => sys::poll::writable(&[fd], Some(left))?,
        };
        if ready.first() == Some(&true) {
            return Ok(true);
        }
        if left == 0 {
            return Ok(false);
        }
    }
}
