//! Calls to scripted workers over the private channel.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::channel::{
    BodyPlace, FLAG_END, REQUEST_BYTES_MAX, ReplyHead, ReplyHeader, ReplyKind, RequestHeader,
    SLOT_WORDS, decode_request,
};
use support::*;
use sys::fdpass::{recv_with_fds, send_with_fds, seqpacket_pair, stream_pair};
use sys::memory::SharedWords;
use upstream::{AppChannels, AppDoor, Outgoing, OutgoingBody, Upstreams};

/// An app with one worker, played by the test.
struct Stage {
    upstreams: Rc<Upstreams>,
    apps: AppChannels,
    scoreboard: Arc<SharedWords>,
    queue: Option<OwnedFd>,
    replies: Option<OwnedFd>,
}

/// What the worker received.
struct Request {
    header: RequestHeader,
    body: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Stage {
    fn new() -> Stage {
        let apps = AppChannels::new(3);
        let (front, queue) = seqpacket_pair().unwrap();
        let scoreboard = Arc::new(SharedWords::create(2 * SLOT_WORDS).unwrap());
        let board = scoreboard.clone();
        apps.add_app(0, AppDoor { queue: front, scoreboard: board, threads: 1, mail: None });
        let app = peer(plan::front::upstream::PeerAddress::App(0));
        let upstreams = Rc::new(upstreams(vec![group(vec![app], 0)], apps.clone()));
        let mut stage = Stage { upstreams, apps, scoreboard, queue: Some(queue), replies: None };
        stage.replies = Some(stage.worker(0));
        stage
    }

    fn worker(&self, seat: u32) -> OwnedFd {
        let (front, worker) = seqpacket_pair().unwrap();
        self.apps.add_worker(0, seat, seat + 1, front).unwrap();
        worker
    }

    fn call(
        &self,
        request: Outgoing,
    ) -> tokio::task::JoinHandle<Result<Box<upstream::Answer>, upstream::CallError>> {
        let upstreams = self.upstreams.clone();
        tokio::task::spawn_local(async move { ask(&upstreams, &call(), request).await })
    }

    /// Lets the front work until a request is there.
    async fn receive(&self) -> Request {
        let mut buffer = vec![0; REQUEST_BYTES_MAX];
        let mut descriptors = Vec::new();
        let queue = self.queue.as_ref().unwrap().as_fd();
        let bytes = loop {
            match recv_with_fds(queue, &mut buffer, &mut descriptors, libc::MSG_DONTWAIT) {
                Ok(bytes) => break bytes,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let frame = decode_request(&buffer[..bytes]).unwrap();
        Request { header: frame.header, body: buffer[frame.body].to_vec(), descriptors }
    }

    fn queue_is_empty(&self) -> bool {
        let queue = self.queue.as_ref().unwrap().as_fd();
        let room = &mut [0; REQUEST_BYTES_MAX];
        recv_with_fds(queue, room, &mut Vec::new(), libc::MSG_DONTWAIT).is_err()
    }

    fn reply(&self, id: u64, kind: ReplyKind, flags: u8, payload: &[u8], fds: &[OwnedFd]) {
        self.reply_with_head(id, kind, flags, (b"", payload), fds);
    }

    fn reply_with_head(
        &self,
        id: u64,
        kind: ReplyKind,
        flags: u8,
        (head, payload): (&[u8], &[u8]),
        fds: &[OwnedFd],
    ) {
        let header = ReplyHeader { id, kind, flags, head_bytes: head.len() as u32 }.encode();
        let pieces = [IoSlice::new(&header), IoSlice::new(head), IoSlice::new(payload)];
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        send_with_fds(self.replies.as_ref().unwrap().as_fd(), &pieces, &fds, 0).unwrap();
    }

    fn reply_head(&self, id: u64, flags: u8, fields: &[(&str, &str)], body: &[u8]) {
        let mut head = Vec::new();
        ReplyHead::begin(&mut head, 200, b"OK");
        for (name, value) in fields {
            ReplyHead::field(&mut head, name.as_bytes(), value.as_bytes());
        }
        self.reply_with_head(id, ReplyKind::Head, flags, (&head, body), &[]);
    }

    /// The id that the front does not want answered any more, if it said so.
    fn cancelled(&self) -> Option<u64> {
        let mut frame = [0; 64];
        let socket = self.replies.as_ref().unwrap().as_fd();
        let bytes = recv_with_fds(socket, &mut frame, &mut Vec::new(), libc::MSG_DONTWAIT).ok()?;
        let header = ReplyHeader::decode(&frame[..bytes]).unwrap();
        assert_eq!((bytes, header.kind), (16, ReplyKind::Cancel));
        Some(header.id)
    }

    fn note_on_scoreboard(&self, seat: usize, id: u64) {
        self.scoreboard.at(seat * SLOT_WORDS).store(id + 1, Ordering::Release);
    }
}

#[test]
fn an_answer_in_one_frame_is_whole() {
    run(async {
        let stage = Stage::new();
        let call = stage.call(packet(memory(b"question")));
        let request = stage.receive().await;
        assert_eq!(request.header.front_thread, 3);
        assert_eq!((request.header.body, &request.body[..]), (BodyPlace::Inline, &b"question"[..]));
        stage.reply_head(request.header.id, FLAG_END, &[("X-A", "1")], b"answer");
        let mut answer = call.await.unwrap().unwrap();
        assert_eq!(answer.head.status, 200);
        assert_eq!(answer.head.headers.iter().next().unwrap().value, b"1");
        assert_eq!(body(&mut answer).await.unwrap(), b"answer");
        assert!(answer.body.is_ended());
    });
}

#[test]
fn large_bodies_travel_as_files_and_come_back_as_file_and_stream() {
    run(async {
        let stage = Stage::new();
        let large = OutgoingBody::Memory(vec![5; 100_000].into());
        let call = stage.call(packet(large));
        let request = stage.receive().await;
        assert_eq!((request.header.body, request.header.body_bytes), (BodyPlace::File, 100_000));
        let file = std::fs::File::from(request.descriptors.into_iter().next().unwrap());
        assert_eq!(file.metadata().unwrap().len(), 100_000);
        let id = request.header.id;
        stage.reply_head(id, 0, &[("Content-Length", "11")], b"ab");
        let part = sys::memory::memory_file("t", b"xxcdexx").unwrap();
        let range = [2u64.to_le_bytes(), 3u64.to_le_bytes()].concat();
        stage.reply(id, ReplyKind::File, 0, &range, &[part]);
        let (front, worker) = stream_pair().unwrap();
        stage.reply(id, ReplyKind::Stream, 0, b"", &[front]);
        let mut stream = std::os::unix::net::UnixStream::from(worker);
        stream.write_all(b"\x04\0\0\0fghi\x02\0\0\0jk\0\0\0\0").unwrap();
        let mut answer = call.await.unwrap().unwrap();
        assert_eq!(body(&mut answer).await.unwrap(), b"abcdefghijk");
    });
}

#[test]
fn every_cut_answer_is_seen_as_cut() {
    run(async {
        // A stream without its end chunk.
        let stage = Stage::new();
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply_head(id, 0, &[], b"");
        let (front, worker) = stream_pair().unwrap();
        stage.reply(id, ReplyKind::Stream, 0, b"", &[front]);
        std::os::unix::net::UnixStream::from(worker).write_all(b"\x04\0\0\0fgh").unwrap();
        assert!(body(&mut call.await.unwrap().unwrap()).await.is_err());
        // An explicit abort after the head.
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply_head(id, 0, &[], b"some");
        stage.reply(id, ReplyKind::Abort, 0, &[&500u16.to_le_bytes()[..], b"boom"].concat(), &[]);
        assert!(body(&mut call.await.unwrap().unwrap()).await.is_err());
        // An end before the promised length.
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply_head(id, FLAG_END, &[("Content-Length", "10")], b"short");
        assert!(body(&mut call.await.unwrap().unwrap()).await.is_err());
        // More than the promised length.
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply_head(id, FLAG_END, &[("Content-Length", "2")], b"long");
        assert!(body(&mut call.await.unwrap().unwrap()).await.is_err());
    });
}

#[test]
fn an_abort_before_the_head_has_the_status_the_worker_chose() {
    run(async {
        let stage = Stage::new();
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply(id, ReplyKind::Abort, 0, &[&504u16.to_le_bytes()[..], b"slow"].concat(), &[]);
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (504, "slow"));
    });
}

#[test]
fn a_worker_hears_when_nobody_waits_for_its_answer_any_more_and_only_then() {
    run(async {
        let stage = Stage::new();
        // Begun, no word yet: the scoreboard tells whom to ask.
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.note_on_scoreboard(0, id);
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!((stage.cancelled(), stage.cancelled()), (Some(id), None));
        // In the middle of the body.
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply_head(id, 0, &[], b"begun");
        drop(call.await.unwrap().unwrap());
        assert_eq!((stage.cancelled(), stage.cancelled()), (Some(id), None));
        // Still in the queue: with the first frame.
        let call = stage.call(packet(OutgoingBody::None));
        while stage.queue_is_empty() {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(stage.cancelled(), None);
        let late = id + (1 << 24);
        stage.reply_head(late, 0, &[], b"begun");
        let cancelled = loop {
            match stage.cancelled() {
                None => tokio::task::yield_now().await,
                Some(id) => break id,
            }
        };
        assert_eq!(cancelled, late);
        // A whole answer, read or not.
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply_head(id, 0, &[], b"begun");
        let answer = call.await.unwrap().unwrap();
        stage.reply(id, ReplyKind::Data, FLAG_END, b"done", &[]);
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        drop(answer);
        assert_eq!(stage.cancelled(), None);
    });
}

#[test]
fn the_death_of_a_worker_ends_its_requests_and_no_others() {
    run(async {
        let mut stage = Stage::new();
        let other = stage.worker(1);
        let (executing, answering) =
            (stage.call(packet(OutgoingBody::None)), stage.call(packet(OutgoingBody::None)));
        let first = stage.receive().await.header.id;
        let second = stage.receive().await.header.id;
        let elsewhere = stage.call(packet(OutgoingBody::None));
        let third = stage.receive().await.header.id;
        stage.note_on_scoreboard(0, first);
        stage.note_on_scoreboard(1, third);
        stage.reply_head(second, 0, &[], b"begun");
        stage.replies = None;
        let error = executing.await.unwrap().unwrap_err();
        assert_eq!(error.status, 502);
        assert!(body(&mut answering.await.unwrap().unwrap()).await.is_err());
        stage.replies = Some(other);
        stage.reply_head(third, FLAG_END, &[], b"alive");
        assert_eq!(body(&mut elsewhere.await.unwrap().unwrap()).await.unwrap(), b"alive");
        assert_eq!(stage.scoreboard.at(0).load(Ordering::Acquire), 0);
    });
}

#[test]
fn a_request_given_up_before_it_was_sent_is_never_sent() {
    run(async {
        let stage = Stage::new();
        // Four places for nobody, two for the worker's one thread.
        let mut sent = Vec::new();
        for _ in 0..6 {
            let call = stage.call(packet(OutgoingBody::None));
            sent.push((stage.receive().await.header.id, call));
        }
        let waiting = stage.call(packet(OutgoingBody::None));
        tokio::task::yield_now().await;
        assert!(stage.queue_is_empty());
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        let (id, call) = sent.remove(0);
        stage.reply_head(id, FLAG_END, &[], b"");
        drop(call.await.unwrap().unwrap());
        tokio::task::yield_now().await;
        assert!(stage.queue_is_empty());
        // The place is free for the next one.
        let next = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        stage.reply_head(id, FLAG_END, &[], b"");
        next.await.unwrap().unwrap();
    });
}

#[test]
fn a_late_reply_to_a_request_that_is_over_reaches_nobody() {
    run(async {
        let stage = Stage::new();
        let call = stage.call(packet(OutgoingBody::None));
        let late = stage.receive().await.header.id;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let call = stage.call(packet(OutgoingBody::None));
        let id = stage.receive().await.header.id;
        assert_ne!(late, id);
        stage.reply_head(late, FLAG_END, &[], b"wrong");
        stage.reply_head(id, FLAG_END, &[], b"right");
        assert_eq!(body(&mut call.await.unwrap().unwrap()).await.unwrap(), b"right");
    });
}

#[test]
fn a_streamed_body_arrives_on_its_own_socket() {
    run(async {
        let stage = Stage::new();
        let (sender, pieces) = tokio::sync::mpsc::channel(4);
        let call = stage.call(packet(OutgoingBody::Stream(pieces, Some(6))));
        let mut request = stage.receive().await;
        assert_eq!((request.header.body, request.header.body_bytes), (BodyPlace::Stream, 6));
        sender.send(Ok("abc".into())).await.unwrap();
        sender.send(Ok("def".into())).await.unwrap();
        drop(sender);
        let socket = std::os::unix::net::UnixStream::from(request.descriptors.remove(0));
        socket.set_nonblocking(true).unwrap();
        let mut socket = tokio::net::UnixStream::from_std(socket).unwrap();
        let mut received = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut received).await.unwrap();
        assert_eq!(received, b"abcdef");
        stage.reply_head(request.header.id, FLAG_END, &[], b"");
        call.await.unwrap().unwrap();
    });
}

#[test]
fn a_worker_that_never_answers_is_a_504() {
    run(async {
        let stage = Stage::new();
        let mut slow = call();
        slow.read_timeout = Duration::from_millis(20);
        let error = ask(&stage.upstreams, &slow, packet(OutgoingBody::None)).await.unwrap_err();
        assert_eq!(error.status, 504);
    });
}

#[test]
fn a_worker_is_not_late_while_the_client_still_sends() {
    run(async {
        let stage = Stage::new();
        let (sender, pieces) = tokio::sync::mpsc::channel::<std::io::Result<bytes::Bytes>>(4);
        let mut impatient = call();
        impatient.read_timeout = Duration::from_millis(10);
        let slow = {
            let (upstreams, call) = (stage.upstreams.clone(), impatient.clone());
            let body = OutgoingBody::Stream(pieces, Some(1));
            tokio::task::spawn_local(async move { ask(&upstreams, &call, packet(body)).await })
        };
        let _request = stage.receive().await;
        // Time passes while another request is waited for in vain.
        impatient.read_timeout = Duration::from_millis(50);
        let other = ask(&stage.upstreams, &impatient, packet(OutgoingBody::None)).await;
        assert_eq!(other.unwrap_err().status, 504);
        assert!(!slow.is_finished());
        drop(sender);
        assert_eq!(slow.await.unwrap().unwrap_err().status, 504);
    });
}
