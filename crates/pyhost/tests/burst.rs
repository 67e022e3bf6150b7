//! When answers leave together. The rules stand alone, so that they can be tested without an
//! interpreter; what the kernel does with them is tested in `tests/app/test_bursts.py`.

#[path = "../src/worker/burst.rs"]
mod burst;

use burst::Burst;

const QUICK_NS: u64 = 40_000;
const SLOW_NS: u64 = 5_000_000;

/// A worker whose requests came one behind the other and took so long each.
struct Worker {
    burst: Burst,
    now_ns: u64,
}

impl Worker {
    fn that_served(requests: usize, took_ns: u64) -> Worker {
        let mut worker = Worker { burst: Burst::default(), now_ns: 1_000_000_000 };
        worker.serves(requests, took_ns);
        worker
    }

    fn serves(&mut self, requests: usize, took_ns: u64) {
        for _ in 0..requests {
            self.burst.note(self.now_ns, self.now_ns + took_ns);
            self.now_ns += took_ns;
        }
    }

    fn holds(&mut self, tokens: std::ops::Range<u64>) {
        tokens.for_each(|token| self.burst.hold(token));
    }

    fn leaving(&mut self, others: usize) -> Vec<u64> {
        self.burst.leaving(others).collect()
    }
}

#[test]
fn answers_are_held_only_for_an_app_that_has_been_quick_for_a_while() {
    assert!(!Worker::that_served(10, QUICK_NS).burst.may_hold());
    let mut worker = Worker::that_served(1000, QUICK_NS);
    assert!(worker.burst.may_hold());
    worker.serves(1, SLOW_NS);
    assert!(!worker.burst.may_hold());
}

#[test]
fn answers_are_not_held_for_a_client_that_has_no_time_to_sleep() {
    assert!(!Worker::that_served(1000, 3_000).burst.may_hold());
}

#[test]
fn held_answers_leave_when_nobody_else_waits() {
    let mut worker = Worker::that_served(100, QUICK_NS);
    worker.holds(1..3);
    assert!(worker.leaving(5).is_empty());
    assert_eq!(worker.leaving(0), [1, 2]);
    assert!(worker.burst.is_empty());
}

#[test]
fn held_answers_leave_when_there_are_enough_of_them() {
    let mut worker = Worker::that_served(100, QUICK_NS);
    worker.holds(0..8);
    assert_eq!(worker.leaving(5).len(), 8);
}

#[test]
fn held_answers_leave_after_a_slow_request() {
    let mut worker = Worker::that_served(100, QUICK_NS);
    worker.holds(1..2);
    worker.serves(1, SLOW_NS);
    assert_eq!(worker.leaving(5), [1]);
}

#[test]
fn held_answers_leave_after_a_millisecond() {
    let mut worker = Worker::that_served(100, 250_000);
    worker.holds(1..2);
    worker.serves(3, 250_000);
    assert!(worker.leaving(5).is_empty());
    worker.serves(1, 250_000);
    assert_eq!(worker.leaving(5), [1]);
}
