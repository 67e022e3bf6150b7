//! Which files an `include` names, and their texts.

use std::io;
use std::path::{Path, PathBuf};

use crate::builtin;

/// Largest file that is read as configuration.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A file that cannot be read, in nginx's words.
#[derive(Debug)]
pub struct Unreadable {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The files behind `pattern`, sorted; none is fine for a pattern with wildcards.
pub fn files(conf_directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let full = conf_directory.join(pattern);
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![full]);
    }
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let Some(text) = full.to_str() else {
        return Ok(Vec::new());
    };
    let paths = glob::glob_with(text, options)
        .map_err(|error| format!("glob() \"{text}\" failed: {}", error.msg))?;
    let mut found: Vec<PathBuf> = paths.filter_map(Result::ok).collect();
    found.sort();
    Ok(found)
}

/// The text of a file.
pub fn text(path: &Path) -> Result<String, Unreadable> {
    read(path).map(into_text).map_err(|error| unreadable(path, &error))
}

/// The built-in copy of a file that is not on this machine, if it is one that stands beside
/// nginx.conf where nginx is installed.
pub fn built_in(path: &Path, conf_directory: &Path) -> Option<&'static str> {
    let beside = path.parent() == Some(conf_directory) || path.starts_with("/etc/nginx");
    let missing = !path.exists() && !path.is_symlink();
    if beside && missing { builtin::file(path) } else { None }
}

fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is over 64 MiB"));
    }
    std::fs::read(path)
}

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    let call = if error.raw_os_error() == Some(21) { "pread()" } else { "open()" };
    let hint = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
        diag::nearest(name, builtin::names()).map(|near| format!("did you mean `{near}`?"))
    });
    Unreadable {
        message: format!("{call} \"{}\" failed ({})", path.display(), os_words(error)),
        hint,
    }
}

/// `2: No such file or directory`, as nginx prints errors of the system.
pub fn os_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let text = error.to_string();
            let words = text.split(" (os error").next().unwrap_or(&text);
            format!("{number}: {words}")
        }
        None => error.to_string(),
    }
}
