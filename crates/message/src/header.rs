//! Header names: the ones that something decides upon are known by number.

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
                if at == NOWHERE || name.len() > NAME_BYTES_MAX {
                    return KnownHeader::Unknown;
                }
                let words = words(name);
                while let Some(entry) = NAMES.get(usize::from(at)) {
                    if entry.text.bytes == name.len() && entry.text.is(&words) {
                        return entry.known;
                    }
                    at = entry.next;
                }
                KnownHeader::Unknown
            }

            /// The name as programs usually write it; empty for `Unknown`.
            pub const fn name(self) -> &'static str {
                match self {
                    KnownHeader::Unknown => "",
                    $(KnownHeader::$variant => $name,)*
                }
            }
        }

        /// Every name.
        static NAMES: [Entry; NAME_COUNT] = chained([
            $(Entry { text: Name::new($name), known: KnownHeader::$variant, next: NOWHERE },)*
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

/// The longest known name; longer ones are not looked for.
const NAME_BYTES_MAX: usize = 24;
const WORDS: usize = 3;

/// A name as [`words`], so that a comparison takes three steps instead of one for each byte.
#[derive(Clone, Copy)]
struct Name {
    bytes: usize,
    /// In lower case.
    words: [u64; WORDS],
    /// 0x20, the bit of lower case, where a letter stands.
    letters: [u64; WORDS],
}

/// A known name, its number, and the place of the next name in the same bucket.
#[derive(Clone, Copy)]
struct Entry {
    text: Name,
    known: KnownHeader,
    next: u8,
}

impl Name {
    const fn new(text: &str) -> Name {
        let text = text.as_bytes();
        let (mut lower, mut letters) = ([0u8; NAME_BYTES_MAX], [0u8; NAME_BYTES_MAX]);
        let mut at = 0;
        while at < text.len() {
            lower[at] = text[at].to_ascii_lowercase();
            if text[at].is_ascii_alphabetic() {
                letters[at] = 0x20;
            }
            at += 1;
        }
        let (lower, _) = lower.split_at(text.len());
        let (letters, _) = letters.split_at(text.len());
        Name { bytes: text.len(), words: words(lower), letters: words(letters) }
    }

    /// Whether a name of the same length is this one: only the case of letters may differ.
    #[inline]
    fn is(&self, words: &[u64; WORDS]) -> bool {
        let mut difference = 0;
        for ((word, lower), letters) in words.iter().zip(&self.words).zip(&self.letters) {
            difference |= (word | letters) ^ lower;
        }
        difference == 0
    }
}

/// Every byte of a name of [`NAME_BYTES_MAX`] bytes at most, where its length says: words from its
/// start and one that ends with it, which may overlap.
#[inline]
const fn words(name: &[u8]) -> [u64; WORDS] {
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            let (_, behind) = name.split_at(8);
            let middle = match behind.first_chunk::<8>() {
                Some(middle) => u64::from_le_bytes(*middle),
                None => 0,
            };
            [u64::from_le_bytes(*first), middle, u64::from_le_bytes(*last)]
        }
        _ => [short_word(name), 0, 0],
    }
}

/// Every byte of a name of seven bytes at most.
#[inline]
const fn short_word(name: &[u8]) -> u64 {
    match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u32::from_le_bytes(*first) as u64 | (u32::from_le_bytes(*last) as u64) << 32
        }
        _ => match *name {
            [] => 0,
            [only] => only as u64,
            [first, .., last] => {
                first as u64 | (last as u64) << 8 | (name[name.len() / 2] as u64) << 16
            }
        },
    }
}

impl Entry {
    const fn bucket(&self) -> usize {
        let name = self.known.name().as_bytes();
        bucket(name.len(), name[0], name[name.len() - 1])
    }
}

const fn chained(mut names: [Entry; NAME_COUNT]) -> [Entry; NAME_COUNT] {
    let mut at = 0;
    while at < names.len() {
        let mut later = at + 1;
        while later < names.len() && names[later].bucket() != names[at].bucket() {
            later += 1;
        }
        if later < names.len() {
            names[at].next = later as u8;
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
        places[NAMES[at].bucket()] = at as u8;
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

/// A set of known names; `Unknown` in it stands for any other name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownSet(u64);

// A bit for each name and one for all others.
const _: () = assert!(NAME_COUNT < 64);

impl KnownSet {
    /// The set of these names.
    pub const fn of(names: &[KnownHeader]) -> KnownSet {
        let mut set = KnownSet(0);
        let mut at = 0;
        while at < names.len() {
            set.insert(names[at]);
            at += 1;
        }
        set
    }

    /// Puts a name in.
    pub const fn insert(&mut self, known: KnownHeader) {
        self.0 |= 1 << known as u64;
    }

    /// Puts all names of another set in.
    pub const fn extend(&mut self, other: KnownSet) {
        self.0 |= other.0;
    }

    /// Whether a name is in it.
    pub const fn contains(self, known: KnownHeader) -> bool {
        self.0 & 1 << known as u64 != 0
    }

    /// The names that have a name of their own.
    pub fn iter(self) -> impl Iterator<Item = KnownHeader> {
        NAMES.iter().map(|entry| entry.known).filter(move |known| self.contains(*known))
    }
}

impl FromIterator<KnownHeader> for KnownSet {
    fn from_iter<I: IntoIterator<Item = KnownHeader>>(names: I) -> KnownSet {
        let mut set = KnownSet::default();
        names.into_iter().for_each(|known| set.insert(known));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_nothing_else_is() {
        for Entry { known, .. } in &NAMES {
            let name = known.name();
            assert_eq!(KnownHeader::from_name(name.as_bytes()), *known);
            assert_eq!(KnownHeader::from_name(name.to_ascii_uppercase().as_bytes()), *known);
            for wrong in [format!("{name}x"), name.replace('-', "\r"), name.replace('e', "\x05")] {
                let found = KnownHeader::from_name(wrong.as_bytes());
                assert_eq!(found == *known, wrong == name, "{wrong:?}");
            }
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["", "x", "hos", "c-ntent-length", "Content_Length", "Host\0", &long] {
            assert_eq!(KnownHeader::from_name(name.as_bytes()), KnownHeader::Unknown);
        }
    }
}
