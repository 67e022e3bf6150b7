//! Conditional requests (RFC 9110, 13) in nginx's order: If-Unmodified-Since, If-Match, then
//! If-Modified-Since together with If-None-Match. Only answers of 200 are judged.

use message::{KnownHeader, RequestHead};
use plan::front::location::IfModifiedSince;

use crate::clock::parse_http_date;
use crate::response::Response;

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Send,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

/// Judges the conditions of a request against a response.
pub fn judge(head: &RequestHead, response: &Response, since: IfModifiedSince) -> Verdict {
    if let Some(value) = head.header(KnownHeader::IfUnmodifiedSince)
        && !is_unmodified(value, response, since)
    {
        return Verdict::PreconditionFailed;
    }
    let tag = response.headers.get(KnownHeader::ETag);
    if let Some(value) = head.header(KnownHeader::IfMatch)
        && !tag_in_list(value, tag, false)
    {
        return Verdict::PreconditionFailed;
    }
    let modified_since = head.header(KnownHeader::IfModifiedSince);
    let none_match = head.header(KnownHeader::IfNoneMatch);
    if modified_since.is_none() && none_match.is_none() {
        return Verdict::Send;
    }
    if let Some(value) = modified_since
        && is_modified(value, response, since)
    {
        return Verdict::Send;
    }
    if let Some(value) = none_match
        && !tag_in_list(value, tag, true)
    {
        return Verdict::Send;
    }
    Verdict::NotModified
}

fn is_unmodified(value: &[u8], response: &Response, since: IfModifiedSince) -> bool {
    let Some(modified) = response.modified() else { return false };
    if since == IfModifiedSince::Off {
        return true;
    }
    parse_http_date(value).is_some_and(|limit| limit >= modified)
}

fn is_modified(value: &[u8], response: &Response, since: IfModifiedSince) -> bool {
    let Some(modified) = response.modified() else { return true };
    let Some(limit) = parse_http_date(value) else { return true };
    match since {
        IfModifiedSince::Off => true,
        IfModifiedSince::Exact => limit != modified,
        IfModifiedSince::Before => limit < modified,
    }
}

/// Whether `list` is `*` or names `tag`; the weak comparison ignores `W/` (RFC 9110, 8.8.3.2).
fn tag_in_list(list: &[u8], tag: Option<&[u8]>, weak: bool) -> bool {
    if list == b"*" {
        return true;
    }
    let Some(tag) = tag else { return false };
    let strip = |tag: &'_ [u8]| -> usize { if tag.starts_with(b"W/") { 2 } else { 0 } };
    if !weak && strip(tag) != 0 {
        return false;
    }
    let wanted = &tag[strip(tag)..];
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).any(|entry| {
        let at = if weak { strip(entry) } else { 0 };
        &entry[at..] == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_comparison_ignores_the_mark_and_strong_comparison_does_not() {
        let tag = Some(b"\"a-1\"".as_slice());
        assert!(tag_in_list(b"\"x\", W/\"a-1\"", tag, true));
        assert!(!tag_in_list(b"W/\"a-1\"", tag, false));
        assert!(tag_in_list(b"*", None, false));
        assert!(!tag_in_list(b"\"a-1\"", None, true));
    }
}
