//! uwsgi packets and CGI variables.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use bytes::BytesMut;
use proto::cgi::{
    ConnectionFacts, RequestFacts, push_percent_decoded, push_request_vars, push_scanned_vars,
};
use proto::http1::{RequestLimits, RequestReader, scan_request};
use proto::uwsgi::{
    Packet, PacketError, TooLong, is_command_variable, next_packet, packet_head, push_var,
    push_var_with, vars,
};
use support::Random;

fn packet(pairs: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for (key, value) in pairs {
        push_var(&mut coded, key.as_bytes(), value.as_bytes()).unwrap();
    }
    let head = packet_head(0, 1, coded.len()).unwrap();
    [&head[..], &coded, body].concat()
}

fn read(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> Result<Option<Packet>, PacketError> {
    let (mut buffer, mut from) = (BytesMut::new(), 0);
    for to in cuts.chain([bytes.len()]) {
        buffer.extend_from_slice(&bytes[from..to]);
        from = to;
        if let Some(packet) = next_packet(&mut buffer, 4096)? {
            return Ok(Some(packet));
        }
    }
    Ok(None)
}

#[test]
fn a_packet_comes_back_as_it_went_whatever_the_cuts() {
    let bytes = packet(&[("A", "1"), ("B", ""), ("C", "x y")], b"BODY");
    let mut buffer = BytesMut::from(&bytes[..]);
    let whole = next_packet(&mut buffer, 4096).unwrap().unwrap();
    assert_eq!(&buffer[..], b"BODY");
    assert_eq!((whole.modifier1, whole.modifier2), (0, 1));
    let pairs: Vec<_> = vars(&whole.vars).map(Result::unwrap).collect();
    assert_eq!(pairs, [(&b"A"[..], &b"1"[..]), (b"B", b""), (b"C", b"x y")]);
    for cut in 0..bytes.len() {
        assert_eq!(read(&bytes, [cut].into_iter()), Ok(Some(whole.clone())));
    }
    assert_eq!(read(&bytes, 0..bytes.len()), Ok(Some(whole)));
}

#[test]
fn a_variable_written_in_its_place_is_one_like_any_other_and_a_too_long_one_leaves_nothing() {
    let mut out = b"before".to_vec();
    let name = |out: &mut Vec<u8>| out.extend_from_slice(b"NAME");
    push_var_with(&mut out, name, |out| out.extend_from_slice(b"value")).unwrap();
    let mut same = b"before".to_vec();
    push_var(&mut same, b"NAME", b"value").unwrap();
    assert_eq!(out, same);
    let long = |out: &mut Vec<u8>| out.extend_from_slice(&[b'x'; 65_536]);
    assert_eq!(push_var_with(&mut out, name, long), Err(TooLong));
    assert_eq!(push_var_with(&mut out, long, name), Err(TooLong));
    assert_eq!(out, same);
}

#[test]
fn malformed_packets_are_told_apart() {
    let cases: [(&[u8], PacketError); 8] = [
        (b"GET / HTTP/1.1\r\n", PacketError::LooksLikeHttp),
        (b"POST / HTTP/1.1\r\n", PacketError::LooksLikeHttp),
        (b"\0\x01\x10\0", PacketError::TooLong(4097)),
        (b"\0\x01\0\0x", PacketError::VariableCut),
        (b"\0\x05\0\0\x05\0abc", PacketError::VariableCut),
        (b"\0\x06\0\0\x01\0a\xff\xffb", PacketError::VariableCut),
        (b"\0\x04\0\0\0\0\0\0", PacketError::EmptyName),
        (b"\0\x06\0\0\x01\0a\x01\0\0", PacketError::NulByte),
    ];
    for (bytes, error) in cases {
        assert_eq!(read(bytes, std::iter::empty()), Err(error), "{}", bytes.escape_ascii());
    }
    assert_eq!(push_var(&mut Vec::new(), b"A", &[b'x'; 65_536]), Err(TooLong));
    assert_eq!(packet_head(0, 0, 65_536), Err(TooLong));
}

#[test]
fn changed_packets_never_panic_and_what_passes_is_sound() {
    let seeds = [
        packet(&[("REQUEST_METHOD", "GET"), ("PATH_INFO", "/"), ("HTTP_HOST", "a")], b""),
        packet(&[], b"body"),
        packet(&[("A", "1"), ("B", "2")], b""),
    ];
    let mut random = Random(362_436_069);
    for round in 0..50_000 {
        let (seed, other) = (&seeds[round % 3], random.below(3));
        let bytes = random.mutate(seed, &seeds[other]);
        if let Ok(Some(packet)) = read(&bytes, std::iter::empty()) {
            assert!(vars(&packet.vars).all(|var| var.is_ok_and(|(key, _)| !key.is_empty())));
        }
    }
}

#[test]
fn orders_are_known_and_facts_are_not_orders() {
    for order in ["UWSGI_FILE", "UWSGI_SCRIPT", "UWSGI_MODULE", "UWSGI_SETENV", "UWSGI_CACHE_GET"] {
        assert!(is_command_variable(order.as_bytes()), "{order}");
    }
    for fact in ["UWSGI_SCHEME", "HTTP_UWSGI_FILE", "PATH_INFO", "UWSGI_"] {
        assert!(!is_command_variable(fact.as_bytes()), "{fact}");
    }
}

const FACTS: ConnectionFacts<'_> = ConnectionFacts {
    server_name: b"box",
    server_port: b"80",
    remote_addr: b"10.0.0.1",
    remote_port: b"4711",
    https: false,
};

fn variables(
    request: &[u8],
    connection: &ConnectionFacts<'_>,
    dechunked_bytes: Option<u64>,
) -> BTreeMap<String, String> {
    let connection_vars = connection.vars().unwrap();
    let facts = RequestFacts { connection_vars: &connection_vars, dechunked_bytes };
    let limits = RequestLimits::for_app(4096);
    let mut buffer = BytesMut::from(request);
    let head = RequestReader::new().next_head(&mut buffer, &limits).unwrap().unwrap();
    let mut out = Vec::new();
    push_request_vars(&mut out, &head, &facts).unwrap();
    let (mut fields, mut scanned) = (Vec::new(), Vec::new());
    let head = scan_request(request, &limits, &mut fields).unwrap().unwrap();
    push_scanned_vars(&mut scanned, request, &head, &fields, &facts).unwrap();
    assert_eq!(out, scanned, "the two doors lead to the same room");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs: Vec<_> = vars(&out).map(Result::unwrap).collect();
    let map: BTreeMap<_, _> = pairs.iter().map(|(key, value)| (text(key), text(value))).collect();
    assert_eq!(map.len(), pairs.len(), "no variable twice");
    map
}

#[test]
fn a_request_becomes_the_variables_that_uwsgi_makes() {
    let request = b"POST /a%20b/%C3%A9?x=%20 HTTP/1.1\r\nHost: h:5000\r\nX-A: 1\r\nCookie: a=1\r\n\
        x-a: 2\r\nCookie: b=2\r\nContent-Type: t/x\r\nContent-Length: 2\r\n\r\n";
    let map = variables(request, &FACTS, None);
    let expected = [
        ("CONTENT_LENGTH", "2"),
        ("CONTENT_TYPE", "t/x"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_HOST", "h:5000"),
        ("HTTP_X_A", "1, 2"),
        ("PATH_INFO", "/a b/é"),
        ("QUERY_STRING", "x=%20"),
        ("REMOTE_ADDR", "10.0.0.1"),
        ("REMOTE_PORT", "4711"),
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/a%20b/%C3%A9?x=%20"),
        ("SCRIPT_NAME", ""),
        ("SERVER_NAME", "box"),
        ("SERVER_PORT", "80"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
    ];
    let map: Vec<_> = map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(map, expected);
}

#[test]
fn an_absolute_target_names_the_host_and_a_dechunked_body_its_length() {
    let request = b"POST http://b/x?y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let map = variables(request, &ConnectionFacts { https: true, ..FACTS }, Some(7));
    assert_eq!(map["HTTP_HOST"], "b");
    assert_eq!(map["REQUEST_URI"], "/x?y");
    assert_eq!((map["CONTENT_LENGTH"].as_str(), map["HTTPS"].as_str()), ("7", "on"));
    assert!(!map.contains_key("HTTP_TRANSFER_ENCODING"));
}

#[test]
fn escapes_that_are_none_stay() {
    for (text, expected) in
        [("%41", "A"), ("%", "%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("a%2fb", "a/b")]
    {
        let mut out = Vec::new();
        push_percent_decoded(&mut out, text.as_bytes());
        assert_eq!(out, expected.as_bytes());
    }
}
