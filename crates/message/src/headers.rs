//! The header fields of a response.

use std::fmt;
use std::ops::Range;

use crate::{HeaderField, KnownHeader, KnownSet, Slice};

/// Bytes that lines added here usually take together: one allocation holds them.
const ADDED_BYTES: usize = 128;

/// A header field as one looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name as it goes out.
    pub name: &'a [u8],
    /// Value without surrounding blanks.
    pub value: &'a [u8],
    /// The name by number.
    pub known: KnownHeader,
}

/// Header fields in order, as ranges of one text: a field costs no allocation of its own, and all
/// of them change hands at once.
///
/// ```text
/// text    HTTP/1.1 200 OK␍␊Server: app␍␊ETag: "1"␍␊␍␊ETag: W/"1"␍␊
///         └─ a head as it was received ────────────┘└─ a line added ┘
/// fields  Server (in the head), ETag (in the line that was added)
/// ```
///
/// Texts are limited far below 4 GiB: heads by the codecs, lines that are added by the plan.
#[derive(Clone, Default)]
pub struct Headers {
    text: Vec<u8>,
    /// Invariant: the ranges lie inside of `text`.
    fields: Vec<HeaderField>,
    /// Invariant: the names of all `fields`.
    names: KnownSet,
}

impl Headers {
    /// Fields of a head: `head` is what their ranges point into, and is copied in one piece.
    pub fn new(head: &[u8], fields: Vec<HeaderField>) -> Headers {
        let mut text = Vec::with_capacity(head.len() + ADDED_BYTES);
        text.extend_from_slice(head);
        let names = fields.iter().map(|field| field.known).collect();
        Headers { text, fields, names }
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether a field has that name; `Unknown` asks for any other name.
    pub fn has(&self, known: KnownHeader) -> bool {
        self.names.contains(known)
    }

    /// First value of a known header.
    pub fn get(&self, known: KnownHeader) -> Option<&[u8]> {
        self.get_all(known).next()
    }

    /// All values of a known header.
    pub fn get_all(&self, known: KnownHeader) -> impl Iterator<Item = &[u8]> {
        // Most questions are about a name that is not there.
        let fields = if self.has(known) { &self.fields[..] } else { &[] };
        fields
            .iter()
            .filter(move |field| field.known == known)
            .map(|field| field.value.of(&self.text))
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'_>> {
        self.fields.iter().map(|field| view(field, &self.text))
    }

    /// Adds a field with a known name. The value holds no CR, LF or NUL.
    pub fn push(&mut self, known: KnownHeader, value: impl AsRef<[u8]>) {
        self.push_with(known, copied(value.as_ref()));
    }

    /// The same with a value that is appended where it will stand.
    pub fn push_with(&mut self, known: KnownHeader, write_value: impl FnOnce(&mut Vec<u8>)) {
        let field = self.add_line(known.name().as_bytes(), known, write_value);
        self.fields.push(field);
    }

    /// The same with any name, which is a token.
    pub fn push_named(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref();
        let field = self.add_line(name, KnownHeader::from_name(name), copied(value.as_ref()));
        self.fields.push(field);
    }

    /// Adds a field with a known name before all others.
    pub fn push_front(&mut self, known: KnownHeader, value: impl AsRef<[u8]>) {
        let field = self.add_line(known.name().as_bytes(), known, copied(value.as_ref()));
        self.fields.insert(0, field);
    }

    /// Adds all fields of `other` behind its own.
    pub fn append(&mut self, other: &Headers) {
        let by = self.text.len();
        self.text.extend_from_slice(&other.text);
        self.fields.extend(other.fields.iter().map(|field| HeaderField {
            name: field.name.moved(by),
            value: field.value.moved(by),
            known: field.known,
        }));
        self.names.extend(other.names);
    }

    /// Keeps the fields that `wanted` says yes to.
    pub fn retain(&mut self, mut wanted: impl FnMut(Header<'_>) -> bool) {
        let (text, mut names) = (&self.text, KnownSet::default());
        self.fields.retain(|field| {
            let stays = wanted(view(field, text));
            if stays {
                names.insert(field.known);
            }
            stays
        });
        self.names = names;
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, known: KnownHeader) {
        if self.has(known) {
            self.retain(|header| header.known != known);
        }
    }

    /// Of several fields of that name leaves the last.
    pub fn keep_last(&mut self, known: KnownHeader) {
        let mut before_last = self.get_all(known).count().saturating_sub(1);
        if before_last > 0 {
            self.retain(|header| {
                let stays = header.known != known || before_last == 0;
                before_last -= usize::from(!stays);
                stays
            });
        }
    }

    /// Gives fields of a known name the value that `change` makes of theirs; `None` leaves it. The
    /// new value holds no CR, LF or NUL.
    pub fn change<V: AsRef<[u8]>>(
        &mut self,
        known: KnownHeader,
        mut change: impl FnMut(&[u8]) -> Option<V>,
    ) {
        if !self.has(known) {
            return;
        }
        for at in 0..self.fields.len() {
            let field = self.fields[at];
            if field.known != known {
                continue;
            }
            if let Some(value) = change(field.value.of(&self.text)) {
                let name = field.name.of(&self.text).to_vec();
                self.fields[at] = self.add_line(&name, known, copied(value.as_ref()));
            }
        }
    }

    /// Appends the lines of all fields as a head of HTTP/1 has them, without those whose names are
    /// in `except`.
    pub fn write(&self, out: &mut Vec<u8>, except: KnownSet) {
        // Lines that follow one another in the text leave together.
        let mut run = 0..0;
        for field in self.fields.iter().filter(|field| !except.contains(field.known)) {
            match self.line(field) {
                Some(line) if line.start == run.end => run.end = line.end,
                line => {
                    out.extend_from_slice(&self.text[run]);
                    run = line.unwrap_or_else(|| {
                        write_pieces(out, view(field, &self.text));
                        0..0
                    });
                }
            }
        }
        out.extend_from_slice(&self.text[run]);
    }

    /// Where the text has a field as the line that goes out, if it has: what was received may have
    /// other blanks, and pieces.
    fn line(&self, field: &HeaderField) -> Option<Range<usize>> {
        let (name, value) = (field.name.range(), field.value.range());
        let is_line = self.text.get(name.end..value.start)? == b": "
            && self.text.get(value.end..value.end + 2)? == b"\r\n";
        is_line.then_some(name.start..value.end + 2)
    }

    fn add_line(
        &mut self,
        name: &[u8],
        known: KnownHeader,
        write_value: impl FnOnce(&mut Vec<u8>),
    ) -> HeaderField {
        let text = &mut self.text;
        if text.capacity() == 0 {
            text.reserve(ADDED_BYTES);
        }
        let start = text.len();
        text.extend_from_slice(name);
        let name = Slice::new(start, text.len());
        text.extend_from_slice(b": ");
        let start = text.len();
        write_value(text);
        let value = Slice::new(start, text.len());
        debug_assert!(!value.of(text).iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        text.extend_from_slice(b"\r\n");
        self.names.insert(known);
        HeaderField { name, value, known }
    }
}

fn view<'a>(field: &HeaderField, text: &'a [u8]) -> Header<'a> {
    Header { name: field.name.of(text), value: field.value.of(text), known: field.known }
}

fn copied(value: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    |out| out.extend_from_slice(value)
}

fn write_pieces(out: &mut Vec<u8>, header: Header<'_>) {
    out.extend_from_slice(header.name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(header.value);
    out.extend_from_slice(b"\r\n");
}

/// Names and values, wherever they stand in the text.
impl PartialEq for Headers {
    fn eq(&self, other: &Headers) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        out.debug_list()
            .entries(self.iter().map(|header| (text(header.name), text(header.value))))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"HTTP/1.1 200 OK\r\nServer: app\r\nX-A:1\r\nETag: \"1\"\r\nVary:  a \r\nVary: b\r\n\r\n";

    /// The fields of `TEXT`, found the slow way.
    fn received() -> Headers {
        let mut fields = Vec::new();
        let mut start = 17;
        for line in TEXT[start..].split_inclusive(|&byte| byte == b'\n') {
            if let Some(colon) = line.iter().position(|&byte| byte == b':') {
                let value = line[colon + 1..].trim_ascii();
                let value_start = start
                    + colon
                    + 1
                    + line[colon + 1..].iter().position(|byte| *byte == value[0]).unwrap();
                fields.push(HeaderField {
                    name: Slice::new(start, start + colon),
                    value: Slice::new(value_start, value_start + value.len()),
                    known: KnownHeader::from_name(&line[..colon]),
                });
            }
            start += line.len();
        }
        Headers::new(TEXT, fields)
    }

    fn written(headers: &Headers, except: &[KnownHeader]) -> String {
        let mut out = Vec::new();
        headers.write(&mut out, except.iter().copied().collect());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_received_goes_out_in_its_order_and_in_one_way_of_writing() {
        let all = "Server: app\r\nX-A: 1\r\nETag: \"1\"\r\nVary: a\r\nVary: b\r\n";
        assert_eq!(written(&received(), &[]), all);
        let some = "X-A: 1\r\nVary: a\r\nVary: b\r\n";
        assert_eq!(written(&received(), &[KnownHeader::Server, KnownHeader::ETag]), some);
        assert_eq!(written(&received(), &[KnownHeader::Vary, KnownHeader::Unknown]).len(), 24);
        assert_eq!(written(&Headers::default(), &[]), "");
    }

    #[test]
    fn a_field_is_found_until_it_is_removed() {
        let mut headers = received();
        assert_eq!((headers.len(), headers.get(KnownHeader::Vary)), (5, Some(&b"a"[..])));
        assert_eq!(headers.get_all(KnownHeader::Vary).last(), Some(&b"b"[..]));
        assert!(headers.has(KnownHeader::Unknown) && !headers.has(KnownHeader::Date));
        headers.remove(KnownHeader::Vary);
        headers.remove(KnownHeader::Date);
        headers.retain(|header| header.name != b"X-A");
        assert!(!headers.has(KnownHeader::Vary) && !headers.has(KnownHeader::Unknown));
        assert_eq!(headers.get(KnownHeader::Vary), None);
        assert_eq!(written(&headers, &[]), "Server: app\r\nETag: \"1\"\r\n");
    }

    #[test]
    fn the_last_of_several_is_kept_and_a_single_one_stays() {
        let mut headers = received();
        headers.push(KnownHeader::Vary, "c");
        headers.keep_last(KnownHeader::Vary);
        headers.keep_last(KnownHeader::Server);
        headers.keep_last(KnownHeader::Date);
        assert_eq!(written(&headers, &[]), "Server: app\r\nX-A: 1\r\nETag: \"1\"\r\nVary: c\r\n");
    }

    #[test]
    fn added_and_changed_fields_stand_where_they_were_put() {
        let mut headers = received();
        headers.push_front(KnownHeader::Location, "/x");
        headers.push_named("x-b", "2");
        headers.change(KnownHeader::ETag, |tag| Some([b"W/", tag].concat()));
        headers.change(KnownHeader::Vary, |names| (names == b"b").then_some("d"));
        headers.change(KnownHeader::Date, |_| Some("never"));
        let all = "Location: /x\r\nServer: app\r\nX-A: 1\r\nETag: W/\"1\"\r\nVary: a\r\nVary: d\r\n\
                   x-b: 2\r\n";
        assert_eq!(written(&headers, &[]), all);
        assert!(headers.has(KnownHeader::Location) && !headers.has(KnownHeader::Date));
    }

    #[test]
    fn appended_fields_keep_their_names_and_values() {
        let mut headers = Headers::default();
        headers.push(KnownHeader::SetCookie, "a=b");
        headers.append(&received());
        headers.append(&Headers::default());
        let all = format!("Set-Cookie: a=b\r\n{}", written(&received(), &[]));
        assert_eq!(written(&headers, &[]), all);
        assert_eq!(headers.get(KnownHeader::ETag), Some(&b"\"1\""[..]));
        let mut same = Headers::default();
        for header in headers.iter() {
            same.push_named(header.name, header.value);
        }
        assert_eq!(headers, same);
        assert_ne!(headers, received());
    }
}
