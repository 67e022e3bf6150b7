//! The file formats: a text and a section to `key`, `value` and where they stand.

use std::ops::Range;

use crate::row::Format;

mod ini;
mod xml;
mod yaml;

/// One option of a file. Ranges are bytes of the text as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The option's name, magic replaced.
    pub key: String,
    /// Its value, magic replaced; `None` for a bare word.
    pub value: Option<String>,
    /// Where the name is.
    pub key_at: Range<usize>,
    /// Where the value is; the name's place if there is none.
    pub value_at: Range<usize>,
}

/// What a file held for one section.
#[derive(Debug, Default)]
pub struct Lines {
    /// The options, in order.
    pub lines: Vec<Line>,
    /// Whether the section is there at all.
    pub section_found: bool,
    /// The sections that are there, for the message.
    pub sections: Vec<String>,
    /// Why the text could not be understood to its end, and where.
    pub broken: Option<(String, usize)>,
}

/// Reads the options of one section. `magic` replaces the magic characters of a text.
pub fn read(format: Format, text: &str, section: &str, magic: &dyn Fn(&str) -> String) -> Lines {
    match format {
        Format::Ini => ini::read(text, section, magic),
        Format::Yaml | Format::Json => yaml::read(text, section, magic),
        Format::Xml => xml::read(text, section, magic),
    }
}

/// The format that a file's name tells.
pub fn format_of(path: &str) -> Option<Format> {
    let ending = path.rsplit_once('.')?.1;
    match ending.to_ascii_lowercase().as_str() {
        "ini" => Some(Format::Ini),
        "yml" | "yaml" => Some(Format::Yaml),
        "json" | "js" => Some(Format::Json),
        "xml" => Some(Format::Xml),
        _ => None,
    }
}
