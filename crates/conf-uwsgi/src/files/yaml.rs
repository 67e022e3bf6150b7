//! yaml, and json as the part of yaml that it is: `section: {key: value, key: [value, …]}`.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::{Line, Lines};

/// What stands at a place of the document.
enum Node {
    Scalar(String, Marker),
    Sequence,
    Mapping,
    /// The end of the collection around.
    End,
}

struct Reader<'text> {
    parser: Parser<'text, StrInput<'text>>,
    broken: Option<(String, usize)>,
}

/// Reads one section, the value of one key of the outermost mapping.
pub fn read(text: &str, section: &str, magic: &dyn Fn(&str) -> String) -> Lines {
    // Magic characters come first: a plain value may not even start with `%` in yaml.
    let replaced = magic(text);
    let mut found = Lines::default();
    let mut reader = Reader { parser: Parser::new_from_str(&replaced), broken: None };
    if let Some(Node::Mapping) = reader.next() {
        read_root(&mut reader, text, section, &mut found);
    } else if reader.broken.is_none() {
        reader.broken = Some(("the outermost thing is not a mapping of sections".to_owned(), 1));
    }
    found.broken = reader.broken.map(|(message, line)| (message, line_start(text, line)));
    found
}

fn read_root(reader: &mut Reader<'_>, text: &str, section: &str, found: &mut Lines) {
    while let Some(Node::Scalar(name, _)) = reader.next() {
        let asked = name == section;
        found.section_found |= asked;
        found.sections.push(name);
        match reader.next() {
            Some(Node::Mapping) if asked => read_section(reader, text, found),
            Some(Node::Mapping | Node::Sequence) => reader.skip(),
            Some(_) => {}
            None => return,
        }
    }
}

fn read_section(reader: &mut Reader<'_>, text: &str, found: &mut Lines) {
    while let Some(Node::Scalar(key, marker)) = reader.next() {
        match reader.next() {
            Some(Node::Scalar(value, _)) => found.lines.push(line(text, &key, value, marker)),
            Some(Node::Sequence) => loop {
                match reader.next() {
                    Some(Node::Scalar(value, at)) => {
                        found.lines.push(line(text, &key, value, at));
                    }
                    Some(Node::Sequence | Node::Mapping) => reader.nested(&key, marker),
                    Some(Node::End) => break,
                    None => return,
                }
            },
            Some(Node::Mapping) => reader.nested(&key, marker),
            Some(Node::End) | None => return,
        }
    }
}

impl Reader<'_> {
    /// The next node; `None` at the end of the text or at a fault.
    fn next(&mut self) -> Option<Node> {
        loop {
            let (event, span) = match self.parser.next_event()? {
                Ok(event) => event,
                Err(error) => {
                    self.broken = Some((error.info().to_owned(), error.marker().line()));
                    return None;
                }
            };
            return Some(match event {
                Event::Scalar(text, style, ..) => {
                    let empty = style == ScalarStyle::Plain && (text == "~" || text == "null");
                    let text = if empty { String::new() } else { text.into_owned() };
                    Node::Scalar(text, span.start)
                }
                Event::SequenceStart(..) => Node::Sequence,
                Event::MappingStart(..) => Node::Mapping,
                Event::SequenceEnd | Event::MappingEnd => Node::End,
                Event::Alias(_) => Node::Scalar(String::new(), span.start),
                Event::StreamEnd => return None,
                _ => continue,
            });
        }
    }

    /// Leaves the collection that was just entered.
    fn skip(&mut self) {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next() {
                Some(Node::Sequence | Node::Mapping) => depth += 1,
                Some(Node::End) => depth -= 1,
                Some(Node::Scalar(..)) => {}
                None => return,
            }
        }
    }

    fn nested(&mut self, key: &str, marker: Marker) {
        self.skip();
        let message = format!("the value of `{key}` is neither a text nor a list of texts");
        self.broken.get_or_insert((message, marker.line()));
    }
}

/// Positions are of the text after replacement, so only their line is taken over.
fn line(text: &str, key: &str, value: String, marker: Marker) -> Line {
    let start = line_start(text, marker.line());
    let shown = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("");
    let (at, length) = match shown.find(key) {
        Some(at) if !key.is_empty() => (start + at, key.len()),
        _ => (start + shown.len() - shown.trim_start().len(), shown.trim().len()),
    };
    let place = at..at + length;
    Line { key: key.to_owned(), value: Some(value), key_at: place.clone(), value_at: place }
}

/// The first byte of a line counted from 1.
fn line_start(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
}
