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
            pub fn from_name(name: &[u8]) -> KnownHeader {
                // The length decides first: most names meet one or two comparisons.
                $(if name.len() == $name.len() && name.eq_ignore_ascii_case($name.as_bytes()) {
                    return KnownHeader::$variant;
                })*
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
    };
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
        Header {
            name: Bytes::from_static(known.name().as_bytes()),
            value: value.into(),
            known,
        }
    }

    /// A field with any name.
    pub fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Header {
        let name = name.into();
        let known = KnownHeader::from_name(&name);
        Header { name, value: value.into(), known }
    }
}
