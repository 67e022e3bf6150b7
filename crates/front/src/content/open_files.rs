//! Small files that are asked for often, kept in memory.
//!
//! Each request looks at the file's metadata (one system call); contents are used as long as
//! size, times, device and inode stay what they were, so a changed or replaced file is seen by
//! the very next request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;

use crate::relay::{Body, FilePart};

/// Files up to this size are kept; larger ones go out by sendfile(2).
pub const KEPT_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of all kept files of one thread; beyond it the table is emptied.
const TABLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Kept files of one thread, by path.
#[derive(Debug, Default)]
pub struct OpenFiles {
    table: RefCell<Table>,
}

#[derive(Debug, Default)]
struct Table {
    files: HashMap<Vec<u8>, Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    identity: Identity,
    contents: Bytes,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file may have been written within the clock's resolution: its contents must
    /// not be kept then, because a second write would not show.
    fn is_fresh(&self) -> bool {
        let now = i64::try_from(crate::clock::now().as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(self.changed.0.saturating_mul(1000) + self.changed.1 / 1_000_000) < 100
    }
}

/// Something that was found under a path.
#[expect(clippy::large_enum_variant, reason = "lives for a moment on the stack of the hot path")]
#[derive(Debug)]
pub enum Found {
    /// A regular file.
    File(Metadata, Body),
    /// A directory.
    Directory,
    /// Neither.
    Special,
}

impl OpenFiles {
    /// An empty table.
    pub fn new() -> OpenFiles {
        OpenFiles::default()
    }

    /// Opens what is under a path.
    ///
    /// # Errors
    /// As of stat(2), open(2) and read(2).
    pub fn open(&self, path: &[u8]) -> io::Result<Found> {
        let name = super::paths::as_path(path);
        let metadata = std::fs::metadata(name)?;
        if metadata.is_dir() {
            return Ok(Found::Directory);
        }
        if !metadata.is_file() {
            return Ok(Found::Special);
        }
        if metadata.len() > KEPT_BYTES_MAX {
            return large(name);
        }
        let identity = Identity::of(&metadata);
        let mut table = self.table.borrow_mut();
        if let Some(kept) = table.files.get(path).filter(|kept| kept.identity == identity) {
            return Ok(Found::File(metadata, memory(kept.contents.clone())));
        }
        let (metadata, contents) = read_small(name)?;
        let identity = Identity::of(&metadata);
        if contents.len() as u64 == metadata.len() && !identity.is_fresh() {
            table.keep(path, Kept { identity, contents: contents.clone() });
        }
        Ok(Found::File(metadata, memory(contents)))
    }
}

impl Table {
    fn keep(&mut self, path: &[u8], kept: Kept) {
        if self.bytes + kept.contents.len() > TABLE_BYTES_MAX {
            self.files.clear();
            self.bytes = 0;
        }
        self.bytes += kept.contents.len();
        if let Some(old) = self.files.insert(path.to_vec(), kept) {
            self.bytes -= old.contents.len();
        }
    }
}

fn memory(contents: Bytes) -> Body {
    if contents.is_empty() { Body::Empty } else { Body::Memory(contents) }
}

/// Opens without waiting for the other end should the path have become a named pipe meanwhile.
fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(sys::send::OPEN_NON_BLOCKING).open(path)
}

fn large(path: &Path) -> io::Result<Found> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    let part = FilePart { file: Rc::new(file), offset: 0, bytes: metadata.len() };
    Ok(Found::File(metadata, Body::File(part)))
}

fn read_small(path: &Path) -> io::Result<(Metadata, Bytes)> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    let mut contents = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    file.take(metadata.len()).read_to_end(&mut contents)?;
    Ok((metadata, Bytes::from(contents)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_seen_by_the_next_request() {
        let path = std::env::temp_dir().join(format!("front-open-{}", std::process::id()));
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        let files = OpenFiles::new();
        for text in ["one", "two", "three"] {
            std::fs::write(&path, text).unwrap();
            let Found::File(_, Body::Memory(contents)) = files.open(bytes).unwrap() else {
                panic!("no file");
            };
            assert_eq!(contents, text.as_bytes());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(files.open(bytes).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
