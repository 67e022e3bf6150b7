//! A request head as ranges: one line after the other, resumable, without allocation.
//!
//! ```text
//!  Start ── empty lines ──► Start
//!  Start ── request line ─► Fields ── field ──► Fields
//!    └── simple request ──► done     └─ empty line ─► done
//! ```
//!
//! While a line is incomplete only its new bytes are looked at. Most lines hold no control byte but
//! their end, so one look for the first such byte both finds the end and judges what is before it.

use message::{BodyLength, HeaderField, KnownHeader, Method, Slice, Version};

use super::bytes::{self, BAD_IN_TARGET, BAD_IN_VALUE, METHOD, TOKEN, first_control, is, trimmed};
use super::fields::Decisions;
use super::limits::{InvalidNames, RequestError, RequestLimits};
use super::target::{self, Target};

/// Empty lines before a request that are skipped (RFC 9112, 2.2).
const EMPTY_LINES_MAX: u8 = 8;

/// A complete request head; every slice is a range of the buffer that was scanned.
#[derive(Clone, Copy, Debug)]
pub struct ScannedHead {
    /// Where the request line starts: empty lines may stand before it.
    pub start: usize,
    /// One past the head's last byte; the body starts here.
    pub end: usize,
    /// See [`message::RequestHead`], as for all that follow.
    pub method: Method,
    /// As there.
    pub method_text: Slice,
    /// As there.
    pub target: Slice,
    /// As there.
    pub path: Slice,
    /// As there.
    pub query: Slice,
    /// As there.
    pub has_query: bool,
    /// As there.
    pub target_host: Option<Slice>,
    /// As there.
    pub plain_host: Option<Slice>,
    /// As there.
    pub version: Version,
    /// As there.
    pub body: BodyLength,
    /// As there.
    pub keep_alive: bool,
    /// As there.
    pub expect_continue: bool,
}

/// Scans a head that is expected to be in `buf` completely; `None` if it is not. To go on where
/// the bytes ended, keep a [`RequestScan`].
///
/// # Errors
/// The head is refused.
pub fn scan_request(
    buf: &[u8],
    limits: &RequestLimits,
    fields: &mut Vec<HeaderField>,
) -> Result<Option<ScannedHead>, RequestError> {
    RequestScan::new().advance(buf, limits, fields)
}

/// How far a head has been scanned.
#[derive(Clone, Debug)]
pub struct RequestScan {
    stage: Stage,
    /// Start of the line that is not complete yet.
    line: usize,
    /// Invariant: no line end between `line` and here.
    searched: usize,
    /// There may be a control byte between `line` and here.
    odd: bool,
    empty_lines: u8,
    start: usize,
    request_line: RequestLine,
    decisions: Decisions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Fields,
}

/// A complete line.
#[derive(Clone, Copy)]
struct Line<'b> {
    /// Without its end.
    text: &'b [u8],
    /// Where it stands in the buffer.
    at: usize,
    /// No control byte is in it.
    clean: bool,
}

#[derive(Clone, Copy, Debug)]
struct RequestLine {
    method: Method,
    method_text: Slice,
    target_text: Slice,
    target: Target,
    version: Version,
}

impl Default for RequestScan {
    fn default() -> RequestScan {
        RequestScan::new()
    }
}

impl RequestScan {
    /// At the first byte.
    pub fn new() -> RequestScan {
        RequestScan {
            stage: Stage::Start,
            line: 0,
            searched: 0,
            odd: false,
            empty_lines: 0,
            start: 0,
            request_line: RequestLine {
                method: Method::Other,
                method_text: Slice::default(),
                target_text: Slice::default(),
                target: Target::default(),
                version: Version::Http09,
            },
            decisions: Decisions::default(),
        }
    }

    /// Whether a byte of the request itself has been seen (empty lines do not count).
    pub fn has_begun(&self) -> bool {
        self.stage == Stage::Fields || self.searched > self.line
    }

    /// Scans on. `buf` starts at the same byte each time and only grows; `fields` is kept
    /// between the calls and is cleared when a new head begins.
    ///
    /// # Errors
    /// The head is refused; the scan is of no use any more.
    pub fn advance(
        &mut self,
        buf: &[u8],
        limits: &RequestLimits,
        fields: &mut Vec<HeaderField>,
    ) -> Result<Option<ScannedHead>, RequestError> {
        if self.stage == Stage::Start {
            fields.clear();
        }
        while let Some(line) = self.next_line(buf, limits)? {
            let complete = match self.stage {
                Stage::Start => self.handle_request_line(line, limits)?,
                Stage::Fields if line.text.is_empty() => true,
                Stage::Fields => {
                    self.handle_field_line(line, limits, fields)?;
                    false
                }
            };
            if complete {
                return self.finish(buf).map(Some);
            }
        }
        Ok(None)
    }

    /// The line that begins at `self.line`; `None` if it is not complete.
    fn next_line<'b>(
        &mut self,
        buf: &'b [u8],
        limits: &RequestLimits,
    ) -> Result<Option<Line<'b>>, RequestError> {
        let new = buf.get(self.searched..).unwrap_or(&[]);
        let control = first_control(new).map_or(buf.len(), |at| self.searched + at);
        let end = match buf.get(control..).unwrap_or(&[]) {
            [b'\n', ..] => Some(control),
            [b'\r', b'\n', ..] => Some(control + 1),
            rest => {
                self.odd |= !rest.is_empty();
                memchr::memchr(b'\n', rest).map(|at| control + at)
            }
        };
        let Some(end) = end else {
            if self.stage == Stage::Start {
                self.check_beginning(buf, limits)?;
            }
            self.check_length(buf.len() - self.line + 1, buf.len(), limits)?;
            self.searched = buf.len();
            return Ok(None);
        };
        if self.stage == Stage::Start {
            self.check_beginning(without_cr(&buf[..end]), limits)?;
        }
        let at = std::mem::replace(&mut self.line, end + 1);
        self.searched = end + 1;
        self.check_length(self.line - at, self.line, limits)?;
        let clean = !std::mem::take(&mut self.odd);
        Ok(Some(Line { text: without_cr(&buf[at..end]), at, clean }))
    }

    fn finish(&self, buf: &[u8]) -> Result<ScannedHead, RequestError> {
        let line = &self.request_line;
        // The empty line of a head, or a simple request's only line, ends at `self.line`.
        debug_assert!(self.line <= buf.len());
        let outcome = self.decisions.finish(line.version)?;
        Ok(ScannedHead {
            start: self.start,
            end: self.line,
            method: line.method,
            method_text: line.method_text,
            target: line.target_text,
            path: line.target.path,
            query: line.target.query,
            has_query: line.target.has_query,
            target_host: line.target.host,
            plain_host: outcome.plain_host,
            version: line.version,
            body: outcome.body,
            keep_alive: outcome.keep_alive,
            expect_continue: outcome.expect_continue,
        })
    }

    fn check_length(
        &self,
        line: usize,
        head: usize,
        limits: &RequestLimits,
    ) -> Result<(), RequestError> {
        if line > limits.line_bytes_max {
            return Err(match self.stage {
                Stage::Start => RequestError::RequestLineTooLong,
                Stage::Fields => RequestError::HeaderTooLong,
            });
        }
        // While there are only empty lines, `start` is behind them by no more than the line.
        if head - self.start > limits.head_bytes_max {
            return Err(RequestError::HeadTooLong);
        }
        Ok(())
    }

    /// Bytes that cannot stand in a request line are refused before the line is complete:
    /// somebody speaks TLS, or something else without line ends. `buf` ends before the line end
    /// if that has come.
    fn check_beginning(&self, buf: &[u8], limits: &RequestLimits) -> Result<(), RequestError> {
        let end = buf.len().min(self.line.saturating_add(limits.line_bytes_max));
        let Some(new) = buf.get(self.searched..end) else { return Ok(()) };
        match new.first() {
            Some(&byte) if self.searched == self.line && byte != b'\r' && !is(byte, METHOD) => {
                Err(RequestError::BadMethod)
            }
            // A carriage return may be half of the line end.
            _ if self.odd
                && new.iter().any(|&b| is(b, BAD_IN_TARGET) && b != b' ' && b != b'\r') =>
            {
                Err(RequestError::BadRequestLine)
            }
            _ => Ok(()),
        }
    }

    /// Takes note that `buf` has lost the empty lines that have been scanned.
    pub(super) fn forget_empty_lines(&mut self) -> usize {
        debug_assert!(!self.has_begun());
        self.searched = 0;
        self.start = 0;
        std::mem::take(&mut self.line)
    }

    /// Whether the request is complete with this line (a simple request).
    fn handle_request_line(
        &mut self,
        line: Line<'_>,
        limits: &RequestLimits,
    ) -> Result<bool, RequestError> {
        let Line { text, at, clean } = line;
        if text.is_empty() {
            self.start = self.line;
            self.empty_lines += 1;
            if self.empty_lines > EMPTY_LINES_MAX {
                return Err(RequestError::BadRequestLine);
            }
            return Ok(false);
        }
        self.start = at;
        let method_end = text.iter().position(|&byte| !is(byte, METHOD));
        let method_end = method_end.ok_or(RequestError::BadRequestLine)?;
        let (method_text, rest) = match text.split_at(method_end) {
            ([_, ..], [b' ', rest @ ..]) => (&text[..method_end], rest),
            _ => return Err(RequestError::BadMethod),
        };
        let target_at = at + method_end + 1;
        let method = Method::from_bytes(method_text);
        let (target_bytes, version) = match rest.strip_suffix(b" HTTP/1.1") {
            Some(target) => (target.len(), Version::Http11),
            None => split_version(rest, limits.simple_requests && method == Method::Get)?,
        };
        // `HTTP/1.1` has a slash of its own, for targets that have none.
        let slash = target_at + target_bytes + 5;
        let target_text = &rest[..target_bytes];
        if version == Version::Http09 && target_text.first() != Some(&b'/') {
            return Err(RequestError::BadTarget);
        }
        self.request_line = RequestLine {
            method,
            method_text: Slice::new(at, at + method_end),
            target_text: Slice::new(target_at, target_at + target_bytes),
            target: target::parse((target_text, clean), target_at, method, slash)?,
            version,
        };
        self.stage = Stage::Fields;
        Ok(version == Version::Http09)
    }

    fn handle_field_line(
        &mut self,
        line: Line<'_>,
        limits: &RequestLimits,
        fields: &mut Vec<HeaderField>,
    ) -> Result<(), RequestError> {
        let text = line.text;
        let colon = match text.iter().position(|&byte| !is(byte, TOKEN)) {
            Some(end) if text[end] == b':' => end,
            other => return self.handle_odd_name(line, other, limits, fields),
        };
        let name = &text[..colon];
        if name.is_empty() {
            return Err(RequestError::BadHeaderName);
        }
        let known = KnownHeader::from_name(name);
        if known == KnownHeader::Unknown && !limits.underscores && name.contains(&b'_') {
            return match limits.invalid_names {
                // An underscore is a token's right; it is left out because CGI confuses it.
                InvalidNames::Refuse | InvalidNames::Drop => {
                    self.check_value(line, colon + 1).map(|_| ())
                }
                InvalidNames::Keep => self.push_field(line, (colon, known), limits, fields),
            };
        }
        self.push_field(line, (colon, known), limits, fields)
    }

    /// A line whose name is not a token followed by a colon; `end` is the first other byte.
    fn handle_odd_name(
        &mut self,
        line: Line<'_>,
        end: Option<usize>,
        limits: &RequestLimits,
        fields: &mut Vec<HeaderField>,
    ) -> Result<(), RequestError> {
        let text = line.text;
        if matches!(text.first(), Some(b' ' | b'\t')) {
            return Err(RequestError::FoldedHeader);
        }
        let colon = memchr::memchr(b':', text);
        let name = &text[..colon.unwrap_or(text.len())];
        if name.iter().any(|&byte| is(byte, BAD_IN_TARGET)) {
            return Err(RequestError::BadHeaderName);
        }
        let (Some(colon), Some(_)) = (colon, end) else {
            return Err(RequestError::HeaderWithoutColon);
        };
        match limits.invalid_names {
            InvalidNames::Refuse => Err(RequestError::BadHeaderName),
            InvalidNames::Drop => self.check_value(line, colon + 1).map(|_| ()),
            InvalidNames::Keep => {
                self.push_field(line, (colon, KnownHeader::Unknown), limits, fields)
            }
        }
    }

    fn push_field(
        &mut self,
        line: Line<'_>,
        (colon, known): (usize, KnownHeader),
        limits: &RequestLimits,
        fields: &mut Vec<HeaderField>,
    ) -> Result<(), RequestError> {
        let (start, end) = self.check_value(line, colon + 1)?;
        let Line { text, at, .. } = line;
        self.decisions.handle_field(known, &text[start..end], at + start)?;
        // CGI would turn it into HTTP_PROXY, which HTTP clients in the app obey.
        if known == KnownHeader::Proxy {
            return Ok(());
        }
        if fields.len() >= limits.headers_max {
            return Err(RequestError::TooManyHeaders);
        }
        let (name, value) = (Slice::new(at, at + colon), Slice::new(at + start, at + end));
        fields.push(HeaderField { name, value, known });
        Ok(())
    }

    /// Where the value of a field stands in its line, without the blanks around it; `from` is
    /// behind the colon.
    #[inline]
    fn check_value(&self, line: Line<'_>, from: usize) -> Result<(usize, usize), RequestError> {
        let value = &line.text[from..];
        if !line.clean && bytes::any(value, BAD_IN_VALUE) {
            return Err(if value.contains(&b'\r') {
                RequestError::BareCarriageReturn
            } else {
                RequestError::ControlByte
            });
        }
        let (start, end) = trimmed(value);
        Ok((from + start, from + end))
    }
}

/// Length of the target and the version that stand behind the method; `simple` allows that there
/// is no version.
fn split_version(rest: &[u8], simple: bool) -> Result<(usize, Version), RequestError> {
    match memchr::memrchr(b' ', rest) {
        Some(space) => Ok((space, parse_version(&rest[space + 1..])?)),
        None if simple => Ok((rest.len(), Version::Http09)),
        None => Err(RequestError::BadRequestLine),
    }
}

fn parse_version(text: &[u8]) -> Result<Version, RequestError> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'2'..=b'9', b'.', b'0'..=b'9'] => {
            Err(RequestError::VersionNotSupported)
        }
        _ => Err(RequestError::BadVersion),
    }
}

#[inline]
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
