//! Bytes to heads and back. A case is `None` if a step comes to something else than it should.

use std::hint::black_box;

use bytes::BytesMut;
use message::{KnownSet, RequestHead, Version};
use proto::cgi::{ConnectionFacts, RequestFacts, push_request_vars};
use proto::http1::{
    Chunk, ChunkedDecoder, RequestLimits, RequestReader, ResponseReader, ResponseStyle,
    write_request_head,
};
use proto::uwsgi::{next_packet, packet_head, vars};

const HEAD_BYTES_MAX: usize = 32 * 1024;

/// As a browser writes it.
const REQUEST: &[u8] = b"GET /articles/2026/november?page=2&sort=new HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Referer: http://www.example.org/articles\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=5f2b8c1e0a7d4c3b9e6f; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\n\r\n";

/// As an app server writes it.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 5120\r\n\
    Vary: Cookie\r\n\
    Set-Cookie: session=5f2b8c1e0a7d4c3b9e6f; HttpOnly; Path=/\r\n\
    X-Frame-Options: DENY\r\n\r\n";

fn read_request(buffer: &mut BytesMut, limits: &RequestLimits) -> Option<RequestHead> {
    buffer.extend_from_slice(black_box(REQUEST));
    RequestReader::new().next_head(buffer, limits).ok().flatten()
}

/// A browser's request head.
pub fn request_head_read(count: usize) -> Option<()> {
    let limits = RequestLimits::for_app(HEAD_BYTES_MAX);
    let mut buffer = BytesMut::with_capacity(HEAD_BYTES_MAX);
    for _ in 0..count {
        let head = black_box(read_request(&mut buffer, &limits)?);
        buffer = head.bytes;
        buffer.clear();
    }
    Some(())
}

/// The same head on its way to an upstream.
pub fn request_head_written(count: usize) -> Option<()> {
    let head = read_request(&mut BytesMut::new(), &RequestLimits::for_app(HEAD_BYTES_MAX))?;
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX);
    for _ in 0..count {
        out.clear();
        let fields = head.fields().map(|(_, name, value)| (name, value));
        write_request_head(&mut out, b"GET", head.text(head.target), Version::Http11, fields);
        black_box(&out);
    }
    Some(())
}

/// An app server's response head.
pub fn response_head_read(count: usize) -> Option<()> {
    let mut buffer = BytesMut::with_capacity(HEAD_BYTES_MAX);
    for _ in 0..count {
        buffer.extend_from_slice(black_box(RESPONSE));
        let mut reader = ResponseReader::new(ResponseStyle::Cgi);
        black_box(reader.next_head(&mut buffer, false, HEAD_BYTES_MAX).ok().flatten()?);
    }
    Some(())
}

/// The fields of a response on their way to the client.
pub fn response_fields_written(count: usize) -> Option<()> {
    let mut buffer = BytesMut::from(RESPONSE);
    let mut reader = ResponseReader::new(ResponseStyle::Cgi);
    let head = reader.next_head(&mut buffer, false, HEAD_BYTES_MAX).ok().flatten()?;
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX);
    for _ in 0..count {
        out.clear();
        black_box(&head).headers.write(&mut out, black_box(KnownSet::default()));
        black_box(&out);
    }
    Some(())
}

fn connection_vars() -> Option<Vec<u8>> {
    let facts = ConnectionFacts {
        server_name: b"www.example.org",
        server_port: b"80",
        remote_addr: b"192.0.2.17",
        remote_port: b"51234",
        https: false,
    };
    facts.vars().ok()
}

/// What `environ` is made of: the request as CGI variables.
pub fn cgi_variables(count: usize) -> Option<()> {
    let head = read_request(&mut BytesMut::new(), &RequestLimits::for_app(HEAD_BYTES_MAX))?;
    let connection_vars = connection_vars()?;
    let facts = RequestFacts { connection_vars: &connection_vars, dechunked_bytes: None };
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX);
    for _ in 0..count {
        out.clear();
        push_request_vars(&mut out, black_box(&head), &facts).ok()?;
        black_box(&out);
    }
    Some(())
}

/// A packet of these variables, and each of its pairs.
pub fn uwsgi_packet_read(count: usize) -> Option<()> {
    let head = read_request(&mut BytesMut::new(), &RequestLimits::for_app(HEAD_BYTES_MAX))?;
    let mut coded = Vec::new();
    let connection_vars = connection_vars()?;
    let facts = RequestFacts { connection_vars: &connection_vars, dechunked_bytes: None };
    push_request_vars(&mut coded, &head, &facts).ok()?;
    let packet = [&packet_head(0, 0, coded.len()).ok()?[..], &coded].concat();
    let mut buffer = BytesMut::with_capacity(HEAD_BYTES_MAX);
    for _ in 0..count {
        buffer.extend_from_slice(black_box(&packet));
        let packet = next_packet(&mut buffer, HEAD_BYTES_MAX).ok().flatten()?;
        for pair in vars(&packet.vars) {
            black_box(pair.ok()?);
        }
    }
    Some(())
}

/// A body in chunks.
pub fn chunks_decoded(count: usize) -> Option<()> {
    let chunk = [&b"64\r\n"[..], &[b'x'; 100], b"\r\n"].concat();
    let body = [chunk.repeat(16), b"0\r\n\r\n".to_vec()].concat();
    let mut buffer = BytesMut::with_capacity(HEAD_BYTES_MAX);
    for _ in 0..count {
        buffer.extend_from_slice(black_box(&body));
        let mut decoder = ChunkedDecoder::new();
        let mut bytes = 0;
        while let Chunk::Data(data) = decoder.decode(&mut buffer).ok()? {
            bytes += data.len();
        }
        (bytes == 1600 && decoder.is_done()).then_some(())?;
    }
    Some(())
}
