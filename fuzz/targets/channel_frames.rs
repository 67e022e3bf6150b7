//! Frames of the private channel never point outside of themselves.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::channel::{REPLY_HEAD_BYTES, ReplyHead, ReplyHeader, decode_request};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = decode_request(bytes) {
        let _ = (&bytes[frame.vars], &bytes[frame.body]);
    }
    if let Ok(header) = ReplyHeader::decode(bytes) {
        let head = &bytes[REPLY_HEAD_BYTES..][..header.head_bytes as usize];
        let _ = ReplyHead::decode(head, |name, value| {
            let _ = (&head[name], &head[value]);
        });
    }
});
