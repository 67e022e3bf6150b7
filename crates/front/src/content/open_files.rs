//! Small files that are asked for often, kept in memory.
//!
//! A request looks at the file's metadata (one system call); contents are used as long as size,
//! times, device and inode stay what they were, so a changed or replaced file is seen by the very
//! next request. Only a file that is asked for again and again is looked at less often: from the
//! [`HOT`]th look within [`LOOK_MS`] on, the looks of that time stand for the others.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use sys::clock::coarse_ms;

use crate::relay::{Body, FilePart};

/// Files up to this size are kept; larger ones go out by sendfile(2).
pub const KEPT_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of all kept files of one thread; beyond it the table is emptied.
const TABLE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long looks at a file's metadata stand for others: a hot file that changes is noticed within
/// this time.
const LOOK_MS: u64 = 500;
/// Looks within that time that make a file hot.
const HOT: u32 = 16;

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
    metadata: Metadata,
    contents: Bytes,
    /// When the looks began that are counted, by [`coarse_ms`].
    since_ms: u64,
    looks: u32,
}

impl Kept {
    /// Whether the last looks stand for this one.
    fn is_hot(&self, now_ms: u64) -> bool {
        self.looks >= HOT && now_ms.saturating_sub(self.since_ms) < LOOK_MS
    }

    /// A look found the file unchanged.
    fn note_look(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.since_ms) < LOOK_MS {
            self.looks += 1;
            return;
        }
        // What was hot stays so at the price of this one look.
        self.since_ms = now_ms;
        self.looks = if self.looks >= HOT { HOT } else { 1 };
    }

    fn found(&self) -> Found {
        Found::File(self.metadata.clone(), memory(self.contents.clone()))
    }
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
        let now_ms = coarse_ms();
        let mut table = self.table.borrow_mut();
        let kept = table.files.get_mut(path);
        if let Some(hot) = kept.as_deref().filter(|kept| kept.is_hot(now_ms)) {
            return Ok(hot.found());
        }
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
        if let Some(kept) = kept.filter(|kept| Identity::of(&kept.metadata) == identity) {
            kept.note_look(now_ms);
            return Ok(kept.found());
        }
        let (metadata, contents) = read_small(name)?;
        if contents.len() as u64 == metadata.len() && !Identity::of(&metadata).is_fresh() {
            let (metadata, contents) = (metadata.clone(), contents.clone());
            table.keep(path, Kept { metadata, contents, since_ms: now_ms, looks: 1 });
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

    #[test]
    fn looks_stand_for_others_only_once_a_file_is_hot_and_only_for_their_time() {
        let metadata = std::fs::metadata("/").unwrap();
        let mut kept = Kept { metadata, contents: Bytes::new(), since_ms: 1000, looks: 1 };
        for _ in 1..HOT {
            assert!(!kept.is_hot(1000));
            kept.note_look(1000);
        }
        assert!(kept.is_hot(1000 + LOOK_MS - 1) && !kept.is_hot(1000 + LOOK_MS));
        kept.note_look(1000 + LOOK_MS);
        assert!(kept.is_hot(1000 + LOOK_MS));
        kept.looks = 1;
        kept.note_look(9000);
        assert!(!kept.is_hot(9000));
    }
}
