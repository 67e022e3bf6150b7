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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn replaced(text: &str) -> String {
        let context = Context {
            working_directory: PathBuf::from("/work"),
            program: PathBuf::from("/usr/bin/propylon"),
            processors: 4,
            host_name: "host".to_owned(),
            now: std::time::Duration::from_millis(5_001),
            user: (1000, "sammy".to_owned()),
            group: (33, "www-data".to_owned()),
            version: "2.0.31",
        };
        let file =
            FileFacts::new("sites/shop.tar.ini", Path::new("/srv/sites/shop.tar.ini"), "dev");
        let first = FileFacts::new("main.ini", Path::new("/srv/main.ini"), "");
        Magic::new(file, first).replace(text, &context)
    }

    #[test]
    fn every_magic_character_has_its_meaning() {
        let meanings = [
            ("%o %O", "sites/shop.tar.ini main.ini"),
            ("%p %P", "/srv/sites/shop.tar.ini /srv/main.ini"),
            ("%s %S", "shop.tar.ini main.ini"),
            ("%d %D", "/srv/sites/ /srv/"),
            ("%n %N", "shop.tar main"),
            ("%e %E", "ini ini"),
            ("%c %C", "sites srv"),
            ("%x.%X", "dev."),
            ("%0 %1 %2.", "srv sites ."),
            ("%v %b %h", "/work /usr/bin/propylon host"),
            ("%t %T %V %k", "5 5001000 2.0.31 4"),
            ("%u %U %g %G", "1000 sammy 33 www-data"),
            ("%[", "\u{1b}"),
        ];
        for (text, meaning) in meanings {
            assert_eq!(replaced(text), meaning, "{text}");
        }
    }

    #[test]
    fn an_unknown_character_disappears_and_references_stay() {
        assert_eq!(replaced("a%zb %(d) 100%% %"), "ab %(d) 100% %");
    }
}
