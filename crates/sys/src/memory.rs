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
    let mut file = new_file(name, libc::MFD_CLOEXEC)?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn new_file(name: &str, flags: libc::c_uint) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a NUL-terminated string that outlives the call.
    let number = check(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
    // SAFETY: the call succeeded; the descriptor is new and ours alone.
    Ok(unsafe { File::from_raw_fd(number) })
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
    /// Makes a new array; its pages exist once they are written to. Nobody can make it shorter:
    /// that would kill whoever else has it mapped.
    ///
    /// # Errors
    /// Out of memory or descriptors; zero words.
    pub fn create(words: usize) -> io::Result<SharedWords> {
        let file = new_file("propylon-shared", libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)?;
        let bytes = words.checked_mul(8).ok_or(io::ErrorKind::InvalidInput)?;
        file.set_len(bytes as u64)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: plain call with numbers on a descriptor we own.
        check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
        SharedWords::map(file.into(), words)
    }

    /// Maps all of the array behind a descriptor that another process made.
    ///
    /// # Errors
    /// As [`SharedWords::map`].
    pub fn map_all(fd: OwnedFd) -> io::Result<SharedWords> {
        let file = File::from(fd);
        let bytes = usize::try_from(file.metadata()?.len());
        let words = bytes.map_err(|_| io::ErrorKind::InvalidInput)? / 8;
        SharedWords::map(file.into(), words)
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
    #[inline]
    pub fn at(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        // SAFETY: inside the mapping (checked above), page-aligned start, alive as long as self;
        // other processes reach it through atomics as well.
        unsafe { self.start.add(index).as_ref() }
    }

    /// Copies `bytes` to the place `at` bytes behind the start. Who else may look there is agreed
    /// on beside it, in words that are read and written by [`SharedWords::at`].
    ///
    /// # Panics
    /// If the bytes do not fit: the caller's own arithmetic is wrong.
    #[inline]
    pub fn copy_in(&self, at: usize, bytes: &[u8]) {
        self.check_range(at, bytes.len());
        // SAFETY: inside the mapping (checked above), which `bytes`, a Rust slice, cannot overlap.
        // A process that breaks the agreement spoils bytes, which the reader checks; no reference
        // to this memory is ever made.
        unsafe {
            let to = self.start.as_ptr().cast::<u8>().add(at);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }

    /// Fills `out` from `at` bytes behind the start; the counterpart of [`SharedWords::copy_in`].
    ///
    /// # Panics
    /// If there are not so many bytes: the caller's own arithmetic is wrong.
    #[inline]
    pub fn copy_out(&self, at: usize, out: &mut [u8]) {
        self.check_range(at, out.len());
        // SAFETY: as in `copy_in`.
        unsafe {
            let from = self.start.as_ptr().cast::<u8>().add(at);
            std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len());
        }
    }

    /// The `bytes` bytes that begin `at` bytes behind the start; as [`SharedWords::copy_out`], with
    /// memory of their own.
    ///
    /// # Panics
    /// If there are not so many bytes: the caller's own arithmetic is wrong.
    pub fn copied_out(&self, at: usize, bytes: usize) -> Vec<u8> {
        self.check_range(at, bytes);
        let mut out = Vec::with_capacity(bytes);
        // SAFETY: as in `copy_in`; the new memory has room for `bytes`.
        unsafe {
            let from = self.start.as_ptr().cast::<u8>().add(at);
            std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), bytes);
        }
        // SAFETY: so many have just been written.
        unsafe { out.set_len(bytes) };
        out
    }

    fn check_range(&self, at: usize, bytes: usize) {
        let end = at.checked_add(bytes);
        assert!(end.is_some_and(|end| end <= self.words * 8), "{bytes} bytes at byte {at}");
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
    fn bytes_copied_in_are_copied_out_and_nobody_can_cut_the_memory_off() {
        let first = SharedWords::create(4).unwrap();
        let second = SharedWords::map_all(first.fd().try_clone_to_owned().unwrap()).unwrap();
        first.copy_in(9, b"some bytes");
        let mut out = [0; 10];
        second.copy_out(9, &mut out);
        assert_eq!(&out, b"some bytes");
        let file = File::from(second.fd().try_clone_to_owned().unwrap());
        assert!(file.set_len(8).is_err());
    }

    #[test]
    #[should_panic(expected = "17 bytes at byte 16")]
    fn bytes_beyond_the_end_are_refused() {
        SharedWords::create(4).unwrap().copy_in(16, &[0; 17]);
    }

    #[test]
    fn a_mapping_longer_than_its_file_is_refused() {
        let first = SharedWords::create(8).unwrap();
        assert!(SharedWords::map(first.fd().try_clone_to_owned().unwrap(), 9).is_err());
    }
}
