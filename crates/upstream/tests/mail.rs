//! Calls to scripted workers through mailboxes.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use proto::channel::{
    FLAG_END, REQUEST_BYTES_MAX, ReplyHead, ReplyHeader, ReplyKind, SLOT_WORDS, decode_request,
};
use proto::mailbox::{self, Claim, MAILBOXES, Mailboxes};
use support::*;
use sys::fdpass::{recv_with_fds, seqpacket_pair};
use sys::memory::SharedWords;
use tokio::task::JoinHandle;
use upstream::{Answer, AppChannels, AppDoor, CallError, Upstreams};

/// An app whose workers are played by the test.
struct Stage {
    boxes: Arc<Mailboxes>,
    bell: OwnedFd,
    queue: OwnedFd,
}

/// A front thread of it.
struct Front {
    upstreams: Rc<Upstreams>,
    apps: AppChannels,
}

/// A request that was claimed.
struct Claimed {
    claim: Claim,
    id: u64,
    body: Vec<u8>,
}

impl Stage {
    fn new() -> (Stage, Front) {
        let (queue, theirs) = seqpacket_pair().unwrap();
        let boxes = Arc::new(Mailboxes::create(1, 2).unwrap());
        let stage = Stage { boxes, bell: sys::eventfd::new().unwrap(), queue: theirs };
        let front = stage.front(queue);
        (stage, front)
    }

    fn front(&self, queue: OwnedFd) -> Front {
        let apps = AppChannels::new(0);
        let scoreboard = Arc::new(SharedWords::create(2 * SLOT_WORDS).unwrap());
        let mail = Some((self.boxes.clone(), self.bell.try_clone().unwrap()));
        apps.add_app(0, AppDoor { queue, scoreboard, threads: MAILBOXES, mail });
        let app = peer(plan::front::upstream::PeerAddress::App(0));
        let upstreams = Rc::new(upstreams(vec![group(vec![app], 0)], apps.clone()));
        Front { upstreams, apps }
    }

    /// Lets the front work until that worker finds a request.
    async fn claim(&self, birth: u32) -> Claimed {
        loop {
            match self.try_claim(birth) {
                Some(claimed) => return claimed,
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// Lets the front work until so many requests wait in mailboxes.
    async fn until_posted(&self, requests: u32) {
        while self.boxes.posted_count(0) < requests {
            tokio::task::yield_now().await;
        }
    }

    fn try_claim(&self, birth: u32) -> Option<Claimed> {
        let mut room = vec![0; mailbox::REQUEST_BYTES_MAX];
        let claim = self.boxes.claim(0, mailbox::claimant(birth), &mut room)?;
        let frame = decode_request(&room[..claim.bytes]).unwrap();
        Some(Claimed { claim, id: frame.header.id, body: room[frame.body].to_vec() })
    }

    fn reply(&self, claimed: &Claimed, kind: ReplyKind, body: &[u8]) {
        let mut head = Vec::new();
        ReplyHead::begin(&mut head, 200, b"OK");
        let head_bytes = head.len() as u32;
        let header = ReplyHeader { id: claimed.id, kind, flags: FLAG_END, head_bytes }.encode();
        if self.boxes.reply(&claimed.claim, &[&header, &head, body]).unwrap() {
            sys::eventfd::signal(self.bell.as_fd());
        }
    }

    fn is_in_queue(&self) -> bool {
        let room = &mut [0; REQUEST_BYTES_MAX];
        recv_with_fds(self.queue.as_fd(), room, &mut Vec::new(), libc::MSG_DONTWAIT).is_ok()
    }
}

impl Front {
    fn worker(&self, seat: u32, birth: u32) -> OwnedFd {
        let (front, worker) = seqpacket_pair().unwrap();
        self.apps.add_worker(0, seat, birth, front).unwrap();
        worker
    }

    fn call(&self, body: &[u8]) -> JoinHandle<Result<Box<Answer>, CallError>> {
        let (upstreams, body) = (self.upstreams.clone(), memory(body.to_vec().leak()));
        tokio::task::spawn_local(async move { ask(&upstreams, &call(), packet(body)).await })
    }
}

async fn text(call: JoinHandle<Result<Box<Answer>, CallError>>) -> Vec<u8> {
    body(&mut call.await.unwrap().unwrap()).await.unwrap()
}

async fn status(call: JoinHandle<Result<Box<Answer>, CallError>>) -> u16 {
    call.await.unwrap().unwrap_err().status
}

/// Whether the front has said anything to the worker, and that it is to wake up.
fn is_woken(worker: &OwnedFd) -> bool {
    let mut frame = [0; 64];
    match recv_with_fds(worker.as_fd(), &mut frame, &mut Vec::new(), libc::MSG_DONTWAIT) {
        Ok(bytes) => {
            assert_eq!(ReplyHeader::decode(&frame[..bytes]).unwrap().kind, ReplyKind::Wake);
            true
        }
        Err(_) => false,
    }
}

#[test]
fn a_short_request_and_its_answer_go_through_a_mailbox_and_wake_a_front_that_sleeps() {
    run(async {
        let (stage, front) = Stage::new();
        let _worker = front.worker(0, 1);
        let call = front.call(b"question");
        let claimed = stage.claim(1).await;
        assert_eq!(claimed.body, b"question");
        assert!(!stage.is_in_queue());
        // The front sleeps before the answer comes.
        let boxes = stage.boxes.clone();
        let bell = stage.bell.try_clone().unwrap();
        let answering = std::thread::spawn(move || {
            while !boxes.is_front_asleep(0) {
                std::thread::yield_now();
            }
            stage.reply(&claimed, ReplyKind::Head, b"answer");
            drop(bell);
        });
        assert_eq!(text(call).await, b"answer");
        answering.join().unwrap();
    });
}

#[test]
fn nobody_is_woken_for_a_request_that_somebody_has_taken_meanwhile() {
    run(async {
        let (stage, front) = Stage::new();
        let (_first, second) = (front.worker(0, 1), front.worker(1, 2));
        stage.boxes.worker_sleeps(1);
        let call = front.call(b"");
        let claimed = stage.claim(1).await;
        upstream::look();
        assert!(!is_woken(&second));
        stage.reply(&claimed, ReplyKind::Head, b"ok");
        assert_eq!(text(call).await, b"ok");
    });
}

#[test]
fn a_front_that_is_too_busy_to_look_around_wakes_a_worker_after_a_few_requests() {
    run(async {
        let (stage, front) = Stage::new();
        let worker = front.worker(0, 1);
        stage.boxes.worker_sleeps(0);
        let _calls = [0; 3].map(|_| front.call(b""));
        stage.until_posted(3).await;
        assert!(!is_woken(&worker));
        let _call = front.call(b"");
        stage.until_posted(4).await;
        assert!(is_woken(&worker));
    });
}

#[test]
fn a_sleeping_worker_is_woken_once_and_one_that_is_awake_never() {
    run(async {
        let (stage, front) = Stage::new();
        let (first, second) = (front.worker(0, 1), front.worker(1, 2));
        stage.boxes.worker_sleeps(1);
        let calls = [front.call(b""), front.call(b"")];
        stage.until_posted(2).await;
        upstream::look();
        assert_eq!([&first, &second, &second].map(is_woken), [false, true, false]);
        let claimed = [stage.claim(2).await, stage.claim(2).await];
        claimed.iter().for_each(|claimed| stage.reply(claimed, ReplyKind::Head, b"ok"));
        for call in calls {
            assert_eq!(text(call).await, b"ok");
        }
    });
}

#[test]
fn a_request_that_waits_for_a_worker_wakes_the_first_that_comes() {
    run(async {
        let (stage, front) = Stage::new();
        stage.boxes.worker_sleeps(0);
        let call = front.call(b"");
        tokio::task::yield_now().await;
        let worker = front.worker(0, 1);
        assert!(is_woken(&worker));
        stage.reply(&stage.claim(1).await, ReplyKind::Head, b"ok");
        assert_eq!(text(call).await, b"ok");
    });
}

#[test]
fn a_request_whose_client_goes_is_taken_back() {
    run(async {
        let (stage, front) = Stage::new();
        let worker = front.worker(0, 1);
        let call = front.call(b"");
        tokio::task::yield_now().await;
        assert_eq!(stage.boxes.posted_count(0), 1);
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert!(stage.try_claim(1).is_none());
        assert!(!is_woken(&worker));
    });
}

#[test]
fn a_dead_workers_requests_fail_and_what_it_had_answered_counts() {
    run(async {
        let (stage, front) = Stage::new();
        let (dying, _other) = (front.worker(0, 1), front.worker(1, 2));
        let (lost, answered, elsewhere) = (front.call(b""), front.call(b""), front.call(b""));
        let _lost = stage.claim(1).await;
        let had = stage.claim(1).await;
        let alive = stage.claim(2).await;
        stage.reply(&had, ReplyKind::Head, b"in time");
        drop(dying);
        assert_eq!(status(lost).await, 502);
        assert_eq!(text(answered).await, b"in time");
        stage.reply(&alive, ReplyKind::Head, b"alive");
        assert_eq!(text(elsewhere).await, b"alive");
    });
}

#[test]
fn requests_that_nobody_has_taken_outlive_the_worker() {
    run(async {
        let (stage, front) = Stage::new();
        let dying = front.worker(0, 1);
        let other = front.worker(1, 2);
        let call = front.call(b"");
        tokio::task::yield_now().await;
        stage.boxes.worker_sleeps(1);
        drop(dying);
        while !is_woken(&other) {
            tokio::task::yield_now().await;
        }
        stage.reply(&stage.claim(2).await, ReplyKind::Head, b"ok");
        assert_eq!(text(call).await, b"ok");
    });
}

#[test]
fn a_worker_that_takes_a_dead_ones_seat_is_woken_for_what_waits() {
    run(async {
        let (stage, front) = Stage::new();
        let dying = front.worker(0, 1);
        let (lost, waiting) = (front.call(b""), front.call(b""));
        let _lost = stage.claim(1).await;
        drop(dying);
        // The front learns of the death by the new worker's arrival.
        stage.boxes.worker_sleeps(0);
        let next = front.worker(0, 2);
        assert!(is_woken(&next));
        assert_eq!(status(lost).await, 502);
        stage.reply(&stage.claim(2).await, ReplyKind::Head, b"ok");
        assert_eq!(text(waiting).await, b"ok");
    });
}

#[test]
fn nonsense_in_a_mailbox_is_a_502() {
    run(async {
        let (stage, front) = Stage::new();
        let _worker = front.worker(0, 1);
        let call = front.call(b"");
        stage.reply(&stage.claim(1).await, ReplyKind::Data, b"ok");
        assert_eq!(status(call).await, 502);
        let call = front.call(b"");
        let claimed = stage.claim(1).await;
        stage.reply(&Claimed { id: claimed.id + 1, ..claimed }, ReplyKind::Head, b"ok");
        assert_eq!(status(call).await, 502);
    });
}

#[test]
fn what_has_no_room_in_a_mailbox_goes_through_the_queue() {
    run(async {
        let (stage, front) = Stage::new();
        let _worker = front.worker(0, 1);
        let _long = front.call(&[0; mailbox::REQUEST_BYTES_MAX]);
        tokio::task::yield_now().await;
        assert!(stage.is_in_queue());
        let calls: Vec<_> = (0..MAILBOXES).map(|_| front.call(b"")).collect();
        tokio::task::yield_now().await;
        assert!(!stage.is_in_queue());
        let _one_more = front.call(b"");
        tokio::task::yield_now().await;
        assert!(stage.is_in_queue());
        // An answer makes room.
        stage.reply(&stage.claim(1).await, ReplyKind::Head, b"ok");
        assert_eq!(text(calls.into_iter().next().unwrap()).await, b"ok");
        let _next = front.call(b"");
        tokio::task::yield_now().await;
        assert!(!stage.is_in_queue());
    });
}

#[test]
fn an_answer_that_took_the_longer_way_gives_the_mailbox_back() {
    run(async {
        let (stage, front) = Stage::new();
        let _worker = front.worker(0, 1);
        for _ in 0..3 * MAILBOXES {
            let call = front.call(b"");
            let claimed = stage.claim(1).await;
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
            stage.boxes.done(&claimed.claim);
            // As a front thread does between two orders.
            upstream::look();
        }
        assert!(!stage.is_in_queue());
    });
}

#[test]
fn a_front_that_takes_over_gets_no_answers_to_its_predecessors_requests() {
    let (queue, theirs) = seqpacket_pair().unwrap();
    let boxes = Arc::new(Mailboxes::create(1, 2).unwrap());
    let stage = Stage { boxes, bell: sys::eventfd::new().unwrap(), queue: theirs };
    let before = Stage {
        boxes: stage.boxes.clone(),
        bell: stage.bell.try_clone().unwrap(),
        queue: stage.queue.try_clone().unwrap(),
    };
    let (posted, has_posted) = std::sync::mpsc::channel();
    let stops_in_the_middle = || {
        run(async move {
            let front = before.front(queue);
            let _calls = [front.call(b"old"), front.call(b"withdrawn")];
            tokio::task::yield_now().await;
            posted.send(()).unwrap();
            loop {
                std::thread::park();
            }
        });
    };
    std::thread::spawn(stops_in_the_middle);
    has_posted.recv().unwrap();
    run(async {
        let late = stage.claim(1).await;
        assert_eq!(late.body, b"old");
        let (queue, _theirs) = seqpacket_pair().unwrap();
        let front = stage.front(queue);
        let _worker = front.worker(0, 1);
        let call = front.call(b"new");
        tokio::task::yield_now().await;
        stage.reply(&late, ReplyKind::Head, b"wrong");
        let claimed = stage.claim(1).await;
        assert_eq!(claimed.body, b"new");
        assert!(stage.try_claim(1).is_none());
        stage.reply(&claimed, ReplyKind::Head, b"right");
        assert_eq!(text(call).await, b"right");
        // Every mailbox can be used again.
        let calls: Vec<_> = (0..MAILBOXES).map(|_| front.call(b"")).collect();
        while stage.boxes.posted_count(0) < MAILBOXES {
            tokio::task::yield_now().await;
        }
        drop(calls);
    });
}
