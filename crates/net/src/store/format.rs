//! The file of an object: a fixed head, a description, the body.
//!
//! ```text
//! fixed head (100 bytes, little endian)
//!   magic 8 | stored, valid until, stale while revalidate, stale if error: 8 each (ms)
//!   body length 8 | description length 4 | MD5 of body 16 | MD5 of description 16
//!   MD5 of all before 16
//! description
//!   key | Vary names | variant hash 16 | status 2 | reason
//!   field count 4 | (length of name 2, of value 4)* | (name `: ` value CR LF)*
//!   key, Vary names and reason have their length (4) before them
//! body
//! ```

use bytes::{Buf, BufMut, Bytes};
use cache::{CacheKey, Hash, Times, VaryInputs};
use message::{BodyLength, HeaderField, Headers, KnownHeader, KnownSet, ResponseHead, Slice};

const MAGIC: &[u8; 8] = b"propyln\x02";

/// Bytes of the fixed head.
pub(super) const FIXED_BYTES: usize = 100;

/// Bytes of the fixed head that its own checksum covers.
const SUMMED_BYTES: usize = 84;

/// Bytes of the lengths of a field.
const LENGTHS_BYTES: usize = 6;

/// Bytes of a description at most.
pub(super) const DESCRIPTION_BYTES_MAX: usize = 1024 * 1024;

/// The fixed head, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FixedHead {
    pub times: Times,
    pub body_len: u64,
    pub description_len: u32,
    pub body_sum: Hash,
    pub description_sum: Hash,
}

impl FixedHead {
    /// As it stands in the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES);
        out.put_slice(MAGIC);
        out.put_u64_le(self.times.stored_unix_ms);
        out.put_u64_le(self.times.valid_until_unix_ms);
        out.put_u64_le(self.times.stale_while_revalidate_ms);
        out.put_u64_le(self.times.stale_if_error_ms);
        out.put_u64_le(self.body_len);
        out.put_u32_le(self.description_len);
        out.put_slice(&self.body_sum.0);
        out.put_slice(&self.description_sum.0);
        let sum = Hash::of(&[&out]);
        out.put_slice(&sum.0);
        out
    }

    /// Reads it; `None` if anything is wrong.
    pub(super) fn decode(bytes: &[u8; FIXED_BYTES]) -> Option<FixedHead> {
        let (summed, sum) = bytes.split_at_checked(SUMMED_BYTES)?;
        if Hash::of(&[summed]).0 != sum {
            return None;
        }
        let mut rest = summed.strip_prefix(MAGIC)?;
        let times = Times {
            stored_unix_ms: rest.get_u64_le(),
            valid_until_unix_ms: rest.get_u64_le(),
            stale_while_revalidate_ms: rest.get_u64_le(),
            stale_if_error_ms: rest.get_u64_le(),
        };
        let body_len = rest.get_u64_le();
        let description_len = rest.get_u32_le();
        let body_sum = hash(&mut rest)?;
        let description_sum = hash(&mut rest)?;
        Some(FixedHead { times, body_len, description_len, body_sum, description_sum })
    }
}

/// What an object is, apart from its times and its body.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub key: Bytes,
    /// Lower case, joined by commas; empty if the response does not vary.
    pub vary: String,
    /// Meaningless without `vary`.
    pub variant: Hash,
    pub head: ResponseHead,
}

impl Description {
    /// As it stands in the file; `None` if it is too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(512);
        put_text(&mut out, &self.key)?;
        put_text(&mut out, self.vary.as_bytes())?;
        out.put_slice(&self.variant.0);
        out.put_u16_le(self.head.status);
        put_text(&mut out, &self.head.reason)?;
        let headers = &self.head.headers;
        out.put_u32_le(u32::try_from(headers.len()).ok()?);
        for header in headers.iter() {
            out.put_u16_le(u16::try_from(header.name.len()).ok()?);
            out.put_u32_le(u32::try_from(header.value.len()).ok()?);
        }
        headers.write(&mut out, KnownSet::default());
        (out.len() <= DESCRIPTION_BYTES_MAX).then_some(out)
    }

    /// Reads it; `None` if anything is wrong.
    pub(super) fn decode(bytes: &Bytes, body_len: u64) -> Option<Description> {
        let Described { key, vary, variant, head_at } = described(bytes)?;
        let (key, vary) = (bytes.slice_ref(key), std::str::from_utf8(vary).ok()?.to_owned());
        let head = head(bytes, head_at, body_len)?;
        Some(Description { key, vary, variant, head })
    }
}

/// The beginning of a description, where it stands.
pub(super) struct Described<'a> {
    pub key: &'a [u8],
    /// In UTF-8.
    pub vary: &'a [u8],
    pub variant: Hash,
    /// Where the head begins, for [`head`].
    pub head_at: usize,
}

impl Described<'_> {
    /// Whether the object is one of this key: others may have the same hash.
    pub(super) fn is_of(&self, key: &CacheKey) -> bool {
        self.key == key.text
    }

    /// The hash under which the variant that a request wants is stored, if not under the key's
    /// own; the key's own if the object does not vary.
    pub(super) fn wanted_variant(&self, key: &CacheKey, request: &dyn VaryInputs) -> Hash {
        match std::str::from_utf8(self.vary) {
            Ok(names) if !names.is_empty() => cache::vary::variant(key, names, request),
            _ => key.hash,
        }
    }
}

/// Reads the beginning of a description.
pub(super) fn described(bytes: &[u8]) -> Option<Described<'_>> {
    let mut rest = bytes;
    let key = text(&mut rest)?;
    let vary = text(&mut rest)?;
    let variant = hash(&mut rest)?;
    Some(Described { key, vary, variant, head_at: bytes.len() - rest.len() })
}

/// Reads the head of a description, which ends where the bytes do.
pub(super) fn head(bytes: &[u8], at: usize, body_len: u64) -> Option<ResponseHead> {
    let mut rest = bytes.get(at..)?;
    let status = rest.try_get_u16_le().ok()?;
    let reason = message::reason_bytes(status, text(&mut rest)?);
    let count = rest.try_get_u32_le().ok()? as usize;
    let (lengths, lines) = rest.split_at_checked(count.checked_mul(LENGTHS_BYTES)?)?;
    let headers = Headers::new(lines, fields(lengths, lines)?);
    Some(ResponseHead { status, reason, headers, body: BodyLength::Length(body_len) })
}

/// Where fields of these lengths stand in their lines; `None` unless they are all of these.
fn fields(lengths: &[u8], lines: &[u8]) -> Option<Vec<HeaderField>> {
    let (lengths, _) = lengths.as_chunks::<LENGTHS_BYTES>();
    let mut fields = Vec::with_capacity(lengths.len());
    let mut at = 0;
    for mut lengths in lengths.iter().map(|lengths| &lengths[..]) {
        let name_end = at + usize::from(lengths.get_u16_le());
        let value_end = name_end + 2 + lengths.get_u32_le() as usize;
        fields.push(HeaderField {
            name: Slice::new(at, name_end),
            value: Slice::new(name_end + 2, value_end),
            known: KnownHeader::from_name(lines.get(at..name_end)?),
        });
        at = value_end + 2;
    }
    (at == lines.len()).then_some(fields)
}

fn hash(rest: &mut &[u8]) -> Option<Hash> {
    let (bytes, tail) = rest.split_first_chunk::<16>()?;
    *rest = tail;
    Some(Hash(*bytes))
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    out.put_u32_le(u32::try_from(text.len()).ok()?);
    out.put_slice(text);
    Some(())
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk()?;
    let (text, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = tail;
    Some(text)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cache::{Hash, Times};
    use message::{BodyLength, ResponseHead};

    use super::{Description, FIXED_BYTES, FixedHead};

    fn description() -> Description {
        let mut head = ResponseHead::new(200, BodyLength::Length(7));
        head.headers.push_named("X-A", "1");
        head.headers.push_named("X-B", "");
        let key = Bytes::from_static(b"key");
        Description { key, vary: "accept".into(), variant: Hash([3; 16]), head }
    }

    #[test]
    fn a_description_survives_the_way_there_and_back_and_no_cut() {
        let bytes = Bytes::from(description().encode().unwrap());
        let back = Description::decode(&bytes, 7).unwrap();
        assert_eq!(back.head.headers, description().head.headers);
        assert_eq!((back.key, back.vary, back.head.status), ("key".into(), "accept".into(), 200));
        for end in 0..bytes.len() {
            assert!(Description::decode(&bytes.slice(..end), 7).is_none(), "cut at {end}");
        }
    }

    #[test]
    fn a_fixed_head_with_any_byte_changed_is_none() {
        let head = FixedHead {
            times: Times { stored_unix_ms: 1, valid_until_unix_ms: 2, ..Times::default() },
            body_len: 3,
            description_len: 4,
            body_sum: Hash([5; 16]),
            description_sum: Hash([6; 16]),
        };
        let good: [u8; FIXED_BYTES] = head.encode().try_into().unwrap();
        assert_eq!(FixedHead::decode(&good), Some(head));
        for at in 0..FIXED_BYTES {
            let mut bad = good;
            bad[at] ^= 0x10;
            assert_eq!(FixedHead::decode(&bad), None, "byte {at}");
        }
    }
}
