//! From bytes to a complete request: heads (HTTP or uwsgi packet) and bodies.

use std::os::fd::AsFd;

use message::{BodyLength, HeaderField, Method, Version};
use plan::app::Protocol;
use proto::cgi::{RequestFacts, push_scanned_vars};
use proto::http1::{RequestScan, ScannedHead};
use proto::uwsgi::{self, PacketError};
use sys::socket;

use super::body::{Body, BodyError};
use super::connection::{Connection, Stage, Turn};
use super::output::is_later;
use super::settings::Settings;
use crate::exchange::Input;

/// Bytes received by one call; of the memory for them only what was needed once is resident.
const RECEIVE_BYTES: usize = 256 * 1024;
/// Room for bytes of the next requests that a connection may keep.
const KEPT_INPUT_BYTES_MAX: usize = 64 * 1024;
/// A variables buffer larger than this is not kept for the next request.
const KEPT_VARS_BYTES_MAX: usize = 16 * 1024;

/// Buffers of a thread, lent to the connection it is busy with.
pub struct Scratch {
    /// Bytes just received.
    pub room: Vec<u8>,
    fields: Vec<HeaderField>,
    vars: Vec<u8>,
}

impl Scratch {
    /// New buffers.
    pub fn new() -> Scratch {
        Scratch { room: vec![0; RECEIVE_BYTES], fields: Vec::with_capacity(32), vars: Vec::new() }
    }

    /// Gets a request's buffer back for the next one.
    pub fn recycle(&mut self, mut vars: Vec<u8>) {
        if vars.capacity() <= KEPT_VARS_BYTES_MAX {
            vars.clear();
            self.vars = vars;
        }
    }
}

/// A head of which not everything has come.
#[derive(Default)]
pub(super) struct PartialHead {
    pub(super) scan: RequestScan,
    /// What `scan` found so far.
    fields: Vec<HeaderField>,
}

/// How a request wants to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// HEAD: no body goes out.
    pub head_only: bool,
    /// The connection may stay open.
    pub keep_alive: bool,
    /// The client speaks HTTP/1.1 (or newer); otherwise 1.0.
    pub http11: bool,
    /// Over which protocol it came.
    pub protocol: Protocol,
}

/// A request with its whole body.
pub struct ReadyRequest {
    /// CGI variables, coded as in a uwsgi packet.
    pub vars: Vec<u8>,
    /// The body.
    pub input: Input,
    /// How to answer.
    pub manner: Manner,
}

/// A request whose body is arriving.
pub struct Incoming {
    manner: Manner,
    vars: Vec<u8>,
    /// Of a chunked request: its variables can only be made when its length is known.
    head: Option<(Vec<u8>, ScannedHead, Vec<HeaderField>)>,
    body: Body,
    /// When its head was complete.
    pub(super) began_ms: u64,
}

impl Incoming {
    /// Bytes of the body that have come.
    pub fn body_bytes(&self) -> u64 {
        self.body.bytes()
    }
}

impl Connection {
    /// There is something to read: a head, or a body's next piece.
    pub(super) fn handle_input(&mut self, scratch: &mut Scratch, settings: &Settings) -> Turn {
        let count = match socket::receive(self.socket.as_fd(), &mut scratch.room) {
            Ok(0) => return Turn::Close,
            Ok(count) => count,
            Err(error) if is_later(&error) => return Turn::Wait,
            Err(_) => return Turn::Close,
        };
        let fresh = self.input.is_empty();
        if fresh && self.protocol() == Protocol::Http && matches!(self.stage, Stage::Head(_)) {
            return self.handle_first_bytes(count, scratch, settings);
        }
        let received = scratch.room.get(..count).unwrap_or(&[]);
        let taken = match &mut self.stage {
            Stage::Body(incoming) if fresh => incoming.body.take_received(received),
            _ => Ok(0),
        };
        match taken {
            Ok(taken) => {
                self.input.extend_from_slice(received.get(taken..).unwrap_or(&[]));
                self.handle_buffered(scratch, settings)
            }
            Err(error) => self.refuse_body(error, scratch, settings),
        }
    }

    /// Goes on with what has been received already.
    pub(super) fn handle_buffered(&mut self, scratch: &mut Scratch, settings: &Settings) -> Turn {
        match (&mut self.stage, self.local.protocol) {
            (Stage::Head(partial), Protocol::Http) => {
                let PartialHead { scan, fields } = partial;
                if !scan.has_begun() {
                    std::mem::swap(fields, &mut scratch.fields);
                }
                let scanned = scan.advance(&self.input, &settings.head, fields);
                std::mem::swap(fields, &mut scratch.fields);
                match scanned {
                    Ok(None) => {
                        std::mem::swap(fields, &mut scratch.fields);
                        Turn::Wait
                    }
                    Ok(Some(head)) => {
                        let bytes = self.input.split_to(head.end);
                        self.handle_head(&bytes, &head, scratch, settings)
                    }
                    Err(error) => self.handle_bad_head(error, scratch, settings),
                }
            }
            (Stage::Head(_), Protocol::Uwsgi) => self.handle_packet(scratch, settings),
            (Stage::Body(_), _) => self.handle_body(scratch, settings),
            _ => Turn::Wait,
        }
    }

    /// The usual case: a whole head in the thread's own buffer, nothing is copied.
    fn handle_first_bytes(
        &mut self,
        count: usize,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        let room = std::mem::take(&mut scratch.room);
        let bytes = room.get(..count).unwrap_or(&[]);
        let Stage::Head(partial) = &mut self.stage else { return Turn::Close };
        let turn = match partial.scan.advance(bytes, &settings.head, &mut scratch.fields) {
            Ok(None) => {
                partial.fields.clone_from(&scratch.fields);
                self.input.extend_from_slice(bytes);
                if self.requests > 0 {
                    self.since_ms = sys::clock::monotonic_ms();
                }
                Turn::Wait
            }
            Ok(Some(head)) => {
                self.input.extend_from_slice(bytes.get(head.end..).unwrap_or(&[]));
                let head_bytes = bytes.get(..head.end).unwrap_or(bytes);
                self.handle_head(head_bytes, &head, scratch, settings)
            }
            Err(error) => {
                scratch.room = room;
                return self.handle_bad_head(error, scratch, settings);
            }
        };
        scratch.room = room;
        turn
    }

    fn handle_bad_head(
        &mut self,
        error: proto::http1::RequestError,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        self.note(error.text());
        self.refuse(error.status(), error.text(), scratch, settings)
    }

    fn handle_head(
        &mut self,
        bytes: &[u8],
        head: &ScannedHead,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        let manner = Manner {
            head_only: head.method == Method::Head,
            keep_alive: head.keep_alive,
            http11: head.version >= Version::Http11,
            protocol: Protocol::Http,
        };
        let memory = settings.body_memory_bytes_max;
        let body = match head.body {
            BodyLength::Length(bytes) if bytes > 0 => {
                if settings.body_bytes_max.is_some_and(|most| bytes > most) {
                    return self.refuse_large(bytes, scratch, settings);
                }
                Body::of_length(bytes, memory)
            }
            BodyLength::Chunked => {
                let fields = scratch.fields.clone();
                let body = Body::chunked(memory, settings.body_bytes_max);
                let head_bytes = bytes.to_vec();
                let expect_continue = head.expect_continue;
                let head = Some((head_bytes, *head, fields));
                let incoming = Incoming { manner, vars: Vec::new(), head, body, began_ms: 0 };
                return self.begin_body(incoming, expect_continue, scratch, settings);
            }
            _ => {
                return match self.make_vars(bytes, head, None, scratch) {
                    Some(vars) => self.ready(ReadyRequest { vars, input: Input::Empty, manner }),
                    None => self.refuse(431, "a header field is too long", scratch, settings),
                };
            }
        };
        let Some(vars) = self.make_vars(bytes, head, None, scratch) else {
            return self.refuse(431, "a header field is too long", scratch, settings);
        };
        let incoming = Incoming { manner, vars, head: None, body, began_ms: 0 };
        self.begin_body(incoming, head.expect_continue, scratch, settings)
    }

    fn begin_body(
        &mut self,
        mut incoming: Incoming,
        expect_continue: bool,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        if expect_continue && self.input.is_empty() {
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
            if self.output.send(self.socket.as_fd(), interim, b"").is_err() {
                return Turn::Close;
            }
        }
        self.since_ms = sys::clock::monotonic_ms();
        incoming.began_ms = self.since_ms;
        self.stage = Stage::Body(Box::new(incoming));
        if self.input.is_empty() { Turn::Wait } else { self.handle_body(scratch, settings) }
    }

    fn handle_body(&mut self, scratch: &mut Scratch, settings: &Settings) -> Turn {
        let Stage::Body(incoming) = &mut self.stage else { return Turn::Wait };
        self.since_ms = sys::clock::monotonic_ms();
        match incoming.body.take(&mut self.input) {
            Ok(false) => Turn::Wait,
            Ok(true) => self.finish_body(scratch, settings),
            Err(error) => self.refuse_body(error, scratch, settings),
        }
    }

    fn refuse_body(
        &mut self,
        error: BodyError,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        match error {
            BodyError::TooLarge(bytes) => self.refuse_large(bytes, scratch, settings),
            BodyError::Broken => {
                self.note("client sent invalid chunked body");
                self.refuse(400, "client sent invalid chunked body", scratch, settings)
            }
            BodyError::Storage(error) => self.refuse_unstored(&error, scratch, settings),
        }
    }

    fn finish_body(&mut self, scratch: &mut Scratch, settings: &Settings) -> Turn {
        let stage = std::mem::replace(&mut self.stage, Stage::Serving);
        let Stage::Body(incoming) = stage else { return Turn::Close };
        let Incoming { manner, mut vars, head, body, .. } = *incoming;
        if let Some((bytes, head, fields)) = head {
            scratch.fields = fields;
            match self.make_vars(&bytes, &head, Some(body.bytes()), scratch) {
                Some(made) => vars = made,
                None => return self.refuse(431, "a header field is too long", scratch, settings),
            }
        }
        match body.finish() {
            Ok(input) => self.ready(ReadyRequest { vars, input, manner }),
            Err(error) => self.refuse_unstored(&error, scratch, settings),
        }
    }

    fn ready(&mut self, request: ReadyRequest) -> Turn {
        self.stage = Stage::Serving;
        if self.input.is_empty() && self.input.capacity() > KEPT_INPUT_BYTES_MAX {
            self.input = bytes::BytesMut::new();
        }
        Turn::Request(request)
    }

    fn make_vars(
        &self,
        bytes: &[u8],
        head: &ScannedHead,
        dechunked_bytes: Option<u64>,
        scratch: &mut Scratch,
    ) -> Option<Vec<u8>> {
        let mut vars = std::mem::take(&mut scratch.vars);
        vars.clear();
        let facts = RequestFacts { connection_vars: &self.vars, dechunked_bytes };
        push_scanned_vars(&mut vars, bytes, head, &scratch.fields, &facts).ok()?;
        Some(vars)
    }

    fn handle_packet(&mut self, scratch: &mut Scratch, settings: &Settings) -> Turn {
        let packet = match uwsgi::next_packet(&mut self.input, settings.packet_bytes_max) {
            Ok(None) => return Turn::Wait,
            Ok(Some(packet)) => packet,
            Err(error) => {
                let (status, text) = packet_error_text(error, settings);
                self.note(&text);
                return self.refuse(status, &text, scratch, settings);
            }
        };
        if packet.modifier1 != 0 {
            let text = format!("-- unavailable modifier requested: {} --", packet.modifier1);
            self.note(&text);
            return self.refuse(400, &text, scratch, settings);
        }
        let mut manner = Manner {
            head_only: false,
            keep_alive: false,
            http11: false,
            protocol: Protocol::Uwsgi,
        };
        let mut length = Some(0);
        for (name, value) in uwsgi::vars(&packet.vars).flatten() {
            match name {
                b"CONTENT_LENGTH" if !value.is_empty() => length = decimal(value),
                b"REQUEST_METHOD" => manner.head_only = value == b"HEAD",
                b"SERVER_PROTOCOL" => manner.http11 = value != b"HTTP/1.0",
                _ => {}
            }
        }
        let Some(length) = length else {
            self.note("invalid CONTENT_LENGTH in a uwsgi packet");
            return self.refuse(400, "invalid CONTENT_LENGTH", scratch, settings);
        };
        if settings.body_bytes_max.is_some_and(|most| length > most) {
            return self.refuse_large(length, scratch, settings);
        }
        let mut vars = std::mem::take(&mut scratch.vars);
        vars.clear();
        vars.extend_from_slice(&packet.vars);
        if length == 0 {
            return self.ready(ReadyRequest { vars, input: Input::Empty, manner });
        }
        let body = Body::of_length(length, settings.body_memory_bytes_max);
        let incoming = Incoming { manner, vars, head: None, body, began_ms: 0 };
        self.begin_body(incoming, false, scratch, settings)
    }

    fn refuse_large(&mut self, bytes: u64, scratch: &mut Scratch, settings: &Settings) -> Turn {
        let most = settings.body_bytes_max.unwrap_or(u64::MAX);
        self.note(&format!("Invalid (too big) CONTENT_LENGTH. skip. ({bytes} > {most})"));
        self.refuse(413, "the request body is too large", scratch, settings)
    }

    fn refuse_unstored(
        &mut self,
        error: &std::io::Error,
        scratch: &mut Scratch,
        settings: &Settings,
    ) -> Turn {
        self.note(&format!("cannot keep a request body in a temporary file: {error}"));
        self.refuse(500, "the request body could not be stored", scratch, settings)
    }

    /// A line about this client for the operator.
    fn note(&self, text: &str) {
        let address = if self.remote_addr.is_empty() { "unix" } else { &self.remote_addr };
        super::log::note(&format!("{text} [client {address}]"));
    }
}

fn packet_error_text(error: PacketError, settings: &Settings) -> (u16, String) {
    match error {
        PacketError::LooksLikeHttp => (
            400,
            "this socket speaks the uwsgi protocol, not HTTP: use `http-socket` or `http` for \
             browsers"
                .to_owned(),
        ),
        PacketError::TooLong(bytes) => {
            let most = settings.packet_bytes_max;
            (431, format!("invalid request block size: {bytes} (max {most})...skip"))
        }
        PacketError::VariableCut | PacketError::EmptyName | PacketError::NulByte => {
            (400, "invalid uwsgi packet: a variable is broken".to_owned())
        }
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
