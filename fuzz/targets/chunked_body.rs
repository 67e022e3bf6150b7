//! A chunked body is decoded the same however it is cut.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use proto::http1::{Chunk, ChunkError, ChunkedDecoder};

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = (usize::from(input.0).min(input.1.len()), input.1);
    let decode = |cuts: &[usize]| -> Result<Option<Vec<u8>>, ChunkError> {
        let (mut decoder, mut buffer, mut from) = (ChunkedDecoder::new(), BytesMut::new(), 0);
        let mut body = Vec::new();
        for &to in cuts {
            buffer.extend_from_slice(&bytes[from..to]);
            from = to;
            loop {
                match decoder.decode(&mut buffer)? {
                    Chunk::Data(data) => body.extend_from_slice(&data),
                    Chunk::NeedMore => break,
                    Chunk::End => return Ok(Some(body)),
                }
            }
        }
        Ok(None)
    };
    assert_eq!(decode(&[bytes.len()]), decode(&[cut, bytes.len()]));
});
