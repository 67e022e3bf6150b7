//! Memory that processes share: sealed-off files in memory and arrays of atomic words.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use crate::check;

/// A file that lives in memory only (memfd), holding `bytes`, its offset at the start.
///
/// # Errors
/// Out of memory or descriptors; a `name` with NUL in it.
pub fn memory_file(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a NUL-terminated string that outlives the call.
    let number = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the call succeeded; the descriptor is new and ours alone.
    let mut file = unsafe { File::from_raw_fd(number) };
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// An array of 64-bit words shared between processes; all zero at first.
#[derive(Debug)]
pub struct SharedWords {
    /// Invariant: a live mapping of `words` words, unmapped only by `drop`.
    start: NonNull<AtomicU64>,
    words: usize,
    fd: OwnedFd,
}

// SAFETY: the mapping is only reached through atomics and stays until drop.
unsafe impl Send for SharedWords {}
// SAFETY: as above: `AtomicU64` may be used from every thread.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// Makes a new array.
    ///
    /// # Errors
    /// Out of memory or descriptors; zero words.
    pub fn create(words: usize) -> io::Result<SharedWords> {
        let fd = memory_file("propylon-scoreboard", b"")?;
        let bytes = words.checked_mul(8).ok_or(io::ErrorKind::InvalidInput)?;
        let bytes = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: plain call on a descriptor we own.
        check(unsafe { libc::ftruncate(fd.as_raw_fd(), bytes) })?;
        SharedWords::map(fd, words)
    }

    /// Maps the array behind a descriptor that another process made.
    ///
    /// # Errors
    /// The file is shorter than `words` words, or there are none.
    pub fn map(fd: OwnedFd, words: usize) -> io::Result<SharedWords> {
        let bytes = words.checked_mul(8).ok_or(io::ErrorKind::InvalidInput)?;
        let file = File::from(fd);
        // A mapping beyond the end of its file would kill the process on access.
        if bytes == 0 || file.metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(SharedWords { start, words, fd: file.into() })
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words
    }

    /// Whether there are none (never: a mapping has at least one).
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }

    /// The word at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`SharedWords::len`]: the caller's own arithmetic is wrong.
    pub fn at(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        // SAFETY: inside the mapping (checked above), page-aligned start, alive as long as self;
        // other processes reach it through atomics as well.
        unsafe { self.start.add(index).as_ref() }
    }

    /// The descriptor, for handing it to another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: start and length are those of the mapping made in `map`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.words * 8) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_word_written_through_one_mapping_is_read_through_another() {
        let first = SharedWords::create(8).unwrap();
        let second = SharedWords::map(first.fd().try_clone_to_owned().unwrap(), 8).unwrap();
        first.at(7).store(42, Ordering::Release);
        assert_eq!(second.at(7).load(Ordering::Acquire), 42);
        assert_eq!(second.at(0).load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_mapping_longer_than_its_file_is_refused() {
        let first = SharedWords::create(8).unwrap();
        assert!(SharedWords::map(first.fd().try_clone_to_owned().unwrap(), 9).is_err());
    }
}
