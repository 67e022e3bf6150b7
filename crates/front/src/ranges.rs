//! Range requests (RFC 9110, 14): one range or several of a body whose length is known.

use std::collections::VecDeque;

use bytes::Bytes;
use message::{Headers, KnownHeader, RequestHead};

use crate::clock::parse_http_date;
use crate::relay::{Body, Part};
use crate::response::{Response, decimal};

/// What a Range field asks of a body.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Nothing that we would honour: the whole body is sent.
    Whole,
    /// Nothing that exists: 416.
    Nothing,
    /// Pieces, each from its first byte to one past its last.
    Pieces(Vec<(u64, u64)>),
}

/// Applies the Range field of a request to a 200 with a body of known length. Answers `false` if
/// 416 is due, in which case the response is left with its `Content-Range` only.
pub fn apply(head: &RequestHead, response: &mut Response, ranges_max: Option<u32>) -> bool {
    let Some(length) = response.length else { return true };
    if response.status != 200 || !response.ranges {
        return true;
    }
    let range = head.header(KnownHeader::Range).filter(|_| ranges_max != Some(0));
    let Some(range) = range.filter(|_| if_range_holds(head, response)) else {
        response.accept_ranges(ranges_max);
        return true;
    };
    match parse(range, length, ranges_max.unwrap_or(u32::MAX)) {
        Asked::Whole => response.accept_ranges(ranges_max),
        Asked::Nothing => {
            response.headers = Headers::default();
            response.headers.push(KnownHeader::ContentRange, format!("bytes */{length}"));
            return false;
        }
        Asked::Pieces(pieces) => {
            // A whole answer that names a range all the same must not name two.
            response.headers.remove(KnownHeader::ContentRange);
            match pieces.as_slice() {
                [(start, end)] => single(response, *start, *end, length),
                _ => several(response, &pieces, length),
            }
        }
    }
    true
}

impl Response {
    /// Says that ranges of it may be asked for, if any may.
    fn accept_ranges(&mut self, ranges_max: Option<u32>) {
        if ranges_max != Some(0) {
            self.headers.push(KnownHeader::AcceptRanges, "bytes");
        }
    }
}

/// If-Range with a date must be the exact modification time, with a tag the exact strong tag.
fn if_range_holds(head: &RequestHead, response: &Response) -> bool {
    let Some(value) = head.header(KnownHeader::IfRange) else { return true };
    if value.starts_with(b"\"") || value.starts_with(b"W/") {
        return response.headers.get(KnownHeader::ETag) == Some(value);
    }
    response.modified().is_some() && parse_http_date(value) == response.modified()
}

fn parse(range: &[u8], length: u64, ranges_max: u32) -> Asked {
    let unit = range.get(..6).is_some_and(|unit| unit.eq_ignore_ascii_case(b"bytes="));
    let Some(list) = range.get(6..).filter(|_| unit) else { return Asked::Whole };
    let mut pieces = Vec::new();
    let mut total = 0u64;
    for spec in list.split(|&byte| byte == b',') {
        match parse_one(spec.trim_ascii(), length) {
            None => return Asked::Nothing,
            Some((start, end)) if start < end => {
                if pieces.len() as u64 >= u64::from(ranges_max) {
                    return Asked::Whole;
                }
                total = total.saturating_add(end - start);
                pieces.push((start, end));
            }
            Some(_) => {}
        }
    }
    match pieces.is_empty() {
        true => Asked::Nothing,
        // Overlapping ranges that add up to more than the whole are an attack on bandwidth.
        false if total > length => Asked::Whole,
        false => Asked::Pieces(pieces),
    }
}

/// One range as first and one past the last byte; an empty one lies outside; `None` is not a
/// range.
fn parse_one(spec: &[u8], length: u64) -> Option<(u64, u64)> {
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (spec.get(..dash)?.trim_ascii(), spec.get(dash + 1..)?.trim_ascii());
    if first.is_empty() {
        let suffix = number(last)?;
        return Some((length.saturating_sub(suffix), length));
    }
    let start = number(first)?;
    let end = match last.is_empty() {
        true => length,
        false => {
            let end = number(last)?;
            if end < start {
                return None;
            }
            end.saturating_add(1).min(length)
        }
    };
    Some((start, end))
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn single(response: &mut Response, start: u64, end: u64, length: u64) {
    response.status = 206;
    response.reason = Bytes::new();
    response.length = Some(end - start);
    let value = format!("bytes {start}-{}/{length}", end - 1);
    response.headers.push(KnownHeader::ContentRange, value);
    let body = std::mem::replace(&mut response.body, Body::Empty);
    response.body = body.slice(start, end - start);
}

fn several(response: &mut Response, pieces: &[(u64, u64)], length: u64) {
    let boundary = boundary();
    let mut parts = VecDeque::new();
    let mut total = 0;
    let body = std::mem::replace(&mut response.body, Body::Empty);
    for &(start, end) in pieces {
        let mut head = Vec::with_capacity(128);
        head.extend_from_slice(b"\r\n--");
        head.extend_from_slice(boundary.as_bytes());
        head.extend_from_slice(b"\r\n");
        if let Some(content_type) = response.content_type() {
            head.extend_from_slice(b"Content-Type: ");
            head.extend_from_slice(content_type);
            if let Some(charset) = &response.charset {
                head.extend_from_slice(b"; charset=");
                head.extend_from_slice(charset);
            }
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"Content-Range: bytes ");
        decimal(&mut head, start);
        head.push(b'-');
        decimal(&mut head, end - 1);
        head.push(b'/');
        decimal(&mut head, length);
        head.extend_from_slice(b"\r\n\r\n");
        total += head.len() as u64 + (end - start);
        parts.push_back(Part::Data(Bytes::from(head)));
        if let Some(part) = body.part(start, end - start) {
            parts.push_back(part);
        }
    }
    let tail = format!("\r\n--{boundary}--\r\n");
    total += tail.len() as u64;
    parts.push_back(Part::Data(Bytes::from(tail)));
    response.status = 206;
    response.reason = Bytes::new();
    response.length = Some(total);
    response.charset = None;
    let content_type = format!("multipart/byteranges; boundary={boundary}");
    response.set_content_type(Some(Bytes::from(content_type)));
    response.body = Body::Parts(parts);
}

/// Twenty digits that do not repeat within a process.
fn boundary() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:010}{:010}", crate::clock::now().as_micros() % 10_000_000_000, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end_and_suffixes_count_from_there() {
        assert_eq!(parse(b"bytes=0-4", 10, 9), Asked::Pieces(vec![(0, 5)]));
        assert_eq!(parse(b"bytes=5-100", 10, 9), Asked::Pieces(vec![(5, 10)]));
        assert_eq!(parse(b"bytes=-3", 10, 9), Asked::Pieces(vec![(7, 10)]));
        assert_eq!(parse(b"bytes=-30", 10, 9), Asked::Pieces(vec![(0, 10)]));
        assert_eq!(parse(b"bytes=0-1, 4-5", 10, 9), Asked::Pieces(vec![(0, 2), (4, 6)]));
    }

    #[test]
    fn what_lies_outside_or_makes_no_sense_is_not_satisfiable() {
        assert_eq!(parse(b"bytes=10-", 10, 9), Asked::Nothing);
        assert_eq!(parse(b"bytes=5-4", 10, 9), Asked::Nothing);
        assert_eq!(parse(b"bytes=x", 10, 9), Asked::Nothing);
        assert_eq!(parse(b"bytes=-0", 10, 9), Asked::Nothing);
    }

    #[test]
    fn too_many_or_too_much_is_the_whole() {
        assert_eq!(parse(b"bytes=0-8,1-9", 10, 9), Asked::Whole);
        assert_eq!(parse(b"bytes=0-0,1-1", 10, 1), Asked::Whole);
        assert_eq!(parse(b"lines=0-0", 10, 1), Asked::Whole);
    }
}
