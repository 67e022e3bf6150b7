//! The private channel between our own front and our own workers.
//!
//! ```text
//!  front thread 0 ──┐                             ┌── worker, seat 0, thread 0..n
//!  front thread 1 ──┼─► one SEQPACKET queue/app ──┼── worker, seat 1
//!                   │   (any idle thread receives)│
//!  front thread 0 ◄─┼──── SEQPACKET reply socket ─┤   one per (worker, front thread)
//!  front thread 1 ◄─┘                             └──
//! ```
//!
//! A request is one datagram: head, variables, and either a small body inline or a descriptor
//! (a file, or a stream socket for unbuffered uploads). Replies are frames; the end of a
//! response is explicit ([`FLAG_END`]), so an answer that was cut is seen to be cut. When a client
//! goes away before that, the front tells the worker so ([`ReplyKind::Cancel`]). A response
//! larger than [`REPLY_INLINE_BYTES_MAX`] goes on over a stream socket of its own
//! ([`ReplyKind::Stream`]), so that one slow client never blocks the answers of others; a file
//! goes as its descriptor ([`ReplyKind::File`]).
//!
//! Requests and answers that are short, and have nothing beside them, take the shorter way through
//! shared memory ([`crate::mailbox`]); then the front wakes a sleeping worker by
//! [`ReplyKind::Wake`].
//!
//! The scoreboard is shared memory, an array of 64-bit words, [`SLOT_WORDS`] per thread of each
//! seat: the worker writes the request's id (plus one) before it enters Python and zero after
//! the reply is complete. When a reply socket ends, the front reads there which requests died.

use std::ops::Range;

/// Longest request datagram in bytes: larger bodies travel as a descriptor.
pub const REQUEST_BYTES_MAX: usize = 128 * 1024;
/// Longest inline request body in bytes.
pub const BODY_INLINE_BYTES_MAX: usize = 32 * 1024;
/// Longest reply frame in bytes: the piece that most apps and file wrappers yield, with a head
/// before it.
pub const REPLY_FRAME_BYTES_MAX: usize = (64 + 8) * 1024;
/// Bytes of one response over the shared reply socket; what is longer moves to a stream, at once
/// if its length is known.
pub const REPLY_INLINE_BYTES_MAX: usize = 256 * 1024;
/// Longest chunk of that stream in bytes.
pub const STREAM_CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Words per thread on the scoreboard: request id + 1, start in monotonic ms, requests served,
/// reserved.
pub const SLOT_WORDS: usize = 4;

/// Bytes of a request's fixed head.
pub const REQUEST_HEAD_BYTES: usize = 32;
/// Bytes of a reply frame's fixed head.
pub const REPLY_HEAD_BYTES: usize = 16;

/// This frame is the last one of its response, and the response is whole.
pub const FLAG_END: u8 = 1;

/// Where a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPlace {
    /// Behind the variables, `body_bytes` of them (possibly none).
    Inline,
    /// In the file whose descriptor came along, from offset 0, `body_bytes` long.
    File,
    /// On the stream socket whose descriptor came along, until its end; `body_bytes` is
    /// `u64::MAX` if the length is not known.
    Stream,
}

/// Fixed head of a request datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Unique among the requests under way in this front.
    pub id: u64,
    /// The front thread that waits: index of the reply socket to answer on.
    pub front_thread: u16,
    /// Where the body is.
    pub body: BodyPlace,
    /// How long the body is.
    pub body_bytes: u64,
    /// Length of the variables, coded as in a uwsgi packet (u16 length and key, u16 length and
    /// value, little endian, repeated).
    pub vars_bytes: u32,
}

/// A request datagram taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFrame {
    /// The fixed head.
    pub header: RequestHeader,
    /// Where the variables are in the datagram.
    pub vars: Range<usize>,
    /// Where the inline body is in the datagram.
    pub body: Range<usize>,
}

/// Kinds of reply frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// Status and header fields ([`ReplyHead`]), then body bytes.
    Head,
    /// Body bytes.
    Data,
    /// A file's descriptor came along; payload: offset and length, u64 little endian each.
    File,
    /// A stream socket came along; the rest of the body comes on it as chunks, each a u32
    /// little endian length and the bytes; length 0 is the end. End of file before that is a
    /// cut response.
    Stream,
    /// The response cannot be completed; payload: status to answer if nothing was sent yet
    /// (u16 little endian), then a message for the log.
    Abort,
    /// From the front to the worker, on the same socket: nobody waits for that answer any more.
    /// No payload.
    Cancel,
    /// From the front to a worker that sleeps: there is a request in a mailbox. No payload, id 0.
    Wake,
}

/// Fixed head of a reply frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request it answers.
    pub id: u64,
    /// What it is.
    pub kind: ReplyKind,
    /// [`FLAG_END`].
    pub flags: u8,
    /// Bytes of the status-and-fields part at the start of the payload (kind `Head` only).
    pub head_bytes: u32,
}

/// Why a datagram of the channel is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// Shorter than its fixed head, or than the head says.
    TooShort,
    /// A number that stands for nothing.
    UnknownKind,
}

impl RequestHeader {
    /// The fixed head as bytes.
    pub fn encode(&self) -> [u8; REQUEST_HEAD_BYTES] {
        let body = match self.body {
            BodyPlace::Inline => 0u16,
            BodyPlace::File => 1,
            BodyPlace::Stream => 2,
        };
        let mut out = [0; REQUEST_HEAD_BYTES];
        out[..8].copy_from_slice(&self.id.to_le_bytes());
        out[8..10].copy_from_slice(&self.front_thread.to_le_bytes());
        out[10..12].copy_from_slice(&body.to_le_bytes());
        out[12..16].copy_from_slice(&self.vars_bytes.to_le_bytes());
        out[16..24].copy_from_slice(&self.body_bytes.to_le_bytes());
        out
    }
}

/// Takes a request datagram apart.
///
/// # Errors
/// If it is shorter than it says or names an unknown body place.
pub fn decode_request(datagram: &[u8]) -> Result<RequestFrame, ChannelError> {
    let header = RequestHeader {
        id: u64::from_le_bytes(array(datagram, 0)?),
        front_thread: u16::from_le_bytes(array(datagram, 8)?),
        body: match u16::from_le_bytes(array(datagram, 10)?) {
            0 => BodyPlace::Inline,
            1 => BodyPlace::File,
            2 => BodyPlace::Stream,
            _ => return Err(ChannelError::UnknownKind),
        },
        vars_bytes: u32::from_le_bytes(array(datagram, 12)?),
        body_bytes: u64::from_le_bytes(array(datagram, 16)?),
    };
    let vars_end = REQUEST_HEAD_BYTES + header.vars_bytes as usize;
    let inline = if header.body == BodyPlace::Inline { header.body_bytes } else { 0 };
    let body_end = (vars_end as u64).saturating_add(inline);
    if body_end > datagram.len() as u64 {
        return Err(ChannelError::TooShort);
    }
    Ok(RequestFrame {
        header,
        vars: REQUEST_HEAD_BYTES..vars_end,
        body: vars_end..body_end as usize,
    })
}

impl ReplyHeader {
    /// The fixed head as bytes.
    pub fn encode(&self) -> [u8; REPLY_HEAD_BYTES] {
        let kind = match self.kind {
            ReplyKind::Head => 0,
            ReplyKind::Data => 1,
            ReplyKind::File => 2,
            ReplyKind::Stream => 3,
            ReplyKind::Abort => 4,
            ReplyKind::Cancel => 5,
            ReplyKind::Wake => 6,
        };
        let mut out = [0; REPLY_HEAD_BYTES];
        out[..8].copy_from_slice(&self.id.to_le_bytes());
        out[8] = kind;
        out[9] = self.flags;
        out[12..].copy_from_slice(&self.head_bytes.to_le_bytes());
        out
    }

    /// Reads the fixed head; the payload is the rest of the frame.
    ///
    /// # Errors
    /// If the frame is too short or of an unknown kind.
    pub fn decode(frame: &[u8]) -> Result<ReplyHeader, ChannelError> {
        let header = ReplyHeader {
            id: u64::from_le_bytes(array(frame, 0)?),
            kind: match frame.get(8) {
                Some(0) => ReplyKind::Head,
                Some(1) => ReplyKind::Data,
                Some(2) => ReplyKind::File,
                Some(3) => ReplyKind::Stream,
                Some(4) => ReplyKind::Abort,
                Some(5) => ReplyKind::Cancel,
                Some(6) => ReplyKind::Wake,
                Some(_) => return Err(ChannelError::UnknownKind),
                None => return Err(ChannelError::TooShort),
            },
            flags: frame.get(9).copied().unwrap_or(0),
            head_bytes: u32::from_le_bytes(array(frame, 12)?),
        };
        if REPLY_HEAD_BYTES + header.head_bytes as usize > frame.len() {
            return Err(ChannelError::TooShort);
        }
        Ok(header)
    }
}

/// Status, reason and fields of a response, as they stand at the start of a `Head` frame:
/// u16 status, u16 length and reason, then per field u16 length and name, u32 length and value.
#[derive(Debug)]
pub struct ReplyHead;

impl ReplyHead {
    /// Appends status and reason.
    pub fn begin(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
        let reason = &reason[..reason.len().min(usize::from(u16::MAX))];
        out.extend_from_slice(&status.to_le_bytes());
        out.extend_from_slice(&(reason.len() as u16).to_le_bytes());
        out.extend_from_slice(reason);
    }

    /// Appends one field. Names over 64 KiB do not pass the worker's validation.
    pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        debug_assert!(name.len() <= usize::from(u16::MAX));
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }

    /// Reads status and reason, and hands every field's name and value ranges to `each`.
    ///
    /// # Errors
    /// If a length points outside.
    pub fn decode(
        head: &[u8],
        mut each: impl FnMut(Range<usize>, Range<usize>),
    ) -> Result<(u16, Range<usize>), ChannelError> {
        let status = u16::from_le_bytes(array(head, 0)?);
        let reason = 4..4 + usize::from(u16::from_le_bytes(array(head, 2)?));
        let mut at = reason.end;
        while at < head.len() {
            let name = at + 2..at + 2 + usize::from(u16::from_le_bytes(array(head, at)?));
            let bytes = u32::from_le_bytes(array(head, name.end)?) as usize;
            let value = name.end + 4..name.end + 4 + bytes;
            at = value.end;
            if at > head.len() {
                return Err(ChannelError::TooShort);
            }
            each(name, value);
        }
        if reason.end > head.len() {
            return Err(ChannelError::TooShort);
        }
        Ok((status, reason))
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ChannelError> {
    let piece = bytes.get(at..at + N).ok_or(ChannelError::TooShort)?;
    piece.try_into().map_err(|_| ChannelError::TooShort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_back_as_it_went_and_no_shorter_piece_of_it_passes() {
        let header = RequestHeader {
            id: 7,
            front_thread: 1,
            body: BodyPlace::Inline,
            body_bytes: 4,
            vars_bytes: 3,
        };
        let mut datagram = header.encode().to_vec();
        datagram.extend_from_slice(b"abcBODY");
        let frame = decode_request(&datagram).unwrap();
        assert_eq!(frame.header, header);
        assert_eq!(&datagram[frame.vars.clone()], b"abc");
        assert_eq!(&datagram[frame.body.clone()], b"BODY");
        for cut in 0..datagram.len() {
            assert_eq!(decode_request(&datagram[..cut]), Err(ChannelError::TooShort));
        }
    }

    #[test]
    fn a_reply_head_comes_back_as_it_went() {
        let mut head = Vec::new();
        ReplyHead::begin(&mut head, 404, b"Nope");
        ReplyHead::field(&mut head, b"X-A", b"1");
        ReplyHead::field(&mut head, b"X-B", b"");
        let mut fields = Vec::new();
        let each = |name: Range<usize>, value: Range<usize>| {
            fields.push((head[name].to_vec(), head[value].to_vec()));
        };
        let (status, reason) = ReplyHead::decode(&head, each).unwrap();
        assert_eq!((status, &head[reason]), (404, b"Nope".as_slice()));
        assert_eq!(fields[0], (b"X-A".to_vec(), b"1".to_vec()));
        assert_eq!(fields[1], (b"X-B".to_vec(), b"".to_vec()));
    }
}
