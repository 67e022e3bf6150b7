//! Status and header fields as an app gave them, validated and held as bytes.
//!
//! What an app returns is input: whatever could split or confuse a response is refused in
//! `start_response`, where the traceback shows who wrote it.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::raw::{self, TextFault};
use crate::fields::{Fields, Span};

/// Most header fields of one response.
const FIELDS_MAX: usize = 1000;
/// Most bytes of a whole response head.
const HEAD_BYTES_MAX: usize = 1024 * 1024;

/// The head of one response; its buffers are used again for the next one.
#[derive(Debug, Default)]
pub struct Head {
    /// Status code and reason, as the app gave them.
    status_line: Vec<u8>,
    status: u16,
    fields: Fields,
    content_length: Option<u64>,
    /// The body is somebody else's job: `X-Accel-Redirect` or `X-Sendfile`.
    pub body_elsewhere: bool,
}

impl Head {
    /// Takes over the arguments of `start_response`.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` that names the field; the old content is gone then.
    pub fn set(&mut self, status: &Bound<'_, PyAny>, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        self.clear();
        self.set_status(status)?;
        let Ok(headers) = headers.cast::<PyList>() else {
            return Err(PyTypeError::new_err(format!(
                "response headers must be a list of tuples, not `{}`",
                type_name(headers)
            )));
        };
        let count = headers.len();
        if count > FIELDS_MAX {
            return Err(PyValueError::new_err(format!(
                "more than {FIELDS_MAX} response headers: {count}"
            )));
        }
        for index in 0..count {
            self.add_field(&headers.get_item(index)?)?;
        }
        Ok(())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.status_line.clear();
        self.fields.clear();
        self.status = 0;
        self.content_length = None;
        self.body_elsewhere = false;
    }

    /// Status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Reason phrase; may be empty.
    pub fn reason(&self) -> &[u8] {
        self.status_line.get(4..).unwrap_or_default()
    }

    /// The app's own Content-Length.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The fields in the app's order.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Removes Content-Length.
    pub fn drop_content_length(&mut self) {
        self.fields.retain(|name| !name.eq_ignore_ascii_case(b"content-length"));
        self.content_length = None;
    }

    /// Bytes of the head as uWSGI counts them: status line with HTTP/1.1, fields, empty line.
    pub fn counted_bytes(&self) -> u64 {
        let status_line = b"HTTP/1.1 200 \r\n".len() + self.reason().len();
        (status_line + self.fields.lines().len() + b"\r\n".len()) as u64
    }

    fn set_status(&mut self, status: &Bound<'_, PyAny>) -> PyResult<()> {
        raw::push_latin1(status, &mut self.status_line)
            .map_err(|fault| explain(fault, "the status", status))?;
        let text = self.status_line.as_slice();
        let (code, rest) = text.split_at(text.len().min(3));
        let well_formed = code.len() == 3
            && code.iter().all(u8::is_ascii_digit)
            && rest.first().is_none_or(|&byte| byte == b' ')
            && !rest.iter().any(|&byte| is_control(byte));
        let number =
            code.iter().fold(0u16, |sum, byte| sum * 10 + u16::from(byte.wrapping_sub(b'0') % 10));
        if !well_formed || number < 200 {
            return Err(PyValueError::new_err(format!(
                "the status must be a final code of three digits, a blank and a reason: `{}`",
                text.escape_ascii()
            )));
        }
        self.status = number;
        Ok(())
    }

    fn add_field(&mut self, pair: &Bound<'_, PyAny>) -> PyResult<()> {
        let pair = match pair.cast::<PyTuple>() {
            Ok(pair) if pair.len() == 2 => pair,
            _ => {
                return Err(PyTypeError::new_err(format!(
                    "a response header must be a tuple of name and value, not `{}`",
                    type_name(pair)
                )));
            }
        };
        let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
        let name_span = self
            .fields
            .begin(|out| raw::push_latin1(&name, out))
            .map_err(|fault| explain(fault, "a response header's name", &name))?;
        let value_span =
            self.fields.go_on(|out| raw::push_latin1(&value, out)).map_err(|fault| {
                let field = self.fields.text(name_span).escape_ascii().to_string();
                explain(fault, &format!("the value of response header `{field}`"), &value)
            })?;
        self.check_field(name_span, value_span)?;
        if self.fields.lines().len() > HEAD_BYTES_MAX {
            return Err(PyValueError::new_err(format!(
                "the response head is longer than {HEAD_BYTES_MAX} bytes"
            )));
        }
        self.fields.end(name_span, value_span);
        Ok(())
    }

    fn check_field(&mut self, name_span: Span, value_span: Span) -> PyResult<()> {
        let (name, value) = (self.fields.text(name_span), self.fields.text(value_span));
        let is_token = name.iter().fold(true, |is, byte| is & IS_TOKEN[usize::from(*byte)]);
        if name.is_empty() || !is_token {
            return Err(PyValueError::new_err(format!(
                "not a header name: `{}`",
                name.escape_ascii()
            )));
        }
        if value.iter().fold(false, |is, byte| is | is_control(*byte)) {
            return Err(PyValueError::new_err(format!(
                "control character in the value of response header `{}`: `{}`",
                name.escape_ascii(),
                value.escape_ascii()
            )));
        }
        match kind(name) {
            FieldKind::Ordinary => {}
            FieldKind::HopByHop => {
                return Err(PyValueError::new_err(format!(
                    "the response header `{}` belongs to the connection, which is the server's",
                    name.escape_ascii()
                )));
            }
            FieldKind::BodyElsewhere => self.body_elsewhere = true,
            FieldKind::ContentLength => {
                let length = length(value).filter(|_| self.content_length.is_none());
                if length.is_none() {
                    return Err(PyValueError::new_err(format!(
                        "Content-Length must be one decimal number: `{}`",
                        value.escape_ascii()
                    )));
                }
                self.content_length = length;
            }
        }
        Ok(())
    }
}

/// What a field means to the bridge.
enum FieldKind {
    Ordinary,
    HopByHop,
    ContentLength,
    BodyElsewhere,
}

fn kind(name: &[u8]) -> FieldKind {
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 if is(b"te") => FieldKind::HopByHop,
        7 if is(b"upgrade") || is(b"trailer") => FieldKind::HopByHop,
        8 if is(b"trailers") => FieldKind::HopByHop,
        10 if is(b"connection") || is(b"keep-alive") => FieldKind::HopByHop,
        10 if is(b"x-sendfile") => FieldKind::BodyElsewhere,
        14 if is(b"content-length") => FieldKind::ContentLength,
        16 if is(b"x-accel-redirect") => FieldKind::BodyElsewhere,
        16 if is(b"proxy-connection") => FieldKind::HopByHop,
        17 if is(b"transfer-encoding") => FieldKind::HopByHop,
        18 if is(b"proxy-authenticate") => FieldKind::HopByHop,
        19 if is(b"proxy-authorization") => FieldKind::HopByHop,
        _ => FieldKind::Ordinary,
    }
}

/// A decimal number of at most 19 digits (RFC 9110 section 8.6).
fn length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Nineteen digits fit.
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Control characters other than the tab (RFC 9110 section 5.5).
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7F
}

/// Characters of a field name (RFC 9110 section 5.6.2).
const IS_TOKEN: [bool; 256] = {
    let others = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

fn explain(fault: TextFault, what: &str, object: &Bound<'_, PyAny>) -> PyErr {
    match fault {
        TextFault::NotText => {
            PyTypeError::new_err(format!("{what} must be str, not `{}`", type_name(object)))
        }
        TextFault::NotLatin1 => {
            PyValueError::new_err(format!("{what} has characters outside latin-1"))
        }
    }
}

/// Name of an object's type, for messages.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}
