//! uwsgi packets: a head of four bytes (modifier1, u16 little endian length, modifier2), then
//! variables, each a u16 little endian length and a key, and the same for the value.
//!
//! A packet is data: variables by which uWSGI would load or run what they name are known by
//! [`is_command_variable`] and never obeyed.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a packet's head.
pub const PACKET_HEAD_BYTES: usize = 4;

/// A packet whose variables have been checked: [`vars`] gives no error on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What kind of request it is; 0 is Python/WSGI.
    pub modifier1: u8,
    /// Its sub-kind.
    pub modifier2: u8,
    /// The variables, coded.
    pub vars: Bytes,
}

/// Why bytes are not a packet. Nothing more may be read from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PacketError {
    /// A web browser speaks to a uwsgi socket.
    LooksLikeHttp,
    /// The variables are longer than the limit (`buffer-size`); the length they claim.
    TooLong(u16),
    /// A variable's length points outside of the packet.
    VariableCut,
    /// A variable without a name.
    EmptyName,
    /// A name or a value with a NUL.
    NulByte,
}

/// A name or value of more than 65,535 bytes, which the coding cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Takes the next packet off `buffer`, or says `None` if it is not complete. The body stays.
///
/// # Errors
/// These bytes are no packet, or a too long one.
pub fn next_packet(
    buffer: &mut BytesMut,
    vars_bytes_max: usize,
) -> Result<Option<Packet>, PacketError> {
    let Some(&[modifier1, low, high, modifier2]) = buffer.first_chunk::<PACKET_HEAD_BYTES>() else {
        return Ok(None);
    };
    if looks_like_http(&[modifier1, low, high, modifier2]) {
        return Err(PacketError::LooksLikeHttp);
    }
    let claimed = u16::from_le_bytes([low, high]);
    let vars_bytes = usize::from(claimed);
    if vars_bytes > vars_bytes_max {
        return Err(PacketError::TooLong(claimed));
    }
    if buffer.len() < PACKET_HEAD_BYTES + vars_bytes {
        return Ok(None);
    }
    buffer.advance(PACKET_HEAD_BYTES);
    let coded = buffer.split_to(vars_bytes).freeze();
    for var in vars(&coded) {
        let (key, value) = var?;
        if memchr::memchr(0, key).is_some() || memchr::memchr(0, value).is_some() {
            return Err(PacketError::NulByte);
        }
    }
    Ok(Some(Packet { modifier1, modifier2, vars: coded }))
}

/// Names and values of coded variables, in order; ends after the first error.
pub fn vars(coded: &[u8]) -> Vars<'_> {
    Vars { rest: coded }
}

/// Iterator of [`vars`].
#[derive(Clone, Debug)]
pub struct Vars<'a> {
    rest: &'a [u8],
}

impl<'a> Vars<'a> {
    fn next_text(&mut self) -> Result<&'a [u8], PacketError> {
        let (length, rest) = self.rest.split_first_chunk::<2>().ok_or(PacketError::VariableCut)?;
        let bytes = usize::from(u16::from_le_bytes(*length));
        let (text, rest) = rest.split_at_checked(bytes).ok_or(PacketError::VariableCut)?;
        self.rest = rest;
        Ok(text)
    }

    fn next_pair(&mut self) -> Result<(&'a [u8], &'a [u8]), PacketError> {
        let key = self.next_text()?;
        if key.is_empty() {
            return Err(PacketError::EmptyName);
        }
        Ok((key, self.next_text()?))
    }
}

impl<'a> Iterator for Vars<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.next_pair();
        if pair.is_err() {
            self.rest = &[];
        }
        Some(pair)
    }
}

/// Appends one variable.
///
/// # Errors
/// If the name or the value is too long; then nothing is appended.
#[inline]
pub fn push_var(out: &mut Vec<u8>, key: &[u8], value: &[u8]) -> Result<(), TooLong> {
    let key_bytes = u16::try_from(key.len()).map_err(|_| TooLong)?;
    let value_bytes = u16::try_from(value.len()).map_err(|_| TooLong)?;
    out.extend_from_slice(&key_bytes.to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&value_bytes.to_le_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// Appends one variable whose name and value are appended by the caller's functions.
///
/// # Errors
/// If the name or the value is too long; then nothing is appended.
#[inline]
pub fn push_var_with(
    out: &mut Vec<u8>,
    key: impl FnOnce(&mut Vec<u8>),
    value: impl FnOnce(&mut Vec<u8>),
) -> Result<(), TooLong> {
    let before = out.len();
    push_text(out, key)
        .and_then(|()| push_text(out, value))
        .inspect_err(|TooLong| out.truncate(before))
}

/// A text behind its length, which is known when it is there.
#[inline]
fn push_text(out: &mut Vec<u8>, text: impl FnOnce(&mut Vec<u8>)) -> Result<(), TooLong> {
    let length_at = out.len();
    out.extend_from_slice(&[0; 2]);
    let start = out.len();
    text(out);
    let bytes = u16::try_from(out.len() - start).map_err(|_| TooLong)?;
    if let Some(length) = out.get_mut(length_at..start) {
        length.copy_from_slice(&bytes.to_le_bytes());
    }
    Ok(())
}

/// The head of a packet with that many bytes of variables.
///
/// # Errors
/// If they are more than a packet can hold (65,535 bytes).
pub fn packet_head(
    modifier1: u8,
    modifier2: u8,
    vars_bytes: usize,
) -> Result<[u8; PACKET_HEAD_BYTES], TooLong> {
    let [low, high] = u16::try_from(vars_bytes).map_err(|_| TooLong)?.to_le_bytes();
    Ok([modifier1, low, high, modifier2])
}

/// Whether uWSGI takes the variable as an order (load this file, set that environment variable,
/// read from its cache, …) instead of a fact about the request. They are left out of `environ`.
pub fn is_command_variable(name: &[u8]) -> bool {
    const COMMANDS: [&[u8]; 14] = [
        b"APPID",
        b"CACHE_GET",
        b"CALLABLE",
        b"CHDIR",
        b"FILE",
        b"HOME",
        b"MODULE",
        b"POSTFILE",
        b"POSTSIZE",
        b"PYHOME",
        b"SCRIPT",
        b"SETENV",
        b"TOUCH_RELOAD",
        b"WSGI_FILE",
    ];
    name.strip_prefix(b"UWSGI_").is_some_and(|rest| COMMANDS.contains(&rest))
}

fn looks_like_http(start: &[u8; 4]) -> bool {
    matches!(
        start,
        b"GET " | b"POST" | b"HEAD" | b"PUT " | b"OPTI" | b"DELE" | b"PATC" | b"CONN" | b"TRAC"
    )
}
