//! Header names: the ones that something decides upon are known by number.

use bytes::Bytes;

use crate::Slice;

macro_rules! known_headers {
    ($($variant:ident = $name:literal,)*) => {
        /// Header names that some part of the program decides upon.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum KnownHeader {
            /// Any other name; compare the text.
            Unknown,
            $($variant,)*
        }

        impl KnownHeader {
            /// Finds a name, whatever its case.
            #[inline]
            pub fn from_name(name: &[u8]) -> KnownHeader {
                let (Some(first), Some(last)) = (name.first(), name.last()) else {
                    return KnownHeader::Unknown;
                };
                let mut at = BUCKETS[bucket(name.len(), *first, *last)];
                while let Some((text, known, next)) = NAMES.get(usize::from(at)) {
                    if name.eq_ignore_ascii_case(text) {
                        return *known;
                    }
                    at = *next;
                }
                KnownHeader::Unknown
            }

            /// The name as programs usually write it; empty for `Unknown`.
            pub fn name(self) -> &'static str {
                match self {
                    KnownHeader::Unknown => "",
                    $(KnownHeader::$variant => $name,)*
                }
            }
        }

        /// Every name, its number, and the place of the next name in the same bucket.
        static NAMES: [(&[u8], KnownHeader, u8); NAME_COUNT] = chained([
            $(($name.as_bytes(), KnownHeader::$variant, NOWHERE),)*
        ]);

        const NAME_COUNT: usize = [$($name,)*].len();
    };
}

const BUCKET_COUNT: usize = 256;
/// Past the end of `NAMES`: the end of a chain.
const NOWHERE: u8 = u8::MAX;

/// Where the chain of each bucket begins in `NAMES`.
static BUCKETS: [u8; BUCKET_COUNT] = first_places();

/// Spreads names by length, first and last letter; most requests compare each name once.
#[inline]
const fn bucket(length: usize, first: u8, last: u8) -> usize {
    let (first, last) = ((first | 0x20) as usize, (last | 0x20) as usize);
    (length * 7 + first * 5 + last * 31) % BUCKET_COUNT
}

const fn bucket_of(name: &[u8]) -> usize {
    bucket(name.len(), name[0], name[name.len() - 1])
}

type NameTable = [(&'static [u8], KnownHeader, u8); NAME_COUNT];

const fn chained(mut names: NameTable) -> NameTable {
    let mut at = 0;
    while at < names.len() {
        let mut later = at + 1;
        while later < names.len() && bucket_of(names[later].0) != bucket_of(names[at].0) {
            later += 1;
        }
        if later < names.len() {
            names[at].2 = later as u8;
        }
        at += 1;
    }
    names
}

const fn first_places() -> [u8; BUCKET_COUNT] {
    let mut places = [NOWHERE; BUCKET_COUNT];
    let mut at = NAME_COUNT;
    while at > 0 {
        at -= 1;
        places[bucket_of(NAMES[at].0)] = at as u8;
    }
    places
}

known_headers! {
    Host = "Host",
    Connection = "Connection",
    Accept = "Accept",
    UserAgent = "User-Agent",
    AcceptEncoding = "Accept-Encoding",
    Cookie = "Cookie",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    TransferEncoding = "Transfer-Encoding",
    Expect = "Expect",
    Upgrade = "Upgrade",
    KeepAlive = "Keep-Alive",
    Te = "TE",
    Trailer = "Trailer",
    Proxy = "Proxy",
    ProxyConnection = "Proxy-Connection",
    Range = "Range",
    IfRange = "If-Range",
    IfModifiedSince = "If-Modified-Since",
    IfUnmodifiedSince = "If-Unmodified-Since",
    IfMatch = "If-Match",
    IfNoneMatch = "If-None-Match",
    Referer = "Referer",
    Authorization = "Authorization",
    XForwardedFor = "X-Forwarded-For",
    XRealIp = "X-Real-IP",
    Via = "Via",
    Date = "Date",
    Server = "Server",
    Status = "Status",
    Location = "Location",
    Refresh = "Refresh",
    LastModified = "Last-Modified",
    ETag = "ETag",
    Expires = "Expires",
    CacheControl = "Cache-Control",
    Pragma = "Pragma",
    SetCookie = "Set-Cookie",
    Vary = "Vary",
    ContentEncoding = "Content-Encoding",
    ContentRange = "Content-Range",
    AcceptRanges = "Accept-Ranges",
    WwwAuthenticate = "WWW-Authenticate",
    RetryAfter = "Retry-After",
    XAccelRedirect = "X-Accel-Redirect",
    XAccelExpires = "X-Accel-Expires",
    XAccelBuffering = "X-Accel-Buffering",
    XAccelCharset = "X-Accel-Charset",
    XAccelLimitRate = "X-Accel-Limit-Rate",
    XPad = "X-Pad",
}

impl KnownHeader {
    /// Whether the field is about one connection only and is never forwarded (RFC 9110, 7.6.1).
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            KnownHeader::Connection
                | KnownHeader::KeepAlive
                | KnownHeader::ProxyConnection
                | KnownHeader::Te
                | KnownHeader::Trailer
                | KnownHeader::TransferEncoding
                | KnownHeader::Upgrade
        )
    }
}

/// A header field as ranges of the head it came in.
#[derive(Clone, Copy, Debug)]
pub struct HeaderField {
    /// Name as written.
    pub name: Slice,
    /// Value without surrounding blanks.
    pub value: Slice,
    /// The name by number.
    pub known: KnownHeader,
}

/// A header field that owns (a share of) its bytes: what responses are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name as it goes out.
    pub name: Bytes,
    /// Value without surrounding blanks.
    pub value: Bytes,
    /// The name by number.
    pub known: KnownHeader,
}

impl Header {
    /// A field with a known name.
    pub fn known(known: KnownHeader, value: impl Into<Bytes>) -> Header {
        Header { name: Bytes::from_static(known.name().as_bytes()), value: value.into(), known }
    }

    /// A field with any name.
    pub fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Header {
        let name = name.into();
        let known = KnownHeader::from_name(&name);
        Header { name, value: value.into(), known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_nothing_else_is() {
        for (name, known, _) in &NAMES {
            assert_eq!(KnownHeader::from_name(name), *known);
            assert_eq!(KnownHeader::from_name(&name.to_ascii_uppercase()), *known);
            assert_eq!(known.name().as_bytes(), *name);
            let longer = [name, &b"x"[..]].concat();
            assert_eq!(KnownHeader::from_name(&longer), KnownHeader::Unknown);
        }
        for name in ["", "x", "hos", "c-ntent-length", "Content_Length"] {
            assert_eq!(KnownHeader::from_name(name.as_bytes()), KnownHeader::Unknown);
        }
    }
}
