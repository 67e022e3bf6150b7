//! Reading, checking and writing the files of objects.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cache::{DirectoryStamp, Hash, Times};
use md5::{Digest, Md5};
use sys::send::{OPEN_NO_LINK, OPEN_NON_BLOCKING};

use super::MEMORY_OBJECT_BYTES_MAX;
use super::format::{DESCRIPTION_BYTES_MAX, Description, FIXED_BYTES, FixedHead};
use super::image::Image;

/// Bytes read at once while a body is checked.
const CHECK_BYTES: usize = 256 * 1024;

/// Bytes read at once when a file is loaded.
const BEGINNING_BYTES: u64 = 16 * 1024;

const OPEN_FLAGS: i32 = OPEN_NON_BLOCKING | OPEN_NO_LINK;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub inode: u64,
    pub bytes: u64,
    pub modified_seconds: i64,
    pub modified_ns: u32,
}

/// Why there is no object in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadError {
    /// There is no file, or it cannot be read now.
    Unreadable,
    /// It is not, or not any more, what was written.
    Damaged,
    /// It is longer than the caller wants to check here.
    TooLongForHere,
}

/// Makes a directory and those above it, for our user only.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file for reading. What is not a file (a FIFO or a link that somebody put there) neither
/// blocks nor is read as one: a link's file could change without its directory's telling.
pub(super) fn open(path: &Path) -> io::Result<(File, Stamp)> {
    let file = File::options().read(true).custom_flags(OPEN_FLAGS).open(path)?;
    let stamp = stamp_of(&file.metadata()?)?;
    Ok((file, stamp))
}

/// What is there now, without opening it.
pub(super) fn look(path: &Path) -> io::Result<Stamp> {
    stamp_of(&std::fs::symlink_metadata(path)?)
}

/// What a directory is now. A link to one is followed, as it is on the way to every file.
pub(super) fn look_at_directory(path: &Path) -> io::Result<DirectoryStamp> {
    let data = std::fs::metadata(path)?;
    // Past the year 2262 every look finds a change, which is right, if slow.
    let time = |seconds: i64, ns: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(ns);
    Ok(DirectoryStamp {
        device: data.dev(),
        inode: data.ino(),
        modified_unix_ns: time(data.mtime(), data.mtime_nsec()),
        changed_unix_ns: time(data.ctime(), data.ctime_nsec()),
    })
}

fn stamp(file: &File) -> io::Result<Stamp> {
    stamp_of(&file.metadata()?)
}

fn stamp_of(data: &Metadata) -> io::Result<Stamp> {
    if !data.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Stamp {
        inode: data.ino(),
        bytes: data.size(),
        modified_seconds: data.mtime(),
        modified_ns: data.mtime_nsec() as u32,
    })
}

/// Reads a file and checks all of it, unless its body is longer than `body_bytes_max`.
pub(super) fn load(path: &Path, body_bytes_max: u64) -> Result<Image, LoadError> {
    let (mut file, stamp) = open(path).map_err(|_| LoadError::Unreadable)?;
    // A small object is read at once.
    let mut beginning = vec![0; stamp.bytes.min(BEGINNING_BYTES) as usize];
    file.read_exact(&mut beginning).map_err(|_| LoadError::Damaged)?;
    let (fixed, description) = heads(&file, &beginning, stamp).ok_or(LoadError::Damaged)?;
    if fixed.body_len > body_bytes_max {
        return Err(LoadError::TooLongForHere);
    }
    let offset = (FIXED_BYTES + description.len()) as u64;
    let (sum, body) = if fixed.body_len <= MEMORY_OBJECT_BYTES_MAX {
        let body = small_body(&file, beginning, offset, fixed.body_len);
        let body = body.map_err(|_| LoadError::Damaged)?;
        (Hash::of(&[&body]), Some(body))
    } else {
        let sum = sum_of_rest(&file, offset, fixed.body_len);
        (sum.map_err(|_| LoadError::Damaged)?, None)
    };
    if sum != fixed.body_sum {
        return Err(LoadError::Damaged);
    }
    Ok(Image::new(fixed.times, stamp, &description, body.as_deref()))
}

/// Reads a file's heads; the body is not looked at, but its length must be right.
fn heads(file: &File, beginning: &[u8], stamp: Stamp) -> Option<(FixedHead, Bytes)> {
    let fixed = FixedHead::decode(beginning.first_chunk()?)?;
    let description_len = fixed.description_len as usize;
    if description_len > DESCRIPTION_BYTES_MAX {
        return None;
    }
    let body_offset = FIXED_BYTES + description_len;
    if (body_offset as u64).checked_add(fixed.body_len)? != stamp.bytes {
        return None;
    }
    let mut description = vec![0; description_len];
    match beginning.get(FIXED_BYTES..body_offset) {
        Some(found) => description.copy_from_slice(found),
        None => file.read_exact_at(&mut description, FIXED_BYTES as u64).ok()?,
    }
    if Hash::of(&[&description]) != fixed.description_sum {
        return None;
    }
    let description = Bytes::from(description);
    Description::decode(&description, fixed.body_len)?;
    Some((fixed, description))
}

fn small_body(file: &File, mut beginning: Vec<u8>, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    if offset + len == beginning.len() as u64 {
        return Ok(beginning.split_off(offset as usize));
    }
    let mut body = vec![0; len as usize];
    file.read_exact_at(&mut body, offset)?;
    Ok(body)
}

fn sum_of_rest(file: &File, mut offset: u64, mut left: u64) -> io::Result<Hash> {
    let mut digest = Md5::new();
    let mut buffer = vec![0; CHECK_BYTES];
    while left > 0 {
        let wanted = left.min(CHECK_BYTES as u64) as usize;
        let piece = buffer.get_mut(..wanted).unwrap_or_default();
        file.read_exact_at(piece, offset)?;
        digest.update(&*piece);
        offset += wanted as u64;
        left -= wanted as u64;
    }
    Ok(Hash(digest.finalize().into()))
}

/// Creates a file beside the one it will replace; missing directories are made.
pub(super) fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("{name}.{}-{number:010}", std::process::id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    match options.open(&temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(path.parent().unwrap_or(path))?;
            Ok((options.open(&temporary)?, temporary))
        }
        result => Ok((result?, temporary)),
    }
}

/// Writes the heads of a file whose body is in place, and gives it its name.
pub(super) fn finish(
    file: &File,
    temporary: &Path,
    path: &Path,
    heads: &[u8],
) -> io::Result<Stamp> {
    file.write_all_at(heads, 0)?;
    let stamp = stamp(file)?;
    if let Err(error) = std::fs::rename(temporary, path) {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        // The variant's directory may be another one than the file was made in.
        make_directory(path.parent().unwrap_or(path))?;
        std::fs::rename(temporary, path)?;
    }
    Ok(stamp)
}

/// Writes new times into a file, if it still is the one that was stamped.
pub(super) fn rewrite_times(
    path: &Path,
    times: Times,
    stamped: Stamp,
) -> io::Result<Option<Stamp>> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).custom_flags(OPEN_FLAGS).open(path)?;
    if stamp(&file)? != stamped {
        return Ok(None);
    }
    let mut fixed = [0; FIXED_BYTES];
    file.read_exact_at(&mut fixed, 0)?;
    let fixed = FixedHead::decode(&fixed).ok_or(io::ErrorKind::InvalidData)?;
    file.write_all_at(&FixedHead { times, ..fixed }.encode(), 0)?;
    stamp(&file).map(Some)
}
