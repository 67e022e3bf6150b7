//! The magic characters: `%d`, `%n`, `%k` and their like, replaced in the text of a file before
//! anything else is understood.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Context;

/// What the letters mean in one file.
#[derive(Clone, Debug, Default)]
pub struct Magic {
    file: FileFacts,
    first: FileFacts,
}

/// The letters about a file.
#[derive(Clone, Debug, Default)]
pub struct FileFacts {
    given: String,
    absolute: String,
    section: String,
    inode: u64,
}

impl FileFacts {
    /// `given` as the user wrote it, `absolute` without links, `section` as asked for.
    pub fn new(given: &str, absolute: &Path, section: &str) -> FileFacts {
        FileFacts {
            given: given.to_owned(),
            absolute: absolute.display().to_string(),
            section: section.to_owned(),
            inode: std::fs::metadata(absolute).map_or(0, |meta| meta.ino()),
        }
    }

    fn name(&self) -> &str {
        self.absolute.rsplit('/').next().unwrap_or("")
    }

    /// With the slash at the end.
    fn directory(&self) -> &str {
        self.absolute.rfind('/').map_or("", |at| &self.absolute[..=at])
    }

    fn directory_name(&self) -> &str {
        self.directory().trim_end_matches('/').rsplit('/').next().unwrap_or("")
    }

    /// The meaning of a lower-case letter.
    fn value(&self, letter: char) -> Option<String> {
        let name = self.name();
        Some(match letter {
            'o' => self.given.clone(),
            'p' => self.absolute.clone(),
            's' => name.to_owned(),
            'd' => self.directory().to_owned(),
            'n' => name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned(),
            'e' => name.rsplit_once('.').map_or("", |(_, ending)| ending).to_owned(),
            'c' => self.directory_name().to_owned(),
            'x' => self.section.clone(),
            'i' => self.inode.to_string(),
            'j' => format!("{:08X}", path_hash(&self.absolute).swap_bytes()),
            _ => return None,
        })
    }
}

impl Magic {
    /// `first` is the first file of the run, for the upper-case letters.
    pub fn new(file: FileFacts, first: FileFacts) -> Magic {
        Magic { file, first }
    }

    /// Replaces all magic characters. An unknown one disappears, as with uWSGI; a `%` before
    /// `(` or at the end stays.
    pub fn replace(&self, text: &str, context: &Context) -> String {
        let mut out = String::with_capacity(text.len());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some('(') => out.push_str("%("),
                Some(letter) => out.push_str(&self.value(letter, context)),
                None => out.push('%'),
            }
        }
        out
    }

    fn value(&self, letter: char, context: &Context) -> String {
        match letter {
            '%' => "%".to_owned(),
            '[' => "\u{1b}".to_owned(),
            'v' => context.working_directory.display().to_string(),
            'b' => context.program.display().to_string(),
            'h' => context.host_name.clone(),
            't' => context.now.as_secs().to_string(),
            'T' => context.now.as_micros().to_string(),
            'V' => context.version.to_owned(),
            'k' => context.processors.to_string(),
            'u' => context.user.0.to_string(),
            'U' => context.user.1.clone(),
            'g' => context.group.0.to_string(),
            'G' => context.group.1.clone(),
            '0'..='9' => self.component(letter),
            _ => {
                let of_file = if letter.is_ascii_uppercase() {
                    self.first.value(letter.to_ascii_lowercase())
                } else {
                    self.file.value(letter)
                };
                of_file.unwrap_or_default()
            }
        }
    }

    /// The directories of the file's path, from 0.
    fn component(&self, digit: char) -> String {
        let index = digit.to_digit(10).unwrap_or(0) as usize;
        let mut parts = self.file.directory().split('/').filter(|part| !part.is_empty());
        parts.nth(index).unwrap_or("").to_owned()
    }
}

/// A stable number per path; printed lowest byte first it is the one uWSGI prints.
fn path_hash(path: &str) -> u32 {
    path.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte))
}
