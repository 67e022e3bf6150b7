//! From a request's variables to `environ`.
//!
//! A thread keeps a dict with the variables of its last request. For the next one it is brought up
//! to date and copied: most variables of a request (host, method, user agent, …) are those of the
//! request before, and cost a comparison. What must not outlive its request is set in the copy
//! alone.

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
/// Keys taken out of the kept dict before it is made anew: copies of a dict with many gaps are slow.
const REMOVED_MAX: usize = 8;

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
    /// Its values may outlive their request.
    is_kept: bool,
    /// The variable with its last value, name and value as they were coded; not for secrets.
    coded: Vec<u8>,
    /// That value as text.
    text: Option<Py<PyAny>>,
    /// The kept dict has that value. Invariant: only if there is one.
    is_held: bool,
    /// Request that set it last.
    stamp: u64,
    /// The slot that followed last time: requests of one client repeat their order.
    next: usize,
}

/// A variable for this request's `environ` alone.
struct Loose<'a> {
    /// Its slot, unless there was no room for one.
    at: Option<usize>,
    name: &'a [u8],
    value: &'a [u8],
    /// The request has set it before.
    is_repeated: bool,
}

/// A request's variables on their way into the kept dict.
struct Filling<'a> {
    /// Those that are still to come.
    rest: &'a [u8],
    /// The slot of the one before; none yet beyond the last slot.
    before: usize,
    /// The slot that is expected next.
    expected: usize,
    facts: Facts<'a>,
    loose: Vec<Loose<'a>>,
    /// Slots found that the kept dict held from the request before.
    again: usize,
}

/// What one request thread remembers from request to request.
pub struct Memory {
    /// What every `environ` of this thread starts with.
    base: Py<PyDict>,
    /// The base and the variables of the last request, those excepted that may not be kept.
    kept: Py<PyDict>,
    slots: Vec<Slot>,
    index: HashMap<Box<[u8]>, usize>,
    stamp: u64,
    /// How many slots are held by the kept dict.
    held: usize,
    /// How many keys were taken out of the kept dict since it was made.
    removed: usize,
}

impl Memory {
    /// Nothing remembered yet. `base` is what every `environ` starts with.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(base: Bound<'_, PyDict>) -> PyResult<Memory> {
        Ok(Memory {
            kept: base.copy()?.unbind(),
            base: base.unbind(),
            slots: Vec::new(),
            index: HashMap::new(),
            stamp: 0,
            held: 0,
            removed: 0,
        })
    }

    /// A fresh `environ` with every variable of a request.
    ///
    /// # Errors
    /// The variables' coding is broken, or there is no memory.
    pub fn environ<'py, 'a>(
        &mut self,
        py: Python<'py>,
        vars: &'a [u8],
    ) -> Result<(Bound<'py, PyDict>, Facts<'a>), FillError> {
        self.stamp += 1;
        let held_before = self.held;
        let mut filling = Filling {
            rest: vars,
            before: usize::MAX,
            expected: 0,
            facts: Facts::default(),
            loose: Vec::new(),
            again: 0,
        };
        while !filling.rest.is_empty() {
            if !self.take_unchanged(&mut filling) {
                self.take_next(py, &mut filling)?;
            }
        }
        if filling.again < held_before {
            self.remove_absent(py)?;
        }
        let environ = self.kept.bind(py).copy()?;
        filling.loose.iter().try_for_each(|it| self.store(&environ, it))?;
        Ok((environ, filling.facts))
    }

    /// Takes the next variable if it is the one that is expected, with the value it had.
    #[inline]
    fn take_unchanged(&mut self, filling: &mut Filling<'_>) -> bool {
        let Some(slot) = self.slots.get_mut(filling.expected) else { return false };
        let Some((coded, rest)) = filling.rest.split_at_checked(slot.coded.len()) else {
            return false;
        };
        if !slot.is_held || slot.stamp == self.stamp || !same(coded, &slot.coded) {
            return false;
        }
        slot.stamp = self.stamp;
        if slot.fact != Fact::None {
            // Behind the name and both lengths.
            let value = coded.get(slot.name.len() + 4..).unwrap_or_default();
            slot.fact.note(&mut filling.facts, value);
        }
        filling.rest = rest;
        filling.before = filling.expected;
        filling.expected = slot.next;
        filling.again += 1;
        true
    }

    /// Takes the next variable, whatever it is.
    fn take_next<'a>(
        &mut self,
        py: Python<'_>,
        filling: &mut Filling<'a>,
    ) -> Result<(), FillError> {
        let from = filling.rest;
        let name = split_counted(&mut filling.rest).map_err(FillError::Broken)?;
        let value = split_counted(&mut filling.rest).map_err(FillError::Broken)?;
        let coded = from.get(..from.len() - filling.rest.len()).unwrap_or(from);
        let found = self.find(py, name, filling)?;
        let Some((at, slot)) = found.and_then(|at| Some((at, self.slots.get_mut(at)?))) else {
            Fact::of(name).note(&mut filling.facts, value);
            filling.loose.push(Loose { at: None, name, value, is_repeated: false });
            return Ok(());
        };
        filling.before = at;
        filling.expected = slot.next;
        slot.fact.note(&mut filling.facts, value);
        let is_repeated = std::mem::replace(&mut slot.stamp, self.stamp) == self.stamp;
        let was_held = slot.is_held;
        if is_repeated || !slot.keep(self.kept.bind(py), coded, value)? {
            filling.loose.push(Loose { at: Some(at), name, value, is_repeated });
        }
        filling.again += usize::from(was_held && !is_repeated);
        self.held += usize::from(slot.is_held && !was_held);
        Ok(())
    }

    /// The slot of a name, made if there is room.
    fn find(
        &mut self,
        py: Python<'_>,
        name: &[u8],
        filling: &Filling<'_>,
    ) -> PyResult<Option<usize>> {
        if self.slots.get(filling.expected).is_some_and(|slot| same(&slot.name, name)) {
            return Ok(Some(filling.expected));
        }
        let found = match self.index.get(name) {
            Some(&at) => at,
            None if self.slots.len() >= NAMES_MAX || name.len() > NAME_BYTES_MAX => {
                return Ok(None);
            }
            None => self.remember(py, name)?,
        };
        if let Some(slot) = self.slots.get_mut(filling.before) {
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
        let kind = kind(name);
        self.slots.push(Slot {
            name: name.into(),
            key,
            kind,
            fact: Fact::of(name),
            is_kept: matches!(kind, Kind::Plain | Kind::Header) && !is_secret(name),
            coded: Vec::new(),
            text: None,
            is_held: false,
            stamp: 0,
            next: at + 1,
        });
        self.index.insert(name.into(), at);
        Ok(at)
    }

    /// Takes what this request does not have out of the kept dict.
    fn remove_absent(&mut self, py: Python<'_>) -> PyResult<()> {
        let (base, kept) = (self.base.bind(py), self.kept.bind(py));
        for slot in &mut self.slots {
            if !slot.is_held || slot.stamp == self.stamp {
                continue;
            }
            let key = slot.key.bind(py);
            match base.get_item(key)? {
                Some(value) => raw::set(kept, key, &value)?,
                None => {
                    kept.del_item(key)?;
                    self.removed += 1;
                }
            }
            slot.is_held = false;
            self.held -= 1;
        }
        if self.removed <= REMOVED_MAX {
            return Ok(());
        }
        let renewed = base.copy()?;
        for slot in self.slots.iter().filter(|slot| slot.is_held) {
            if let Some(text) = &slot.text {
                raw::set(&renewed, slot.key.bind(py), text.bind(py))?;
            }
        }
        self.kept = renewed.unbind();
        self.removed = 0;
        Ok(())
    }

    fn store(&self, environ: &Bound<'_, PyDict>, it: &Loose<'_>) -> PyResult<()> {
        let py = environ.py();
        let Some(slot) = it.at.and_then(|at| self.slots.get(at)) else {
            return store_unknown(environ, it.name, it.value);
        };
        let key = slot.key.bind(py);
        match slot.kind {
            Kind::Dropped => Ok(()),
            Kind::Header | Kind::Cookie if it.is_repeated => {
                append(environ, key, slot.kind, it.value)
            }
            Kind::Plain | Kind::Header | Kind::Cookie => {
                raw::set(environ, key, &raw::text(py, it.value)?)
            }
        }
    }
}

impl Slot {
    /// Brings the kept dict up to date, unless the value must not be kept: then it is false.
    fn keep(&mut self, kept: &Bound<'_, PyDict>, coded: &[u8], value: &[u8]) -> PyResult<bool> {
        if !self.is_kept || value.len() > VALUE_BYTES_MAX {
            return Ok(false);
        }
        let py = kept.py();
        let key = self.key.bind(py);
        match &self.text {
            Some(_) if self.is_held && same(&self.coded, coded) => {}
            Some(text) if same(&self.coded, coded) => raw::set(kept, key, text.bind(py))?,
            _ => {
                let text = raw::text(py, value)?;
                raw::set(kept, key, &text)?;
                self.text = Some(text.unbind());
                self.coded.clear();
                self.coded.extend_from_slice(coded);
            }
        }
        self.is_held = true;
        Ok(true)
    }
}

/// Equality of short texts. The C library's comparison costs more than the rest of the look-up
/// for them (measured: a third of a request's time in the bridge).
#[inline]
fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    match (left.last_chunk::<8>(), right.last_chunk::<8>()) {
        // The last eight bytes may be compared twice.
        (Some(left_end), Some(right_end)) => {
            let (left_words, right_words) = (left.as_chunks::<8>().0, right.as_chunks::<8>().0);
            left_end == right_end && left_words.iter().zip(right_words).all(|(l, r)| l == r)
        }
        _ => left.iter().zip(right).all(|(l, r)| l == r),
    }
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
