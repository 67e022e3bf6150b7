//! Calls under TLS to peers that speak something else: what they hear, and what is said of them.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use plan::Address;
use plan::front::PeerTlsPlan;
use plan::front::tls::TlsVersions;
use plan::front::upstream::PeerAddress;
use support::*;
use tls::{Identity, PeerRules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use upstream::{AppChannels, CallTrace, Outgoing};

/// First byte of a handshake.
const HANDSHAKE: u8 = 0x16;

fn identity() -> Arc<Identity> {
    let rules = PeerRules::new(&PeerTlsPlan {
        versions: TlsVersions { tls12: true, tls13: true },
        suites: tls::names::default_suites(),
        tells_name: true,
        verify: None,
        certificate: None,
        reuses_sessions: true,
    });
    Arc::new(Identity::new(rules.unwrap(), "one.test").unwrap())
}

fn secret() -> Outgoing {
    Outgoing { tls: Some(identity()), ..get() }
}

/// Answers whatever comes first with `answer` and closes.
fn answer_anything(listener: TcpListener, answer: &'static [u8]) {
    tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(answer).await.unwrap();
    });
}

#[test]
fn nothing_of_a_request_goes_to_a_unix_socket_in_plain_text() {
    run(async {
        let path = std::env::temp_dir().join(format!("secured-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let address = PeerAddress::Socket(Address::Unix(path.clone()));
        let upstreams = to_sockets(vec![peer(address)], 0);
        let heard = tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = vec![0; 4096];
            let count = stream.read(&mut heard).await.unwrap();
            heard.truncate(count);
            heard
        });
        let error = ask(&upstreams, &call(), secret()).await.unwrap_err();
        std::fs::remove_file(path).unwrap();
        assert_eq!(error.status, 502);
        let heard = heard.await.unwrap();
        assert_eq!(heard.first(), Some(&HANDSHAKE));
        assert!(!text(&heard).contains("GET /"), "{}", text(&heard));
        assert!(text(&heard).contains("one.test"));
    });
}

#[test]
fn a_kept_connection_in_plain_text_is_not_used_for_a_call_under_tls() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 8);
        let heard = tokio::task::spawn_local(async move {
            let (mut plain, _) = listener.accept().await.unwrap();
            read_request(&mut plain, 0).await;
            plain.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            let (mut secret, _) = listener.accept().await.unwrap();
            let first = secret.read_u8().await.unwrap();
            drop(secret);
            read_request(&mut plain, 0).await;
            plain.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            first
        });
        assert_eq!(ask(&upstreams, &call(), get()).await.unwrap().head.status, 204);
        assert_eq!(ask(&upstreams, &call(), secret()).await.unwrap_err().status, 502);
        assert_eq!(ask(&upstreams, &call(), get()).await.unwrap().head.status, 204);
        assert_eq!(heard.await.unwrap(), HANDSHAKE);
    });
}

#[test]
fn a_peer_without_tls_is_told_so_and_the_next_one_is_asked() {
    run(async {
        let (first, second) = (listen().await, listen().await);
        let upstreams = to_sockets(vec![socket(&first), socket(&second)], 0);
        answer_anything(first, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        answer_anything(second, b"\x15\x03\x03\x00\x02\x02\x28");
        let mut trace = CallTrace::default();
        let error = upstreams.call(&call(), secret(), &mut trace).await.unwrap_err();
        assert_eq!(statuses(&trace), [502, 502]);
        let alert = "SSL_do_handshake() failed (SSL: received fatal alert: ";
        assert!(error.message.starts_with(alert), "{}", error.message);

        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 0);
        answer_anything(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let error = ask(&upstreams, &call(), secret()).await.unwrap_err();
        assert_eq!(
            error.message,
            "SSL_do_handshake() failed (SSL: wrong version number: the peer answers without TLS) \
             while SSL handshaking to upstream"
        );
    });
}

#[test]
fn the_handshake_counts_as_connecting() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 0);
        let mut call = call();
        call.connect_timeout = Duration::from_millis(50);
        let error = ask(&upstreams, &call, secret()).await.unwrap_err();
        assert_eq!(error.status, 504);
        assert_eq!(
            error.message,
            "upstream timed out (110: Connection timed out) while SSL handshaking to upstream"
        );
        drop(listener);
    });
}

#[test]
fn an_app_of_this_server_is_not_called_where_secrecy_is_asked_for() {
    run(async {
        let app = peer(PeerAddress::App(0));
        let upstreams = upstreams(vec![group(vec![app], 0)], AppChannels::new(0));
        let error = ask(&upstreams, &call(), secret()).await.unwrap_err();
        assert_eq!(error.message, "an app of this server is not called under TLS");
    });
}
