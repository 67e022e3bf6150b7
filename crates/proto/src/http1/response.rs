//! Response heads from upstreams: HTTP/1 status lines and CGI's `Status:` fields.

use bytes::{Bytes, BytesMut};
use message::{BodyLength, Header, KnownHeader, ResponseHead};

use super::bytes::{TOKEN, all, any_control, decimal, list_items, trimmed};

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

/// Reads the heads of answers out of a growing buffer.
#[derive(Clone, Debug)]
pub struct ResponseReader {
    style: ResponseStyle,
    line: usize,
    searched: usize,
    interim_answers: u8,
    head_bytes: usize,
    keep_alive: bool,
}

impl ResponseReader {
    /// For answers of that style.
    pub fn new(style: ResponseStyle) -> ResponseReader {
        ResponseReader {
            style,
            line: 0,
            searched: 0,
            interim_answers: 0,
            head_bytes: 0,
            keep_alive: false,
        }
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
        while let Some(end) = self.find_end(buffer, bytes_max)? {
            let head = buffer.split_to(end).freeze();
            self.line = 0;
            self.searched = 0;
            self.head_bytes = head.len();
            let parsed = self.parse(&head, request_was_head)?;
            match parsed.status {
                101 => return Err(ResponseError::UnexpectedUpgrade),
                100..=199 => {
                    self.interim_answers += 1;
                    if self.interim_answers > INTERIM_ANSWERS_MAX {
                        return Err(ResponseError::TooManyInterimAnswers);
                    }
                }
                _ => return Ok(Some(parsed)),
            }
        }
        Ok(None)
    }

    /// One past the empty line that ends the head.
    fn find_end(
        &mut self,
        buffer: &mut BytesMut,
        bytes_max: usize,
    ) -> Result<Option<usize>, ResponseError> {
        while let Some(found) = memchr::memchr(b'\n', buffer.get(self.searched..).unwrap_or(&[])) {
            let end = self.searched + found;
            let line = buffer.get(self.line..end).unwrap_or(&[]);
            let empty = matches!(line, b"" | b"\r");
            let first = self.line == 0;
            self.line = end + 1;
            self.searched = end + 1;
            if self.searched > bytes_max {
                return Err(ResponseError::HeadTooLong);
            }
            if empty && first {
                return Err(ResponseError::BadStatusLine);
            }
            if empty {
                return Ok(Some(self.searched));
            }
        }
        if self.style == ResponseStyle::Http && !could_be_status_line(buffer) {
            return Err(ResponseError::BadStatusLine);
        }
        self.searched = buffer.len();
        if buffer.len() >= bytes_max {
            return Err(ResponseError::HeadTooLong);
        }
        Ok(None)
    }

    fn parse(
        &mut self,
        head: &Bytes,
        request_was_head: bool,
    ) -> Result<ResponseHead, ResponseError> {
        let mut at = 0;
        let mut answer = ResponseHead::new(200, BodyLength::UntilClose);
        let mut http11 = false;
        let mut has_status = false;
        let first = memchr::memchr(b'\n', head).unwrap_or(head.len());
        match parse_status_line(head, first) {
            Some((minor, status, reason)) => {
                http11 = minor >= 1;
                has_status = true;
                answer.status = status;
                answer.reason = reason;
                at = first + 1;
            }
            None if self.style == ResponseStyle::Http || head.starts_with(b"HTTP/") => {
                return Err(ResponseError::BadStatusLine);
            }
            None => {}
        }
        let mut framing = Framing::default();
        while let Some(field) = next_field(head, &mut at)? {
            framing.handle_field(&field)?;
            match field.known {
                KnownHeader::Status if self.style == ResponseStyle::Cgi => {
                    if !has_status {
                        (answer.status, answer.reason) = parse_status(&field.value)?;
                        has_status = true;
                    }
                }
                known if known.is_hop_by_hop() => {}
                _ => answer.headers.push(field),
            }
        }
        if !has_status && answer.header(KnownHeader::Location).is_some() {
            answer.status = 302;
        }
        framing.drop_nominated(&mut answer);
        self.keep_alive = self.style == ResponseStyle::Http && framing.keep_alive(http11);
        answer.body = framing.body(self.style, request_was_head, &answer)?;
        self.keep_alive &= answer.body != BodyLength::UntilClose;
        Ok(answer)
    }
}

#[derive(Default)]
struct Framing {
    content_length: Option<u64>,
    chunked: bool,
    unknown_coding: bool,
    close: bool,
    keep: bool,
    nominated: Vec<Bytes>,
}

impl Framing {
    fn handle_field(&mut self, field: &Header) -> Result<(), ResponseError> {
        match field.known {
            KnownHeader::ContentLength => {
                if self.content_length.is_some() {
                    return Err(ResponseError::ContentLengthTwice);
                }
                let bytes = decimal(&field.value).ok_or(ResponseError::BadContentLength)?;
                self.content_length = Some(bytes);
            }
            KnownHeader::TransferEncoding => {
                if self.chunked || self.unknown_coding {
                    return Err(ResponseError::TransferEncodingTwice);
                }
                self.chunked = field.value.eq_ignore_ascii_case(b"chunked");
                self.unknown_coding = !self.chunked;
            }
            KnownHeader::Connection => {
                for option in list_items(&field.value) {
                    if option.eq_ignore_ascii_case(b"close") {
                        self.close = true;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        self.keep = true;
                    } else if KnownHeader::from_name(option) == KnownHeader::Unknown {
                        self.nominated.push(field.value.slice_ref(option));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Fields that Connection declares to be about this connection only (RFC 9110, 7.6.1);
    /// names that somebody decides upon are not given up for that.
    fn drop_nominated(&self, answer: &mut ResponseHead) {
        if self.nominated.is_empty() {
            return;
        }
        answer.headers.retain(|header| {
            !self.nominated.iter().any(|name| header.name.eq_ignore_ascii_case(name))
        });
    }

    fn keep_alive(&self, http11: bool) -> bool {
        !self.close && (http11 || self.keep)
    }

    fn body(
        &self,
        style: ResponseStyle,
        request_was_head: bool,
        answer: &ResponseHead,
    ) -> Result<BodyLength, ResponseError> {
        let http = style == ResponseStyle::Http;
        if http && self.unknown_coding {
            return Err(ResponseError::TransferEncodingUnknown);
        }
        if http && self.chunked && self.content_length.is_some() {
            return Err(ResponseError::ContentLengthAndTransferEncoding);
        }
        if request_was_head || answer.is_bodiless_status() {
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

/// Minor version, status, reason.
fn parse_status_line(head: &Bytes, line_end: usize) -> Option<(u8, u16, Bytes)> {
    let line = head.get(..line_end)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9', b' ', rest @ ..] = line
    else {
        return None;
    };
    let (status, reason) = parse_status(&head.slice_ref(rest)).ok()?;
    Some((minor - b'0', status, reason))
}

/// `200 OK`, `200 ` or `200`.
fn parse_status(text: &Bytes) -> Result<(u16, Bytes), ResponseError> {
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = &text[..] else {
        return Err(ResponseError::BadStatus);
    };
    let digit = |byte: &u8| u16::from(*byte - b'0');
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    let reason = match rest {
        [] => &[],
        [b' ', reason @ ..] if !reason.iter().any(|byte| is_line_breaker(*byte)) => reason,
        _ => return Err(ResponseError::BadStatus),
    };
    Ok((status, text.slice_ref(reason)))
}

/// The next field, from `at` on; `None` at the empty line.
fn next_field(head: &Bytes, at: &mut usize) -> Result<Option<Header>, ResponseError> {
    let rest = head.get(*at..).unwrap_or(&[]);
    let end = memchr::memchr(b'\n', rest).ok_or(ResponseError::BadHeader)?;
    *at += end + 1;
    let line = &rest[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Ok(None);
    }
    let colon = memchr::memchr(b':', line).ok_or(ResponseError::BadHeader)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !all(name, TOKEN) {
        return Err(ResponseError::BadHeader);
    }
    if any_control(value) && value.iter().any(|byte| is_line_breaker(*byte)) {
        return Err(ResponseError::BadHeader);
    }
    let (start, end) = trimmed(value);
    let known = KnownHeader::from_name(name);
    let (name, value) = (head.slice_ref(name), head.slice_ref(&value[start..end]));
    Ok(Some(Header { name, value, known }))
}

/// What would end a line or a text for somebody behind us.
fn is_line_breaker(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}
