//! Calls, peers and bodies for the tests.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use plan::front::upstream::{
    Balance, Group, IgnoreHeaders, NextUpstream, Peer, PeerAddress, Speak, Target,
};
use plan::front::{GroupId, UpstreamCall};
use plan::{Address, FrontPlan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use upstream::{
    Answer, AppChannels, CallError, CallTrace, Outgoing, OutgoingBody, PeerStates, Piece, Say,
    Upstreams, Whom,
};

pub const LONG: Duration = Duration::from_secs(20);

/// Runs a test as a front thread runs: one thread, local tasks.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(upstream::before_sleep)
        .on_thread_unpark(upstream::after_sleep)
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::timeout(LONG, test).await.expect("the test does not hang");
    });
}

pub fn call() -> UpstreamCall {
    UpstreamCall {
        target: Target::Group(GroupId(0)),
        speak: Speak::Uwsgi {
            params: Vec::new(),
            header_params: Vec::new(),
            modifier1: 0,
            modifier2: 0,
        },
        tls: None,
        connect_timeout: LONG,
        send_timeout: LONG,
        read_timeout: LONG,
        buffering: true,
        head_bytes_max: 4096,
        memory_bytes_max: 32768,
        file_bytes_max: 0,
        temp_path: "/nonexistent".into(),
        request_buffering: true,
        pass_headers: true,
        pass_body: true,
        hide_headers: Default::default(),
        ignore_headers: IgnoreHeaders::default(),
        intercept_errors: false,
        ignore_client_abort: false,
        next: NextUpstream {
            error: true,
            timeout: true,
            invalid_header: false,
            non_idempotent: false,
            statuses: Vec::new(),
            tries: 0,
            within: Duration::ZERO,
        },
        cache: None,
        redirects: Vec::new(),
    }
}

pub fn peer(address: PeerAddress) -> Peer {
    let written = match &address {
        PeerAddress::Socket(address) => address.to_string(),
        PeerAddress::App(app) => format!("app {app}"),
    };
    Peer {
        address,
        written,
        weight: 1,
        max_fails: 1,
        fail_timeout: Duration::from_secs(10),
        max_conns: 0,
        backup: false,
        down: false,
    }
}

pub fn socket(listener: &TcpListener) -> Peer {
    peer(PeerAddress::Socket(Address::Inet(listener.local_addr().unwrap())))
}

pub fn group(peers: Vec<Peer>, keepalive: u32) -> Group {
    Group {
        name: "backend".into(),
        default_port: None,
        peers,
        balance: Balance::RoundRobin,
        keepalive,
        keepalive_timeout: Duration::from_secs(60),
        keepalive_requests: 1000,
    }
}

pub fn upstreams(groups: Vec<Group>, apps: AppChannels) -> Upstreams {
    let plan = FrontPlan { groups, reads_upstream_times: true, ..FrontPlan::default() };
    Upstreams::new(PeerStates::new(&plan), apps)
}

pub fn to_sockets(peers: Vec<Peer>, keepalive: u32) -> Upstreams {
    upstreams(vec![group(peers, keepalive)], AppChannels::new(0))
}

/// Calls, and does not look at what the trace says.
pub async fn ask(
    upstreams: &Upstreams,
    call: &UpstreamCall,
    outgoing: Outgoing,
) -> Result<Box<Answer>, CallError> {
    upstreams.call(call, outgoing, &mut CallTrace::default()).await
}

/// How the attempts ended.
pub fn statuses(trace: &CallTrace) -> Vec<u16> {
    trace.attempts().map(|attempt| attempt.status).collect()
}

/// A GET over HTTP/1.1.
pub fn get() -> Outgoing {
    Outgoing {
        whom: Whom::Group(GroupId(0)),
        tls: None,
        say: Say::Http { head: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec() },
        body: OutgoingBody::None,
        method_is_head: false,
        idempotent: true,
        client: None,
    }
}

/// A POST over HTTP/1.1.
pub fn post(head: &str, body: OutgoingBody) -> Outgoing {
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n").into_bytes();
    Outgoing { say: Say::Http { head }, body, idempotent: false, ..get() }
}

/// A request in a uwsgi packet.
pub fn packet(body: OutgoingBody) -> Outgoing {
    let mut vars = Vec::new();
    proto::uwsgi::push_var(&mut vars, b"REQUEST_METHOD", b"POST").unwrap();
    Outgoing { say: Say::Uwsgi { vars, modifier1: 0, modifier2: 0 }, body, ..get() }
}

pub async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Reads a request head, and `body_bytes` behind it.
pub async fn read_request(stream: &mut TcpStream, body_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if end.is_some_and(|end| bytes.len() >= end + 4 + body_bytes) {
            return bytes;
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return bytes;
        }
    }
}

/// Accepts one connection, reads a request without body, answers with `answer`, closes.
pub fn answer_once(listener: TcpListener, answer: &'static [u8]) {
    tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream, 0).await;
        stream.write_all(answer).await.unwrap();
    });
}

/// The whole body, files included.
pub async fn body(answer: &mut Answer) -> Result<Vec<u8>, CallError> {
    use std::os::unix::fs::FileExt;
    let mut whole = Vec::new();
    while let Some(piece) = answer.body.next().await? {
        match piece {
            Piece::Data(data) => whole.extend_from_slice(&data),
            Piece::File { file, offset, bytes } => {
                let mut part = vec![0; bytes as usize];
                file.read_exact_at(&mut part, offset).unwrap();
                whole.extend_from_slice(&part);
            }
        }
    }
    Ok(whole)
}

pub fn memory(bytes: &'static [u8]) -> OutgoingBody {
    OutgoingBody::Memory(Bytes::from_static(bytes))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn shared<T>(value: T) -> Arc<T> {
    Arc::new(value)
}
