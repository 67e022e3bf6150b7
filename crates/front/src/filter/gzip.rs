//! Compression on the way out.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use message::{KnownHeader, RequestHead, Version};
use plan::front::location::{GzipPlan, GzipProxied};

use crate::relay::{Body, BodyCut, Part, Pieces};
use crate::response::Response;

/// A body that is compressed while it is pulled.
pub struct Compressed {
    source: Pieces,
    /// `None` once the end has been written.
    encoder: Option<GzEncoder<Vec<u8>>>,
    /// Bytes that went in.
    pub taken: u64,
    /// Bytes that came out.
    pub given: u64,
    /// Pieces are passed on as they come, for upstreams that are not buffered.
    flush: bool,
}

impl std::fmt::Debug for Compressed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Compressed").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Compressed {
    /// Wraps a body. Levels outside 1 to 9 count as 1.
    pub fn new(source: Body, level: u32, flush: bool) -> Compressed {
        let level = if (1..=9).contains(&level) { level } else { 1 };
        Compressed {
            source: Pieces::of(source),
            encoder: Some(GzEncoder::new(Vec::new(), Compression::new(level))),
            taken: 0,
            given: 0,
            flush,
        }
    }

    /// The body below, for what it learnt.
    pub fn into_source(self) -> Body {
        self.source.into_body()
    }

    /// The next compressed piece; `None` is the end.
    ///
    /// # Errors
    /// If the body below was cut, or a file could not be read.
    pub async fn next(&mut self) -> Result<Option<Part>, BodyCut> {
        loop {
            let Some(input) = self.source.next().await? else { return Ok(self.finish()) };
            self.taken += input.len() as u64;
            let Some(encoder) = &mut self.encoder else { return Ok(None) };
            encoder.write_all(&input).map_err(|_| BodyCut)?;
            if self.flush {
                encoder.flush().map_err(|_| BodyCut)?;
            }
            if !encoder.get_ref().is_empty() {
                let output = std::mem::take(encoder.get_mut());
                self.given += output.len() as u64;
                return Ok(Some(Part::Data(Bytes::from(output))));
            }
        }
    }

    fn finish(&mut self) -> Option<Part> {
        // Writing into a vector does not fail.
        let output = self.encoder.take()?.finish().ok()?;
        self.given += output.len() as u64;
        Some(Part::Data(Bytes::from(output)))
    }
}

/// What decides about compression, beside the response.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The request.
    pub head: &'a RequestHead,
    /// `gzip_disable` matched the user agent.
    pub disabled: bool,
}

/// Compresses a response if the location and the client want that.
pub fn apply(asking: Asking<'_>, response: &mut Response, plan: &GzipPlan, flush: bool) {
    if !is_candidate(response, plan) {
        return;
    }
    response.vary_encoding = plan.vary;
    if asking.disabled || !client_takes(asking.head, response, plan) {
        return;
    }
    let source = std::mem::replace(&mut response.body, Body::Empty);
    // A HEAD request has no body to compress, but the same head.
    response.body = Body::Compressed(Box::new(Compressed::new(source, plan.level, flush)));
    response.length = None;
    response.ranges = false;
    response.headers.remove(KnownHeader::AcceptRanges);
    weaken_tag(response);
    response.headers.push(KnownHeader::ContentEncoding, "gzip");
}

fn is_candidate(response: &Response, plan: &GzipPlan) -> bool {
    plan.on
        && matches!(response.status, 200 | 403 | 404)
        && !response.headers.has(KnownHeader::ContentEncoding)
        && response.length.is_none_or(|length| length >= plan.min_length)
        && response.content_type().is_some_and(|found| type_listed(found, &plan.types))
}

/// Whether a content type is in a list of types; parameters do not count, `*` is all.
pub fn type_listed(found: &[u8], types: &[String]) -> bool {
    let end = found.iter().position(|&byte| byte == b';').unwrap_or(found.len());
    let found = found[..end].trim_ascii();
    types.iter().any(|known| known == "*" || known.as_bytes().eq_ignore_ascii_case(found))
}

/// Whether the client asked for gzip, and its request may be answered so.
pub fn client_takes(head: &RequestHead, response: &Response, plan: &GzipPlan) -> bool {
    if head.version < Version::Http11 && !plan.for_http10 {
        return false;
    }
    let accepted = head.header(KnownHeader::AcceptEncoding).is_some_and(accepts_gzip);
    accepted && (head.header(KnownHeader::Via).is_none() || proxied(head, response, plan.proxied))
}

/// Whether an Accept-Encoding value names gzip (or `*`) with a quality above zero.
pub fn accepts_gzip(value: &[u8]) -> bool {
    let mut star = false;
    for entry in value.split(|&byte| byte == b',') {
        let mut parts = entry.split(|&byte| byte == b';');
        let coding = parts.next().unwrap_or(&[]).trim_ascii();
        let refused = parts.map(<[u8]>::trim_ascii).any(|parameter| {
            let quality = parameter.strip_prefix(b"q=").or(parameter.strip_prefix(b"Q="));
            quality.is_some_and(|q| q.iter().all(|byte| matches!(byte, b'0' | b'.')))
        });
        if coding.eq_ignore_ascii_case(b"gzip") {
            return !refused;
        }
        star |= coding == b"*" && !refused;
    }
    star
}

fn proxied(head: &RequestHead, response: &Response, allowed: GzipProxied) -> bool {
    if allowed.any || (allowed.auth && head.header(KnownHeader::Authorization).is_some()) {
        return true;
    }
    let expires = response.headers.get(KnownHeader::Expires);
    let expires = expires.and_then(crate::clock::parse_http_date);
    if let Some(expires) = expires {
        let date = i64::try_from(crate::clock::now().as_secs()).unwrap_or(i64::MAX);
        return allowed.expired && expires < date;
    }
    if let Some(control) = response.headers.get(KnownHeader::CacheControl) {
        let has = |word: &[u8]| memchr_find(control, word);
        return (allowed.no_cache && has(b"no-cache"))
            || (allowed.no_store && has(b"no-store"))
            || (allowed.private && has(b"private"));
    }
    if response.last_modified.is_some() || response.headers.has(KnownHeader::LastModified) {
        return !response.headers.has(KnownHeader::ETag) && allowed.no_etag;
    }
    allowed.no_last_modified
}

fn memchr_find(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// Makes the ETag a weak one: the body is no longer the same, byte by byte.
pub fn weaken_tag(response: &mut Response) {
    let weak = |tag: &[u8]| (!tag.starts_with(b"W/")).then(|| [b"W/", tag].concat());
    response.headers.change(KnownHeader::ETag, weak);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn a_compressed_body_unpacks_to_what_went_in() {
        let text = Bytes::from("propylon ".repeat(9000));
        let mut body = Compressed::new(Body::Memory(text.clone()), 6, false);
        let mut packed = Vec::new();
        while let Some(Part::Data(bytes)) = body.next().await.unwrap() {
            packed.extend_from_slice(&bytes);
        }
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        assert!(packed.len() < text.len() / 10);
    }

    #[test]
    fn gzip_is_taken_unless_its_quality_is_zero() {
        assert!(accepts_gzip(b"deflate, gzip"));
        assert!(accepts_gzip(b"*;q=0.1"));
        assert!(!accepts_gzip(b"gzip;q=0.0, *"));
        assert!(!accepts_gzip(b"br"));
    }
}
