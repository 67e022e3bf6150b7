//! A request head is read the same however it is cut.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use proto::http1::{RequestLimits, RequestReader};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0).min(input.1.len()), input.1);
    let limits = RequestLimits::for_app(4096);
    let read = |cuts: &[usize]| -> Result<_, u16> {
        let (mut reader, mut buffer, mut from) = (RequestReader::new(), BytesMut::new(), 0);
        for &to in cuts {
            buffer.extend_from_slice(&bytes[from..to]);
            from = to;
            let head = reader.next_head(&mut buffer, &limits).map_err(|error| error.status())?;
            if let Some(head) = head {
                return Ok(Some((head.bytes, head.body, head.headers.len())));
            }
        }
        Ok(None)
    };
    assert_eq!(read(&[bytes.len()]), read(&[cut, bytes.len()]));
});
