//! Response heads: strictness, any cut, any change, and what we write.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::BytesMut;
use message::{BodyLength, KnownHeader, KnownSet, ResponseHead};
use proto::http1::{ResponseError, ResponseReader, ResponseStyle};
use support::{Random, cases};

const CASES: &str = include_str!("cases/responses.txt");

fn style(expected: &str) -> (ResponseStyle, &str) {
    match expected.split_once(' ').unwrap() {
        ("http", rest) => (ResponseStyle::Http, rest),
        (_, rest) => (ResponseStyle::Cgi, rest),
    }
}

type Outcome = Result<Option<(String, bool)>, ResponseError>;

fn read(style: ResponseStyle, bytes: &[u8], cuts: impl Iterator<Item = usize>) -> Outcome {
    let (mut reader, mut buffer, mut from) = (ResponseReader::new(style), BytesMut::new(), 0);
    for to in cuts.chain([bytes.len()]) {
        buffer.extend_from_slice(&bytes[from..to]);
        from = to;
        if let Some(head) = reader.next_head(&mut buffer, false, 1024)? {
            return Ok(Some((format!("{head:?}"), reader.keep_alive())));
        }
    }
    Ok(None)
}

fn meets(head: &ResponseHead, keep_alive: bool, word: &str) -> bool {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    match key {
        "ok" => true,
        "status" => head.status.to_string() == value,
        "length" => head.body == BodyLength::Length(value.parse().unwrap()),
        "chunked" => head.body == BodyLength::Chunked,
        "none" => head.body == BodyLength::None,
        "close" => head.body == BodyLength::UntilClose,
        "keep" => keep_alive,
        "drop" => !keep_alive,
        "fields" => head.headers.len() == value.parse::<usize>().unwrap(),
        "reason" => head.reason.starts_with(value.as_bytes()),
        // The second word of a reason.
        _ => head.reason.ends_with(word.as_bytes()),
    }
}

#[test]
fn every_case_is_read_in_its_one_way() {
    for (expected, bytes) in cases(CASES) {
        let shown = bytes.escape_ascii();
        let (style, expected) = style(expected);
        let mut reader = ResponseReader::new(style);
        match reader.next_head(&mut BytesMut::from(&bytes[..]), false, 1024) {
            Ok(Some(head)) => {
                assert!(expected.starts_with("ok"), "{expected} but accepted: {shown}");
                for word in expected.split(' ') {
                    let met = meets(&head, reader.keep_alive(), word);
                    assert!(met, "{word} is not so: {shown}: {head:?}");
                }
            }
            Ok(None) => panic!("{expected} but incomplete: {shown}"),
            Err(error) => assert_eq!(expected, format!("{error:?}"), "{shown}"),
        }
    }
}

#[test]
fn no_cut_changes_what_is_read() {
    for (expected, bytes) in cases(CASES) {
        let (style, _) = style(expected);
        let whole = read(style, &bytes, std::iter::empty());
        for cut in 0..=bytes.len() {
            assert_eq!(read(style, &bytes, [cut].into_iter()), whole, "{}", bytes.escape_ascii());
        }
        assert_eq!(read(style, &bytes, 0..bytes.len()), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn changed_bytes_never_panic_and_never_depend_on_cuts() {
    let seeds: Vec<_> = cases(CASES).into_iter().filter(|(_, bytes)| bytes.len() < 500).collect();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..20_000 {
        let (expected, seed) = &seeds[round % seeds.len()];
        let other = random.below(seeds.len());
        let bytes = random.mutate(seed, &seeds[other].1);
        let (style, _) = style(expected);
        let whole = read(style, &bytes, std::iter::empty());
        let cut = random.below(bytes.len() + 1);
        assert_eq!(read(style, &bytes, [cut].into_iter()), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_answer_to_head_has_no_body_and_keeps_its_length() {
    let mut buffer = BytesMut::from(&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"[..]);
    let mut reader = ResponseReader::new(ResponseStyle::Http);
    let head = reader.next_head(&mut buffer, true, 1024).unwrap().unwrap();
    assert_eq!(head.body, BodyLength::None);
    assert_eq!(head.header(KnownHeader::ContentLength), Some(&b"5"[..]));
    assert!(reader.keep_alive());
}

#[test]
fn the_fields_of_a_head_leave_as_they_came() {
    let lines = "Server: app\r\nX-A: b\r\nSet-Cookie: c=d\r\nX-A: e: f\r\n";
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{lines}Keep-Alive: 5\r\n\r\nbody");
    let (mut reader, mut buffer) =
        (ResponseReader::new(ResponseStyle::Http), BytesMut::from(head.as_bytes()));
    let head = reader.next_head(&mut buffer, false, 1024).unwrap().unwrap();
    let mut out = Vec::new();
    head.headers.write(&mut out, KnownSet::default());
    assert_eq!(String::from_utf8(out).unwrap(), lines);
    assert_eq!(
        (&buffer[..], head.headers.get(KnownHeader::SetCookie)),
        (&b"body"[..], Some(&b"c=d"[..]))
    );
}
