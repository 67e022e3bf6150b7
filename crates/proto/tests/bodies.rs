//! The chunked coding: strictness, any cut, any change.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::BytesMut;
use proto::http1::{CHUNK_END, Chunk, ChunkError, ChunkedDecoder, LAST_CHUNK, write_chunk_prefix};
use support::{Random, cases};

const CASES: &str = include_str!("cases/chunked.txt");

/// The decoded body and what was left behind it; `None` if it is not complete.
type Outcome = Result<Option<(Vec<u8>, usize)>, ChunkError>;

fn decode(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> Outcome {
    let (mut decoder, mut buffer, mut from) = (ChunkedDecoder::new(), BytesMut::new(), 0);
    let mut body = Vec::new();
    for to in cuts.chain([bytes.len()]) {
        buffer.extend_from_slice(&bytes[from..to]);
        from = to;
        loop {
            match decoder.decode(&mut buffer)? {
                Chunk::Data(data) => body.extend_from_slice(&data),
                Chunk::NeedMore => break,
                Chunk::End => return Ok(Some((body, buffer.len() + bytes.len() - to))),
            }
        }
    }
    Ok(None)
}

#[test]
fn every_case_is_decoded_in_its_one_way() {
    for (expected, bytes) in cases(CASES) {
        let shown = bytes.escape_ascii();
        match decode(&bytes, std::iter::empty()) {
            Ok(Some((body, _))) => {
                let text = expected.strip_prefix("ok").expect("accepted").trim_start();
                assert_eq!(body, text.replace('⏎', "\r\n").as_bytes(), "{shown}");
            }
            Ok(None) => assert_eq!(expected, "more", "{shown}"),
            Err(error) => assert_eq!(expected, format!("{error:?}"), "{shown}"),
        }
    }
}

#[test]
fn no_cut_changes_what_is_decoded() {
    for (_, bytes) in cases(CASES) {
        let whole = decode(&bytes, std::iter::empty());
        let step = 1 + bytes.len() / 500;
        for cut in (0..=bytes.len()).step_by(step) {
            assert_eq!(decode(&bytes, [cut].into_iter()), whole, "{}", bytes.escape_ascii());
        }
        assert_eq!(decode(&bytes, 0..bytes.len()), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn changed_bytes_never_panic_and_never_depend_on_cuts() {
    let seeds: Vec<_> = cases(CASES).into_iter().filter(|(_, bytes)| bytes.len() < 200).collect();
    let mut random = Random(88_172_645_463_325_252);
    for round in 0..20_000 {
        let (seed, other) = (&seeds[round % seeds.len()].1, random.below(seeds.len()));
        let bytes = random.mutate(seed, &seeds[other].1);
        let whole = decode(&bytes, std::iter::empty());
        assert_eq!(decode(&bytes, 0..bytes.len()), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_written_in_chunks_is_decoded_again() {
    for bytes in [1, 9, 10, 15, 16, 255, 256, 65_536] {
        let data = vec![b'x'; bytes];
        let mut coded = Vec::new();
        write_chunk_prefix(&mut coded, data.len());
        coded.extend_from_slice(&data);
        coded.extend_from_slice(CHUNK_END);
        coded.extend_from_slice(LAST_CHUNK);
        assert_eq!(decode(&coded, std::iter::empty()), Ok(Some((data, 0))));
    }
}
