//! Files for bodies that do not fit into memory: they have no name once they are open.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names tried before giving up; a name is only taken if an earlier process died between
/// creating and removing it.
const TRIES_MAX: u32 = 16;

/// Creates a file for reading and writing in `directory`, readable by its owner only, without a
/// name, so that nothing is left behind however the process ends.
///
/// # Errors
/// Of opening or removing the file; a missing directory is created first, for its owner only.
pub fn unnamed(directory: &Path) -> io::Result<File> {
    match sys::files::open_nameless(directory) {
        Ok(Some(file)) => Ok(file),
        // The name is removed at once where there has to be one.
        Ok(None) => named_for_a_moment(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => named_for_a_moment(directory),
        Err(error) => Err(error),
    }
}

fn named_for_a_moment(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut tries = 0;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{}-{number:010}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries == 0 => {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES_MAX => {}
            Err(error) => return Err(error),
        }
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_temporary_file_leaves_no_name_behind_and_its_directory_is_made() {
        let base = std::env::temp_dir().join(format!("net-temp-{}", std::process::id()));
        let directory = base.join("deep");
        let file = unnamed(&directory).unwrap();
        assert!(file.metadata().unwrap().is_file());
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        let mode = std::fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        // Now that the directory is there.
        assert_eq!(
            unnamed(&directory).unwrap().metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        std::fs::remove_dir_all(base).unwrap();
    }
}
