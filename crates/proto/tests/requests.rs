//! Request heads: strictness, any cut, any change, and what we would forward.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::BytesMut;
use message::{BodyLength, RequestHead};
use proto::http1::{
    InvalidNames, RequestError, RequestLimits, RequestReader, scan_request, write_request_head,
};
use support::{Random, cases};

const CASES: &str = include_str!("cases/requests.txt");

fn limits() -> RequestLimits {
    RequestLimits {
        line_bytes_max: 512,
        head_bytes_max: 1024,
        headers_max: 8,
        invalid_names: InvalidNames::Refuse,
        underscores: false,
        simple_requests: true,
    }
}

/// What one reading of some bytes gave; which of two faults with one status was seen first may
/// depend on the cut.
type Outcome = Result<Option<String>, u16>;

/// A head as text that two equal heads share.
fn describe(head: &RequestHead) -> String {
    let fields: Vec<_> = head
        .fields()
        .map(|(known, name, value)| (known, name.escape_ascii().to_string(), value.to_vec()))
        .collect();
    format!(
        "{:?} {:?} {:?} {:?} {} {:?} {:?} {fields:?} {:?} {} {}",
        head.method,
        head.text(head.target),
        head.text(head.path),
        head.text(head.query),
        head.has_query,
        head.target_host.map(|host| head.text(host).to_vec()),
        head.version,
        head.body,
        head.keep_alive,
        head.expect_continue,
    )
}

/// Reads `bytes` in pieces that end at `cuts`.
fn read(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> Outcome {
    let (mut reader, mut buffer, mut from) = (RequestReader::new(), BytesMut::new(), 0);
    for to in cuts.chain([bytes.len()]) {
        buffer.extend_from_slice(&bytes[from..to]);
        from = to;
        if let Some(head) =
            reader.next_head(&mut buffer, &limits()).map_err(RequestError::status)?
        {
            return Ok(Some(describe(&head)));
        }
    }
    Ok(None)
}

fn meets(head: &RequestHead, word: &str) -> bool {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    match key {
        "ok" => true,
        "length" => head.body == BodyLength::Length(value.parse().unwrap()),
        "chunked" => head.body == BodyLength::Chunked,
        "none" => head.body == BodyLength::None,
        "keep" => head.keep_alive,
        "close" => !head.keep_alive,
        "continue" => head.expect_continue,
        "path" => head.text(head.path) == value.as_bytes(),
        "query" => head.text(head.query) == value.as_bytes(),
        "host" => head.text(head.target_host.unwrap()) == value.as_bytes(),
        "fields" => head.headers.len() == value.parse::<usize>().unwrap(),
        "version" => head.version.text() == value,
        other => panic!("no such expectation: {other}"),
    }
}

#[test]
fn every_case_is_read_in_its_one_way() {
    let cases = cases(CASES);
    assert!(cases.len() >= 150, "{}", cases.len());
    for (expected, bytes) in cases {
        let shown = bytes.escape_ascii();
        let mut buffer = BytesMut::from(&bytes[..]);
        match RequestReader::new().next_head(&mut buffer, &limits()) {
            Ok(Some(head)) => {
                for word in expected.split(' ') {
                    assert!(expected.starts_with("ok"), "{expected} but accepted: {shown}");
                    assert!(meets(&head, word), "{word} is not so: {shown}: {head:?}");
                }
            }
            Ok(None) => panic!("{expected} but incomplete: {shown}"),
            Err(error) => {
                assert_eq!(expected, error.status().to_string(), "{error:?}: {shown}");
                assert!(!error.text().is_empty());
            }
        }
    }
}

#[test]
fn no_cut_changes_what_is_read() {
    for (_, bytes) in cases(CASES) {
        let whole = read(&bytes, std::iter::empty());
        for cut in 0..=bytes.len() {
            assert_eq!(read(&bytes, [cut].into_iter()), whole, "{}", bytes.escape_ascii());
        }
        assert_eq!(read(&bytes, 0..bytes.len()), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn the_scan_in_place_and_the_reader_agree() {
    for (_, bytes) in cases(CASES) {
        let mut fields = Vec::new();
        let scanned = scan_request(&bytes, &limits(), &mut fields);
        let mut buffer = BytesMut::from(&bytes[..]);
        let read = RequestReader::new().next_head(&mut buffer, &limits());
        match (scanned, read) {
            (Ok(Some(scanned)), Ok(Some(head))) => {
                assert_eq!(scanned.path.of(&bytes), head.text(head.path));
                assert_eq!(bytes.len() - scanned.end, buffer.len());
                assert_eq!(fields.len(), head.headers.len());
            }
            (Ok(None), Ok(None)) => {}
            (scanned, read) => assert_eq!(scanned.err(), read.err(), "{}", bytes.escape_ascii()),
        }
    }
}

#[test]
fn what_would_be_forwarded_is_read_as_the_same_request() {
    for (expected, bytes) in cases(CASES) {
        if !expected.starts_with("ok") || expected.contains("HTTP/0.9") {
            continue;
        }
        let mut buffer = BytesMut::from(&bytes[..]);
        let head = RequestReader::new().next_head(&mut buffer, &limits()).unwrap().unwrap();
        let mut out = Vec::new();
        let fields = head.fields().map(|(_, name, value)| (name, value));
        let (method, target) = (head.text(head.method_text), head.text(head.target));
        write_request_head(&mut out, method, target, head.version, fields);
        let mut buffer = BytesMut::from(&out[..]);
        let again = RequestReader::new().next_head(&mut buffer, &limits()).unwrap().unwrap();
        assert_eq!(describe(&again), describe(&head), "{}", out.escape_ascii());
        assert!(buffer.is_empty());
    }
}

#[test]
fn changed_bytes_never_panic_and_never_depend_on_cuts() {
    let seeds = cases(CASES);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let (seed, other) = (&seeds[round % seeds.len()].1, random.below(seeds.len()));
        let bytes = random.mutate(seed, &seeds[other].1);
        let whole = read(&bytes, std::iter::empty());
        let cut = random.below(bytes.len() + 1);
        assert_eq!(read(&bytes, [cut].into_iter()), whole, "{}", bytes.escape_ascii());
        if round % 50 == 0 {
            assert_eq!(read(&bytes, 0..bytes.len()), whole, "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn pipelined_requests_come_one_by_one() {
    let mut buffer = BytesMut::from(&b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\n"[..]);
    let mut reader = RequestReader::new();
    let first = reader.next_head(&mut buffer, &limits()).unwrap().unwrap();
    assert_eq!(first.text(first.path), b"/1");
    assert!(reader.next_head(&mut buffer, &limits()).unwrap().is_none());
    assert!(reader.has_begun());
    buffer.extend_from_slice(b"Host: b\n\n");
    let second = reader.next_head(&mut buffer, &limits()).unwrap().unwrap();
    assert_eq!(second.text(second.path), b"/2");
    assert!(!reader.has_begun());
}

#[test]
fn a_head_that_came_alone_has_its_buffer_for_itself() {
    let request = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut buffer = BytesMut::with_capacity(4096);
    buffer.extend_from_slice(request);
    let head = RequestReader::new().next_head(&mut buffer, &limits()).unwrap().unwrap();
    assert_eq!((buffer.capacity(), head.bytes.capacity()), (0, 4096));
    let mut buffer = head.bytes;
    buffer.extend_from_slice(b"POST");
    let head = RequestReader::new().next_head(&mut buffer, &limits()).unwrap().unwrap();
    assert_eq!((&head.bytes[..], &buffer[..]), (&request[..], &b"POST"[..]));
}

#[test]
fn a_host_is_plain_if_nothing_about_it_has_to_be_changed() {
    for (host, plain) in [
        ("example.org:8080", Some("example.org")),
        ("127.0.0.1", Some("127.0.0.1")),
        ("Example.org", None),
        ("example.org.", None),
        ("[::1]:80", None),
    ] {
        let mut buffer = BytesMut::from(format!("GET / HTTP/1.1\nHost:\t{host} \n\n").as_str());
        let head = RequestReader::new().next_head(&mut buffer, &limits()).unwrap().unwrap();
        assert_eq!(head.plain_host.map(|name| head.text(name)), plain.map(str::as_bytes));
    }
}

#[test]
fn odd_names_are_dropped_or_kept_as_nginx_is_told() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX(: 1\r\nX_Y: 2\r\n\r\n";
    for (invalid_names, underscores, left) in [
        (InvalidNames::Drop, false, 1),
        (InvalidNames::Drop, true, 2),
        (InvalidNames::Keep, true, 3),
    ] {
        let limits = RequestLimits { invalid_names, underscores, ..limits() };
        let mut fields = Vec::new();
        scan_request(bytes, &limits, &mut fields).unwrap().unwrap();
        assert_eq!(fields.len(), left, "{invalid_names:?} {underscores}");
    }
}
