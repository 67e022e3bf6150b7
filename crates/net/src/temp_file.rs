//! Files for bodies that do not fit into memory: they have no name once they are open.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use sys::files::open_nameless;

/// Creates a file for reading and writing in `directory`, readable by its owner only, without a
/// name, so that nothing is left behind however the process ends.
///
/// # Errors
/// Of opening the file; a missing directory is created first, for its owner only.
pub fn unnamed(directory: &Path) -> io::Result<File> {
    match open_nameless(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            open_nameless(directory)
        }
        result => result,
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
