//! Response heads from upstreams: HTTP/1 status lines and CGI's `Status:` fields.

use bytes::{Buf, Bytes, BytesMut};
use message::{BodyLength, HeaderField, Headers, KnownHeader, ResponseHead, Slice, reason_bytes};

use super::bytes::{TOKEN, all, decimal, find_below_space, find_byte, list_items, trimmed};

/// How an upstream begins its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseStyle {
    /// With a status line, always.
    Http,
    /// With a status line or without one: then the `Status` field says it (uwsgi, CGI). Framing
    /// fields of HTTP/1.1 mean nothing there.
    Cgi,
}

/// Why an answer's head is refused: the upstream's fault (502).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ResponseError {
    HeadTooLong,
    BadStatusLine,
    BadStatus,
    BadHeader,
    BadContentLength,
    ContentLengthTwice,
    TransferEncodingUnknown,
    TransferEncodingTwice,
    ContentLengthAndTransferEncoding,
    UnexpectedUpgrade,
    TooManyInterimAnswers,
}

impl ResponseError {
    /// What the upstream did, in nginx's words, for the error log.
    pub fn text(self) -> &'static str {
        match self {
            ResponseError::HeadTooLong => "upstream sent too big header",
            ResponseError::BadStatusLine => "upstream sent no valid HTTP/1.0 header",
            ResponseError::BadStatus => "upstream sent invalid status",
            ResponseError::BadHeader => "upstream sent invalid header",
            ResponseError::BadContentLength => "upstream sent invalid \"Content-Length\" header",
            ResponseError::ContentLengthTwice => {
                "upstream sent duplicate header line: \"Content-Length\""
            }
            ResponseError::TransferEncodingUnknown => "upstream sent unknown \"Transfer-Encoding\"",
            ResponseError::TransferEncodingTwice => {
                "upstream sent duplicate header line: \"Transfer-Encoding\""
            }
            ResponseError::ContentLengthAndTransferEncoding => {
                "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time"
            }
            ResponseError::UnexpectedUpgrade => "upstream sent unexpected 101 response",
            ResponseError::TooManyInterimAnswers => "upstream sent too many 1xx responses",
        }
    }
}

/// Interim (1xx) answers before the final one that are skipped.
const INTERIM_ANSWERS_MAX: u8 = 16;

/// Fields that answers usually have: one allocation holds them.
const FIELDS: usize = 12;

/// Reads the heads of answers out of a growing buffer, line after line as they come.
#[derive(Clone, Debug)]
pub struct ResponseReader {
    style: ResponseStyle,
    /// Where the line begins that is not complete.
    line: usize,
    /// Up to where its end was looked for.
    searched: usize,
    /// Whether it has a byte that may not stand in one: a NUL, or a CR before its end.
    is_broken: bool,
    interim_answers: u8,
    head_bytes: usize,
    keep_alive: bool,
    status: Option<Status>,
    http11: bool,
    fields: Vec<HeaderField>,
    framing: Framing,
}

/// Code and reason.
type Status = (u16, Slice);

impl ResponseReader {
    /// For answers of that style.
    pub fn new(style: ResponseStyle) -> ResponseReader {
        ResponseReader {
            style,
            line: 0,
            searched: 0,
            is_broken: false,
            interim_answers: 0,
            head_bytes: 0,
            keep_alive: false,
            status: None,
            http11: false,
            fields: Vec::new(),
            framing: Framing::default(),
        }
    }

    /// Makes ready for the answer to the next request, whatever became of the last one.
    pub fn restart(&mut self, style: ResponseStyle) {
        self.style = style;
        self.interim_answers = 0;
        self.begin();
    }

    /// Whether the last head allows the connection to be used again once the body is read.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Bytes of the last head, interim answers left out.
    pub fn head_bytes(&self) -> usize {
        self.head_bytes
    }

    /// Takes the next final head off `buffer`, or says `None` if it is not complete. Interim
    /// answers are dropped. Hop-by-hop fields are taken out; Content-Length stays.
    ///
    /// # Errors
    /// The head is refused; the connection is of no use any more.
    pub fn next_head(
        &mut self,
        buffer: &mut BytesMut,
        request_was_head: bool,
        bytes_max: usize,
    ) -> Result<Option<ResponseHead>, ResponseError> {
        while self.read_lines(buffer, bytes_max)? {
            let answer = self.finish(buffer.get(..self.line).unwrap_or(&[]), request_was_head)?;
            self.head_bytes = self.line;
            buffer.advance(self.line);
            self.begin();
            match answer.status {
                101 => return Err(ResponseError::UnexpectedUpgrade),
                100..=199 => {
                    self.interim_answers += 1;
                    if self.interim_answers > INTERIM_ANSWERS_MAX {
                        return Err(ResponseError::TooManyInterimAnswers);
                    }
                }
                _ => return Ok(Some(answer)),
            }
        }
        Ok(None)
    }

    /// Back to the first line.
    fn begin(&mut self) {
        self.line = 0;
        self.searched = 0;
        self.is_broken = false;
        self.status = None;
        self.http11 = false;
        self.fields.clear();
        self.framing = Framing::default();
    }

    /// Takes note of the lines that have come; says whether the empty one is among them, in which
    /// case `line` is one past it.
    fn read_lines(&mut self, buffer: &[u8], bytes_max: usize) -> Result<bool, ResponseError> {
        while let Some(end) = self.next_line_end(buffer) {
            let at = std::mem::replace(&mut self.line, self.searched);
            if self.line > bytes_max {
                return Err(ResponseError::HeadTooLong);
            }
            let line = buffer.get(at..end).unwrap_or(&[]);
            match at {
                0 if line.is_empty() => return Err(ResponseError::BadStatusLine),
                _ if line.is_empty() => return Ok(true),
                0 => self.handle_first_line(line)?,
                _ => self.handle_field_line(line, at)?,
            }
        }
        if self.style == ResponseStyle::Http && !could_be_status_line(buffer) {
            return Err(ResponseError::BadStatusLine);
        }
        if buffer.len() >= bytes_max {
            return Err(ResponseError::HeadTooLong);
        }
        Ok(false)
    }

    /// Where the text of the current line ends, which is LF or CR LF; `searched` is then one past
    /// these.
    #[inline]
    fn next_line_end(&mut self, buffer: &[u8]) -> Option<usize> {
        loop {
            let rest = buffer.get(self.searched..)?;
            let Some(found) = find_below_space(rest) else {
                self.searched = buffer.len();
                return None;
            };
            let end = self.searched + found;
            self.searched = end;
            match rest.get(found..)? {
                [b'\r', b'\n', ..] => self.searched += 2,
                [b'\n', ..] => self.searched += 1,
                // Whether that is a line end, the next byte says.
                [b'\r'] => return None,
                [byte, ..] => {
                    self.is_broken |= is_line_breaker(*byte);
                    self.searched += 1;
                    continue;
                }
                [] => return None,
            }
            return Some(end);
        }
    }

    fn handle_first_line(&mut self, line: &[u8]) -> Result<(), ResponseError> {
        self.fields.reserve(FIELDS);
        match parse_status_line(line) {
            Some((minor, status)) if !self.is_broken => {
                self.http11 = minor >= 1;
                self.status = Some(status);
                Ok(())
            }
            None if self.style == ResponseStyle::Cgi && !line.starts_with(b"HTTP/") => {
                self.handle_field_line(line, 0)
            }
            _ => Err(ResponseError::BadStatusLine),
        }
    }

    /// `at` is where the line begins in the head.
    fn handle_field_line(&mut self, line: &[u8], at: usize) -> Result<(), ResponseError> {
        let colon = find_byte(line, b':').ok_or(ResponseError::BadHeader)?;
        let (name, value) = line.split_at(colon);
        let known = KnownHeader::from_name(name);
        // A name that is known is a token.
        let is_token = known != KnownHeader::Unknown || (!name.is_empty() && all(name, TOKEN));
        if self.is_broken || !is_token {
            return Err(ResponseError::BadHeader);
        }
        let value = value.get(1..).unwrap_or(&[]);
        let (start, end) = trimmed(value);
        let value_at = at + name.len() + 1;
        let value = value.get(start..end).unwrap_or(&[]);
        let range = Slice::new(value_at + start, value_at + end);
        self.framing.handle_field(known, value, range)?;
        match known {
            KnownHeader::Status if self.style == ResponseStyle::Cgi => {
                if self.status.is_none() {
                    self.status = Some(parse_status(value, value_at + start)?);
                }
            }
            known if known.is_hop_by_hop() => {}
            _ => {
                let name = Slice::new(at, at + name.len());
                self.fields.push(HeaderField { name, value: range, known });
            }
        }
        Ok(())
    }

    /// The head is complete.
    fn finish(
        &mut self,
        head: &[u8],
        request_was_head: bool,
    ) -> Result<ResponseHead, ResponseError> {
        let mut fields = std::mem::take(&mut self.fields);
        if !self.framing.nominated.is_empty() {
            fields.retain(|field| !self.framing.is_nominated(field, head));
        }
        let headers = Headers::new(head, fields);
        let (status, reason) = match self.status {
            Some((status, text)) => (status, reason_bytes(status, text.of(head))),
            None if headers.has(KnownHeader::Location) => (302, Bytes::new()),
            None => (200, Bytes::new()),
        };
        self.keep_alive = self.style == ResponseStyle::Http && self.framing.keep_alive(self.http11);
        let body = self.framing.body(self.style, request_was_head, status)?;
        self.keep_alive &= body != BodyLength::UntilClose;
        Ok(ResponseHead { status, reason, headers, body })
    }
}

#[derive(Clone, Debug, Default)]
struct Framing {
    content_length: Option<u64>,
    chunked: bool,
    unknown_coding: bool,
    close: bool,
    keep: bool,
    nominated: Vec<Slice>,
}

impl Framing {
    /// `range` is where the value stands in the head.
    fn handle_field(
        &mut self,
        known: KnownHeader,
        value: &[u8],
        range: Slice,
    ) -> Result<(), ResponseError> {
        match known {
            KnownHeader::ContentLength => {
                if self.content_length.is_some() {
                    return Err(ResponseError::ContentLengthTwice);
                }
                let bytes = decimal(value).ok_or(ResponseError::BadContentLength)?;
                self.content_length = Some(bytes);
            }
            KnownHeader::TransferEncoding => {
                if self.chunked || self.unknown_coding {
                    return Err(ResponseError::TransferEncodingTwice);
                }
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
                self.unknown_coding = !self.chunked;
            }
            KnownHeader::Connection => {
                for option in list_items(value) {
                    if option.eq_ignore_ascii_case(b"close") {
                        self.close = true;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        self.keep = true;
                    } else {
                        self.nominated.push(range);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Fields that Connection declares to be about this connection only (RFC 9110, 7.6.1);
    /// names that somebody decides upon are not given up for that.
    fn is_nominated(&self, field: &HeaderField, head: &[u8]) -> bool {
        field.known == KnownHeader::Unknown
            && (self.nominated.iter())
                .flat_map(|value| list_items(value.of(head)))
                .any(|option| option.eq_ignore_ascii_case(field.name.of(head)))
    }

    fn keep_alive(&self, http11: bool) -> bool {
        !self.close && (http11 || self.keep)
    }

    fn body(
        &self,
        style: ResponseStyle,
        request_was_head: bool,
        status: u16,
    ) -> Result<BodyLength, ResponseError> {
        let http = style == ResponseStyle::Http;
        if http && self.unknown_coding {
            return Err(ResponseError::TransferEncodingUnknown);
        }
        if http && self.chunked && self.content_length.is_some() {
            return Err(ResponseError::ContentLengthAndTransferEncoding);
        }
        if request_was_head || message::is_bodiless(status) {
            return Ok(BodyLength::None);
        }
        Ok(match self.content_length {
            _ if http && self.chunked => BodyLength::Chunked,
            Some(0) => BodyLength::None,
            Some(bytes) => BodyLength::Length(bytes),
            None => BodyLength::UntilClose,
        })
    }
}

/// Whether a first line that is not complete may still become a status line.
fn could_be_status_line(buffer: &[u8]) -> bool {
    let known = buffer.len().min(5);
    buffer.get(..known) == b"HTTP/".get(..known)
}

/// Minor version and status.
fn parse_status_line(line: &[u8]) -> Option<(u8, Status)> {
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' ', rest @ ..] = line
    else {
        return None;
    };
    let status = parse_status(rest, line.len() - rest.len()).ok()?;
    Some((minor - b'0', status))
}

/// `200 OK`, `200 ` or `200`, which stands at `at` in the head.
fn parse_status(text: &[u8], at: usize) -> Result<Status, ResponseError> {
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = text else {
        return Err(ResponseError::BadStatus);
    };
    let digit = |byte: &u8| u16::from(*byte - b'0');
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    let reason_at = match rest {
        [] => text.len(),
        [b' ', ..] => 4,
        _ => return Err(ResponseError::BadStatus),
    };
    Ok((status, Slice::new(at + reason_at, at + text.len())))
}

/// What would end a line or a text for somebody behind us.
fn is_line_breaker(byte: u8) -> bool {
    matches!(byte, b'\r' | 0)
}
