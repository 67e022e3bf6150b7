//! Calls to scripted peers on sockets.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use plan::Address;
use plan::front::upstream::PeerAddress;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use upstream::{CallTrace, Fault, OutgoingBody, Piece};

#[test]
fn an_answer_with_a_length_is_whole_and_traced() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 0);
        answer_once(listener, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello");
        let mut trace = CallTrace::default();
        let mut answer = upstreams.call(&call(), get(), &mut trace).await.unwrap();
        assert_eq!(answer.head.status, 200);
        assert_eq!(body(&mut answer).await.unwrap(), b"hello");
        answer.body.finish_trace(&mut trace);
        let last = trace.last().unwrap();
        assert_eq!((last.status, last.response_length), (200, 5));
        assert!(last.header_time.is_some() && last.connect_time.is_some());
    });
}

#[test]
fn a_short_body_is_an_error_and_not_an_answer() {
    run(async {
        for short in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ] {
            let listener = listen().await;
            let upstreams = to_sockets(vec![socket(&listener)], 0);
            answer_once(listener, short);
            let mut answer = ask(&upstreams, &call(), get()).await.unwrap();
            let error = body(&mut answer).await.unwrap_err();
            assert_eq!(
                error.message,
                "upstream prematurely closed connection while reading upstream"
            );
        }
    });
}

#[test]
fn a_uwsgi_answer_without_status_line_ends_with_the_connection() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 0);
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4 + 2 + 14 + 2 + 4 + 3];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(&request[..4], [0, 22, 0, 0]);
            assert!(request.ends_with(b"abc"));
            stream.write_all(b"Status: 201 Made\r\nX: y\r\n\r\nwhole").await.unwrap();
        });
        let mut answer = ask(&upstreams, &call(), packet(memory(b"abc"))).await.unwrap();
        assert_eq!((answer.head.status, &answer.head.reason[..]), (201, &b"Made"[..]));
        assert_eq!(body(&mut answer).await.unwrap(), b"whole");
    });
}

#[test]
fn a_missing_socket_is_named_as_nginx_names_it() {
    run(async {
        let address = Address::Unix("/nonexistent/x.sock".into());
        let upstreams = to_sockets(vec![peer(PeerAddress::Socket(address))], 0);
        let error = ask(&upstreams, &call(), get()).await.unwrap_err();
        assert_eq!((error.status, error.fault), (502, Fault::Upstream));
        assert_eq!(
            error.message,
            "connect() to unix:/nonexistent/x.sock failed (2: No such file or directory) \
             while connecting to upstream"
        );
    });
}

#[test]
fn silence_is_a_504_that_says_what_was_waited_for() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 0);
        let mut call = call();
        call.read_timeout = Duration::from_millis(20);
        let error = ask(&upstreams, &call, get()).await.unwrap_err();
        assert_eq!((error.status, error.fault), (504, Fault::UpstreamTooSlow));
        assert_eq!(
            error.message,
            "upstream timed out (110: Connection timed out) while reading response header from \
             upstream"
        );
    });
}

#[test]
fn a_too_big_head_and_a_senseless_one_are_502() {
    run(async {
        let mut big = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        big.resize(5000, b'y');
        let big: &'static [u8] = Box::leak(big.into_boxed_slice());
        let answers = [
            (big, "upstream sent too big header while reading response header from upstream"),
            (
                &b"SSH-2.0-x\r\n\r\n"[..],
                "upstream sent no valid HTTP/1.0 header while reading response header from \
                 upstream",
            ),
        ];
        for (answer, message) in answers {
            let listener = listen().await;
            let upstreams = to_sockets(vec![socket(&listener)], 0);
            answer_once(listener, answer);
            let error = ask(&upstreams, &call(), get()).await.unwrap_err();
            assert_eq!((error.status, error.message.as_str()), (502, message));
        }
    });
}

#[test]
fn the_next_peer_answers_when_the_first_is_down_and_the_first_is_left_alone_then() {
    run(async {
        let gone = listen().await;
        let dead = socket(&gone);
        drop(gone);
        let listener = listen().await;
        let upstreams = to_sockets(vec![dead, socket(&listener)], 0);
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_request(&mut stream, 0).await;
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        });
        let mut trace = CallTrace::default();
        upstreams.call(&call(), get(), &mut trace).await.unwrap();
        assert_eq!(statuses(&trace), [502, 204]);
        for _ in 0..5 {
            let mut trace = CallTrace::default();
            upstreams.call(&call(), get(), &mut trace).await.unwrap();
            assert_eq!(statuses(&trace), [204]);
        }
    });
}

#[test]
fn a_request_that_may_not_be_repeated_is_sent_once() {
    run(async {
        let (first, second) = (listen().await, listen().await);
        let upstreams = to_sockets(vec![socket(&first), socket(&second)], 0);
        answer_once(first, b"");
        let request = post("Content-Length: 1\r\n", memory(b"x"));
        let mut trace = CallTrace::default();
        let error = upstreams.call(&call(), request, &mut trace).await.unwrap_err();
        assert_eq!((error.status, statuses(&trace)), (502, vec![502]));
    });
}

#[test]
fn a_bad_status_goes_to_the_next_peer_only_when_asked_and_the_last_one_is_passed_on() {
    run(async {
        let (first, second) = (listen().await, listen().await);
        let upstreams = to_sockets(vec![socket(&first), socket(&second)], 0);
        answer_once(first, b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
        answer_once(second, b"HTTP/1.1 503 Again\r\nContent-Length: 0\r\n\r\n");
        let mut call = call();
        call.next.statuses = vec![503];
        let mut trace = CallTrace::default();
        let answer = upstreams.call(&call, get(), &mut trace).await.unwrap();
        assert_eq!((answer.head.status, statuses(&trace)), (503, vec![503, 503]));
        assert_eq!(answer.head.reason, "Again");
    });
}

#[test]
fn a_kept_connection_serves_again_and_a_dead_one_is_replaced_unseen() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 4);
        tokio::task::spawn_local(async move {
            // Two requests on the first connection, which then ends without a word.
            for requests in [2, 1] {
                let (mut stream, _) = listener.accept().await.unwrap();
                for _ in 0..requests {
                    read_request(&mut stream, 0).await;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    stream.write_all(answer).await.unwrap();
                }
                read_request(&mut stream, 0).await;
            }
        });
        for reused in [false, true, false] {
            let mut trace = CallTrace::default();
            let mut answer = upstreams.call(&call(), get(), &mut trace).await.unwrap();
            assert_eq!(body(&mut answer).await.unwrap(), b"ok");
            assert_eq!(statuses(&trace), [200]);
            let connect = trace.last().unwrap().connect_time.unwrap();
            assert!(!reused || connect.is_zero());
        }
    });
}

#[test]
fn an_answer_may_come_before_the_body_has_been_sent() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 4);
        answer_once(listener, b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        let (_never, pieces) = tokio::sync::mpsc::channel(1);
        let stream = OutgoingBody::Stream(pieces, Some(1_000_000));
        let request = post("Content-Length: 1000000\r\n", stream);
        let mut answer = ask(&upstreams, &call(), request).await.unwrap();
        assert_eq!(answer.head.status, 413);
        assert_eq!(body(&mut answer).await.unwrap(), b"big");
    });
}

#[test]
fn a_body_of_unknown_length_goes_in_chunks_and_a_cut_one_never_looks_whole() {
    run(async {
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 0);
        let (sender, pieces) = tokio::sync::mpsc::channel(4);
        for piece in ["abc", "de"] {
            sender.send(Ok(piece.into())).await.unwrap();
        }
        drop(sender);
        let server = tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream, 18).await;
            stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut cut = Vec::new();
            stream.read_to_end(&mut cut).await.unwrap();
            (text(&request), text(&cut))
        });
        let chunked = "Transfer-Encoding: chunked\r\n";
        let request = post(chunked, OutgoingBody::Stream(pieces, None));
        ask(&upstreams, &call(), request).await.unwrap();
        let (sender, pieces) = tokio::sync::mpsc::channel(4);
        sender.send(Ok("abc".into())).await.unwrap();
        sender.send(Err(std::io::ErrorKind::UnexpectedEof.into())).await.unwrap();
        let request = post(chunked, OutgoingBody::Stream(pieces, None));
        let error = ask(&upstreams, &call(), request).await.unwrap_err();
        assert_eq!((error.status, error.fault), (400, Fault::Client));
        let (whole, cut) = server.await.unwrap();
        assert!(whole.ends_with("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "{whole}");
        assert!(cut.ends_with("3\r\nabc\r\n"), "{cut}");
    });
}

#[test]
fn a_large_body_passes_both_ways_while_memory_stays_small() {
    run(async {
        const BYTES: usize = 3_000_000;
        let file = std::fs::File::from(sys::memory::memory_file("t", &vec![7; BYTES]).unwrap());
        let listener = listen().await;
        let upstreams = to_sockets(vec![socket(&listener)], 0);
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream, BYTES).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&request[request.len() - BYTES..]).await.unwrap();
        });
        let body = OutgoingBody::File(file, BYTES as u64);
        let request = post(&format!("Content-Length: {BYTES}\r\n"), body);
        let mut answer = ask(&upstreams, &call(), request).await.unwrap();
        let mut total = 0;
        while let Some(Piece::Data(data)) = answer.body.next().await.unwrap() {
            assert!(data.len() <= 64 * 1024 && data.iter().all(|byte| *byte == 7));
            total += data.len();
        }
        assert_eq!(total, BYTES);
    });
}

#[test]
fn a_client_that_sends_slowly_is_not_held_against_the_upstream() {
    run(async {
        let (listener, silent) = (listen().await, listen().await);
        let upstreams = std::rc::Rc::new(to_sockets(vec![socket(&listener)], 0));
        tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream, 3).await;
            stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.unwrap();
        });
        let (sender, pieces) = tokio::sync::mpsc::channel(1);
        let slow = post("Content-Length: 3\r\n", OutgoingBody::Stream(pieces, Some(3)));
        let mut impatient = call();
        impatient.send_timeout = Duration::from_millis(5);
        let answer = {
            let (upstreams, call) = (upstreams.clone(), impatient.clone());
            tokio::task::spawn_local(async move { ask(&upstreams, &call, slow).await })
        };
        // Time passes while somebody else is waited for in vain.
        impatient.read_timeout = Duration::from_millis(40);
        let elsewhere = to_sockets(vec![socket(&silent)], 0);
        assert_eq!(ask(&elsewhere, &impatient, get()).await.unwrap_err().status, 504);
        sender.send(Ok("abc".into())).await.unwrap();
        assert_eq!(answer.await.unwrap().unwrap().head.status, 204);
    });
}
