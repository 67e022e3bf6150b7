//! From a request's variables to `environ`.
//!
//! A template dict is copied for each request; the keys of variables are made once and kept with
//! their hashes; a value that equals the one of the last request (host, user agent, …) is used
//! again instead of being made again.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::raw;

/// Most variable names that are remembered; clients choose header names, so there is an end.
const NAMES_MAX: usize = 512;
/// Longest name that is remembered, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Longest value that is remembered, in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// What the bridge itself wants to know of a request; slices of its variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// REQUEST_METHOD.
    pub method: &'a [u8],
    /// SCRIPT_NAME.
    pub script_name: &'a [u8],
    /// PATH_INFO; `None` if there was none.
    pub path_info: Option<&'a [u8]>,
    /// CONTENT_LENGTH.
    pub content_length: &'a [u8],
    scheme: &'a [u8],
    https: &'a [u8],
    forwarded_proto: &'a [u8],
    forwarded_ssl: &'a [u8],
    request_scheme: &'a [u8],
}

impl<'a> Facts<'a> {
    /// `wsgi.url_scheme`: what the front says outright, else what it lets us conclude.
    pub fn url_scheme(&self) -> Option<&'a [u8]> {
        if !self.scheme.is_empty() {
            return Some(self.scheme);
        }
        let on = |value: &[u8]| value.eq_ignore_ascii_case(b"on") || value == b"1";
        let https = on(self.https)
            || on(self.forwarded_ssl)
            || self.forwarded_proto.eq_ignore_ascii_case(b"https")
            || self.request_scheme.eq_ignore_ascii_case(b"https");
        https.then_some(&b"https"[..])
    }
}

/// The variables are not what the uwsgi protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenVars;

/// Why `environ` could not be made.
#[derive(Debug)]
pub enum FillError {
    /// The sender's fault.
    Broken(BrokenVars),
    /// The interpreter's (no memory).
    Python(PyErr),
}

impl From<PyErr> for FillError {
    fn from(error: PyErr) -> FillError {
        FillError::Python(error)
    }
}

/// What a variable's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The last value counts.
    Plain,
    /// A header: repeated ones are joined with a comma.
    Header,
    /// The Cookie header: repeated ones are joined with a semicolon.
    Cookie,
    /// Belongs to us, stands under another name already, or is dangerous (`HTTP_PROXY`: see
    /// httpoxy, CVE-2016-5385).
    Dropped,
}

/// Which of the [`Facts`] a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    None,
    Method,
    ScriptName,
    PathInfo,
    ContentLength,
    Https,
    Scheme,
    RequestScheme,
    ForwardedProto,
    ForwardedSsl,
}

/// One remembered name.
struct Slot {
    name: Box<[u8]>,
    key: Py<PyAny>,
    kind: Kind,
    fact: Fact,
    /// The last value is kept.
    is_kept: bool,
    /// Bytes and text of the last value; not for secrets.
    last: Option<(Vec<u8>, Py<PyAny>)>,
    /// Request that set it last.
    stamp: u64,
    /// The slot that followed last time: requests of one client repeat their order.
    next: usize,
}

/// What one request thread remembers from request to request.
#[derive(Default)]
pub struct Memory {
    slots: Vec<Slot>,
    index: HashMap<Box<[u8]>, usize>,
    stamp: u64,
}

impl Memory {
    /// Puts every variable into `environ`.
    ///
    /// # Errors
    /// The variables' coding is broken, or there is no memory.
    pub fn fill<'a>(
        &mut self,
        environ: &Bound<'_, PyDict>,
        vars: &'a [u8],
    ) -> Result<Facts<'a>, FillError> {
        self.stamp += 1;
        let mut facts = Facts::default();
        let mut rest = vars;
        let mut before = usize::MAX;
        while !rest.is_empty() {
            let name = split_counted(&mut rest).map_err(FillError::Broken)?;
            let value = split_counted(&mut rest).map_err(FillError::Broken)?;
            match self.find(environ.py(), name, before)? {
                Some(at) => {
                    self.store(environ, at, value)?.note(&mut facts, value);
                    before = at;
                }
                None => {
                    store_unknown(environ, name, value)?;
                    Fact::of(name).note(&mut facts, value);
                }
            }
        }
        Ok(facts)
    }

    /// The slot of a name, made if there is room.
    fn find(&mut self, py: Python<'_>, name: &[u8], before: usize) -> PyResult<Option<usize>> {
        let guess = self.slots.get(before).map_or(0, |slot| slot.next);
        if self.slots.get(guess).is_some_and(|slot| same(&slot.name, name)) {
            return Ok(Some(guess));
        }
        let found = match self.index.get(name) {
            Some(&at) => at,
            None if self.slots.len() >= NAMES_MAX || name.len() > NAME_BYTES_MAX => {
                return Ok(None);
            }
            None => self.remember(py, name)?,
        };
        if let Some(slot) = self.slots.get_mut(before) {
            slot.next = found;
        }
        Ok(Some(found))
    }

    fn remember(&mut self, py: Python<'_>, name: &[u8]) -> PyResult<usize> {
        let text = raw::text(py, name)?;
        let key = match text.cast::<PyString>() {
            Ok(text) if name.is_ascii() => {
                PyString::intern(py, &text.to_cow()?).into_any().unbind()
            }
            _ => text.unbind(),
        };
        // The hash is kept in the string from here on.
        key.bind(py).hash()?;
        let at = self.slots.len();
        self.slots.push(Slot {
            name: name.into(),
            key,
            kind: kind(name),
            fact: Fact::of(name),
            is_kept: !is_secret(name),
            last: None,
            stamp: 0,
            next: at + 1,
        });
        self.index.insert(name.into(), at);
        Ok(at)
    }

    /// Sets one variable; answers what the bridge wants to know of it.
    fn store(&mut self, environ: &Bound<'_, PyDict>, at: usize, value: &[u8]) -> PyResult<Fact> {
        match self.slots.get_mut(at) {
            Some(slot) => slot.store(environ, value, self.stamp).map(|()| slot.fact),
            None => Ok(Fact::None),
        }
    }
}

impl Slot {
    fn store(&mut self, environ: &Bound<'_, PyDict>, value: &[u8], stamp: u64) -> PyResult<()> {
        let py = environ.py();
        let repeated = std::mem::replace(&mut self.stamp, stamp) == stamp;
        let key = self.key.bind(py);
        match self.kind {
            Kind::Dropped => return Ok(()),
            Kind::Header | Kind::Cookie if repeated => {
                return append(environ, key, self.kind, value);
            }
            Kind::Cookie => return raw::set(environ, key, &raw::text(py, value)?),
            Kind::Plain | Kind::Header => {}
        }
        if let Some((bytes, text)) = &self.last
            && same(bytes, value)
        {
            return raw::set(environ, key, text.bind(py));
        }
        let text = raw::text(py, value)?;
        raw::set(environ, key, &text)?;
        if value.len() <= VALUE_BYTES_MAX && self.is_kept {
            match &mut self.last {
                Some((bytes, kept)) => {
                    bytes.clear();
                    bytes.extend_from_slice(value);
                    *kept = text.unbind();
                }
                None => self.last = Some((value.to_vec(), text.unbind())),
            }
        }
        Ok(())
    }
}

/// Equality of short texts. The C library's comparison costs more than the rest of the look-up
/// for them (measured: a third of a request's time in the bridge).
#[inline]
fn same(left: &[u8], right: &[u8]) -> bool {
    let (left_words, left_rest) = left.as_chunks::<8>();
    let (right_words, right_rest) = right.as_chunks::<8>();
    left.len() == right.len()
        && left_words
            .iter()
            .zip(right_words)
            .all(|(l, r)| u64::from_ne_bytes(*l) == u64::from_ne_bytes(*r))
        && left_rest.iter().zip(right_rest).all(|(l, r)| l == r)
}

/// A variable for which there is no room in the memory.
fn store_unknown(environ: &Bound<'_, PyDict>, name: &[u8], value: &[u8]) -> PyResult<()> {
    let key = raw::text(environ.py(), name)?;
    let kind = kind(name);
    let repeated = matches!(kind, Kind::Header | Kind::Cookie) && environ.contains(&key)?;
    match kind {
        Kind::Dropped => Ok(()),
        _ if repeated => append(environ, &key, kind, value),
        _ => raw::set(environ, &key, &raw::text(environ.py(), value)?),
    }
}

/// Joins a repeated header to the value it has already (RFC 9110 section 5.3, RFC 6265
/// section 5.4).
fn append(
    environ: &Bound<'_, PyDict>,
    key: &Bound<'_, PyAny>,
    kind: Kind,
    value: &[u8],
) -> PyResult<()> {
    let mut joined = Vec::new();
    if let Some(old) = environ.get_item(key)? {
        // Values are latin-1 text of our own making.
        let _ = raw::push_latin1(&old, &mut joined);
        joined.extend_from_slice(if kind == Kind::Cookie { b"; " } else { b", " });
    }
    joined.extend_from_slice(value);
    raw::set(environ, key, &raw::text(environ.py(), &joined)?)
}

/// A length of two bytes, little endian, and as many bytes.
fn split_counted<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BrokenVars> {
    let (length, after) = rest.split_first_chunk::<2>().ok_or(BrokenVars)?;
    let length = usize::from(u16::from_le_bytes(*length));
    let (piece, after) = after.split_at_checked(length).ok_or(BrokenVars)?;
    *rest = after;
    Ok(piece)
}

impl Fact {
    fn of(name: &[u8]) -> Fact {
        match name {
            b"REQUEST_METHOD" => Fact::Method,
            b"SCRIPT_NAME" => Fact::ScriptName,
            b"PATH_INFO" => Fact::PathInfo,
            b"CONTENT_LENGTH" => Fact::ContentLength,
            b"HTTPS" => Fact::Https,
            b"UWSGI_SCHEME" => Fact::Scheme,
            b"REQUEST_SCHEME" => Fact::RequestScheme,
            b"HTTP_X_FORWARDED_PROTO" => Fact::ForwardedProto,
            b"HTTP_X_FORWARDED_SSL" => Fact::ForwardedSsl,
            _ => Fact::None,
        }
    }

    #[inline]
    fn note<'a>(self, facts: &mut Facts<'a>, value: &'a [u8]) {
        match self {
            Fact::None => {}
            Fact::Method => facts.method = value,
            Fact::ScriptName => facts.script_name = value,
            Fact::PathInfo => facts.path_info = Some(value),
            Fact::ContentLength => facts.content_length = value,
            Fact::Https => facts.https = value,
            Fact::Scheme => facts.scheme = value,
            Fact::RequestScheme => facts.request_scheme = value,
            Fact::ForwardedProto => facts.forwarded_proto = value,
            Fact::ForwardedSsl => facts.forwarded_ssl = value,
        }
    }
}

fn kind(name: &[u8]) -> Kind {
    match name {
        b"HTTP_COOKIE" => Kind::Cookie,
        b"HTTP_PROXY" | b"" => Kind::Dropped,
        // PEP 3333 has both without HTTP_; fronts send them with and without.
        b"HTTP_CONTENT_LENGTH" | b"HTTP_CONTENT_TYPE" => Kind::Dropped,
        _ if name.starts_with(b"wsgi.") || name.starts_with(b"uwsgi.") => Kind::Dropped,
        _ if name.starts_with(b"HTTP_") => Kind::Header,
        _ => Kind::Plain,
    }
}

/// Values that are not kept beyond their request.
fn is_secret(name: &[u8]) -> bool {
    name == b"HTTP_AUTHORIZATION" || name == b"HTTP_PROXY_AUTHORIZATION"
}
