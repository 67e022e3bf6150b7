//! Files that the configuration names: found, read, and their options taken.

use diag::{Problem, Severity, Span};

use super::{Collector, Given, Origin, span};
use crate::files;
use crate::magic::{FileFacts, Magic};
use crate::row::{Fault, Format};
use crate::rows;

/// Files that read files that read files: a ring, most likely.
const DEPTH_MAX: usize = 16;

/// A configuration file is never this large.
const FILE_BYTES_MAX: u64 = 16 << 20;

impl Collector<'_> {
    /// Reads `path`, `path:section` or `:section` of the last file.
    pub fn include(&mut self, name: &str, format: Option<Format>, at: Span) {
        if self.depth >= DEPTH_MAX {
            let message = format!("files are read more than {DEPTH_MAX} deep: {name}");
            self.report(at, Fault::fatal(message, "look for a file that reads itself"));
            return;
        }
        let (path, section) = match self.split_section(name) {
            Ok(parts) => parts,
            Err(fault) => return self.report(at, fault),
        };
        let Some(format) = format.or_else(|| files::format_of(&path)) else {
            let message = format!("the ending of the file does not tell its format: {path}");
            let hint = "write `ini = FILE`, `yaml = FILE`, `json = FILE` or `xml = FILE`";
            return self.report(at, Fault::fatal(message, hint));
        };
        let text = match self.read_text(&path) {
            Ok(text) => text,
            Err(reason) => {
                let message = format!("cannot read the configuration file `{path}`: {reason}");
                self.tell(Severity::Error, at, message, None);
                return;
            }
        };
        self.take_file(&path, &section, format, text, at);
    }

    fn take_file(&mut self, path: &str, section: &str, format: Format, text: String, at: Span) {
        let facts = FileFacts::new(path, &self.absolute(path), section);
        let first = self.first_file.get_or_insert_with(|| facts.clone()).clone();
        let magic = Magic::new(facts, first);
        let wanted = if section.is_empty() { "uwsgi" } else { section };
        let context = self.context;
        let found = files::read(format, &text, wanted, &|text: &str| magic.replace(text, context));
        let source = self.sources.add(path, text);
        if !found.section_found && found.broken.is_none() {
            self.section_missing(path, wanted, &found.sections, at);
        }
        self.last_file = Some(path.to_owned());
        self.depth += 1;
        for line in found.lines {
            self.add(Given {
                entry: rows::find(&line.key),
                bare: line.value.is_none(),
                value: line.value.unwrap_or_default(),
                key: line.key,
                origin: Origin::File,
                placeholder: false,
                deliberate: false,
                key_at: span(source, &line.key_at),
                value_at: span(source, &line.value_at),
            });
        }
        self.depth -= 1;
        self.last_file = Some(path.to_owned());
        if let Some((message, at)) = found.broken {
            self.tell(Severity::Error, span(source, &(at..at)), message, None);
        }
    }

    /// A whole name that is a file is a file; otherwise the last colon starts the section.
    fn split_section(&self, name: &str) -> Result<(String, String), Fault> {
        if let Some((scheme, _)) = name.split_once("://") {
            let message = format!("configuration is read from files only, not `{scheme}://`");
            return Err(Fault::fatal(message, "fetch it into a file before the start"));
        }
        if name.is_empty() {
            return Err(Fault::fatal("the name of the file is empty", "write `FILE:SECTION`"));
        }
        let (path, section) = match name.rsplit_once(':') {
            Some((path, section)) if !self.absolute(name).exists() => (path, section),
            _ => (name, ""),
        };
        if !path.is_empty() {
            return Ok((path.to_owned(), section.to_owned()));
        }
        match &self.last_file {
            Some(last) => Ok((last.clone(), section.to_owned())),
            None => Err(Fault::fatal(
                format!("no file was read before `:{section}`"),
                "write `FILE:SECTION`",
            )),
        }
    }

    fn read_text(&self, path: &str) -> Result<String, String> {
        let path = self.context.working_directory.join(path);
        let meta = std::fs::metadata(&path).map_err(|error| error.to_string())?;
        if meta.is_dir() {
            return Err("it is a directory".to_owned());
        }
        if meta.len() > FILE_BYTES_MAX {
            return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
        }
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn section_missing(&mut self, path: &str, wanted: &str, there: &[String], at: Span) {
        let hint = match there {
            [] => format!("put `[{wanted}]` above the options"),
            [only] => format!("write `{path}:{only}`, or call the section `[{wanted}]`"),
            _ => {
                let names: Vec<String> = there.iter().map(|name| format!("`{name}`")).collect();
                format!("the file has {}", names.join(", "))
            }
        };
        let place = Some(self.sources.place(at));
        let message = format!("can't find section `{wanted}` in configuration file {path}");
        self.problems.push(Problem {
            severity: Severity::Warning,
            place,
            message,
            hint: Some(hint),
        });
    }
}
