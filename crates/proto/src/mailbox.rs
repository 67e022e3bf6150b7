//! Mailboxes: requests and answers in memory that our front and our workers share.
//!
//! ```text
//!  front thread = one lane of 64 mailboxes           workers
//!
//!      post ──► posted ──────── claim (compare and swap, names the worker) ──► claimed
//!       ▲         │ withdraw                                                    │    │
//!       │         ▼                                                       reply │    │ done
//!      free ◄─────┴─────────── free ◄── collect ◄── replied, or done ◄──────────┴────┘
//! ```
//!
//! A request and its answer cost no system call as long as both sides are awake. Who goes to
//! sleep says so here first, and then looks once more; who leaves something for a sleeper wakes
//! it, a worker by a frame on its reply socket, a front thread by its bell (an eventfd). What does
//! not fit goes over the sockets of [`crate::channel`], and so does all that has a descriptor
//! beside it; requests and replies look the same there.
//!
//! The state of a mailbox is one word, so that it is right whenever a process dies: claimed
//! mailboxes name the worker, whose end the front sees on its reply socket. The bit maps of a lane
//! are only hints; a bit that was set or cleared too late is put right by whoever finds it. The
//! front believes nothing that it reads here: what makes no sense is an answer that did not come.
//!
//! Memory: one line (64 bytes) with the numbers of lanes and seats; a line per seat; per lane
//! four lines and its mailboxes.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use sys::memory::SharedWords;

/// Mailboxes of a lane: one for each bit of a word.
pub const MAILBOXES: u32 = 64;
/// Longest request in a mailbox, as it would be in a datagram.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024;
/// Longest reply in a mailbox, as it would be in a frame.
pub const REPLY_BYTES_MAX: usize = 12 * 1024;

/// Words of a cache line.
const LINE: usize = 8;
/// Words of a lane before its mailboxes.
const LANE_HEAD: usize = 4 * LINE;
/// Words of a mailbox: a line for state and lengths, the request, the reply. An odd number of
/// lines, so that neighbours do not meet in the same sets of a cache.
const MAILBOX: usize = LINE + REQUEST_BYTES_MAX / 8 + REPLY_BYTES_MAX / 8;
/// Where in a mailbox the request is, and the reply.
const REQUEST: usize = LINE;
const REPLY: usize = REQUEST + REQUEST_BYTES_MAX / 8;
const LANE: usize = LANE_HEAD + MAILBOXES as usize * MAILBOX;

const TAG_BITS: u32 = 3;
const CLAIMANT_BITS: u32 = 24;
const FREE: u64 = 0;
const POSTED: u64 = 1;
const CLAIMED: u64 = 2;
const REPLIED: u64 = 3;
const DONE: u64 = 4;

/// The mailboxes of an app.
#[derive(Debug)]
pub struct Mailboxes {
    words: SharedWords,
    lanes: u32,
    seats: u32,
}

/// What the front finds in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that it has to wait for.
    Free,
    /// The request that nobody has taken yet.
    Posted,
    /// A worker has it.
    Claimed {
        /// Which ([`claimant`]).
        claimant: u32,
    },
    /// The reply to the request of that ticket ([`Mailboxes::read_reply`]).
    Replied,
    /// The worker is done with the request of that ticket; if there was an answer, it came
    /// another way.
    Done,
}

/// A request that a worker has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The front thread that waits.
    pub lane: u32,
    /// Bytes of the request.
    pub bytes: usize,
    mailbox: u32,
    state: u64,
}

/// A worker's number, counted by the master from its first one, as mailboxes name it.
pub fn claimant(birth: u32) -> u32 {
    birth & ((1 << CLAIMANT_BITS) - 1)
}

/// The word of state: what, by whom, and the request's ticket, cut to 37 bits, which come round
/// after so many requests that none is met twice.
fn state(tag: u64, claimant: u32, ticket: u64) -> u64 {
    tag | u64::from(claimant) << TAG_BITS | ticket << (TAG_BITS + CLAIMANT_BITS)
}

fn tag(state: u64) -> u64 {
    state & ((1 << TAG_BITS) - 1)
}

fn has_ticket(found: u64, ticket: u64) -> bool {
    found >> (TAG_BITS + CLAIMANT_BITS) == state(0, 0, ticket) >> (TAG_BITS + CLAIMANT_BITS)
}

impl Mailboxes {
    /// Makes them: a lane for each front thread, a seat for each worker.
    ///
    /// # Errors
    /// Out of memory or descriptors; no lane.
    pub fn create(lanes: u32, seats: u32) -> io::Result<Mailboxes> {
        let words = size(u64::from(lanes), u64::from(seats)).ok_or(io::ErrorKind::InvalidInput)?;
        let words = SharedWords::create(words)?;
        words.at(0).store(u64::from(lanes), Ordering::Relaxed);
        words.at(1).store(u64::from(seats), Ordering::Relaxed);
        Ok(Mailboxes { words, lanes, seats })
    }

    /// Maps those that another process made.
    ///
    /// # Errors
    /// The memory is not what its first line says.
    pub fn map(fd: OwnedFd) -> io::Result<Mailboxes> {
        let words = SharedWords::map_all(fd)?;
        let number = |index: usize| words.at(index).load(Ordering::Relaxed);
        if words.len() < LINE || size(number(0), number(1)) != Some(words.len()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (lanes, seats) = (number(0) as u32, number(1) as u32);
        Ok(Mailboxes { words, lanes, seats })
    }

    /// The descriptor, for handing it to another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.words.fd()
    }

    /// How many lanes there are.
    pub fn lanes(&self) -> u32 {
        self.lanes
    }

    fn seat(&self, seat: u32) -> Option<&AtomicU64> {
        (seat < self.seats).then(|| self.words.at(LINE + seat as usize * LINE))
    }

    fn lane(&self, lane: u32) -> usize {
        LINE + self.seats as usize * LINE + lane as usize * LANE
    }

    /// Bits of mailboxes with a request that nobody has taken.
    fn posted(&self, lane: u32) -> &AtomicU64 {
        self.words.at(self.lane(lane))
    }

    /// Bits of mailboxes that the front has to look into.
    fn told(&self, lane: u32) -> &AtomicU64 {
        self.words.at(self.lane(lane) + LINE)
    }

    /// Not zero while the front thread sleeps.
    fn sleeps(&self, lane: u32) -> &AtomicU64 {
        self.words.at(self.lane(lane) + 2 * LINE)
    }

    /// Behind the mailbox that was claimed last: the oldest request is the next one from there.
    fn next(&self, lane: u32) -> &AtomicU64 {
        self.words.at(self.lane(lane) + 3 * LINE)
    }

    fn mailbox(&self, lane: u32, mailbox: u32) -> usize {
        self.lane(lane) + LANE_HEAD + (mailbox % MAILBOXES) as usize * MAILBOX
    }

    fn state(&self, lane: u32, mailbox: u32) -> &AtomicU64 {
        self.words.at(self.mailbox(lane, mailbox))
    }

    /// Copies the parts one behind the other to the word `at`, and their length to the word
    /// `length`; false if they have no room.
    fn gather(&self, length: usize, at: usize, bytes_max: usize, parts: &[&[u8]]) -> bool {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > bytes_max {
            return false;
        }
        let mut to = at * 8;
        for part in parts {
            self.words.copy_in(to, part);
            to += part.len();
        }
        self.words.at(length).store(bytes as u64, Ordering::Relaxed);
        true
    }
}

/// The front thread's side. A lane has one owner at a time.
impl Mailboxes {
    /// Puts a request made of `parts` into a free mailbox; false if they are longer than
    /// [`REQUEST_BYTES_MAX`] together.
    pub fn post(&self, lane: u32, mailbox: u32, ticket: u64, parts: &[&[u8]]) -> bool {
        let at = self.mailbox(lane, mailbox);
        if !self.gather(at + 1, at + REQUEST, REQUEST_BYTES_MAX, parts) {
            return false;
        }
        self.words.at(at).store(state(POSTED, 0, ticket), Ordering::Release);
        self.posted(lane).fetch_or(1 << mailbox, Ordering::SeqCst);
        true
    }

    /// Takes a request back; false if a worker has it.
    pub fn withdraw(&self, lane: u32, mailbox: u32, ticket: u64) -> bool {
        let posted = state(POSTED, 0, ticket);
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let withdrawn =
            self.state(lane, mailbox).compare_exchange(posted, FREE, success, failure).is_ok();
        if withdrawn {
            self.posted(lane).fetch_and(!(1 << mailbox), Ordering::SeqCst);
        }
        withdrawn
    }

    /// How many requests nobody has taken.
    pub fn posted_count(&self, lane: u32) -> u32 {
        self.posted(lane).load(Ordering::SeqCst).count_ones()
    }

    /// Whether the worker of that seat sleeps and is now to be woken by the caller.
    pub fn must_wake(&self, seat: u32) -> bool {
        self.seat(seat).is_some_and(take_sleeper)
    }

    /// The front thread is about to sleep: it must look once more ([`Mailboxes::has_news`]).
    pub fn front_sleeps(&self, lane: u32) {
        self.sleeps(lane).swap(1, Ordering::SeqCst);
    }

    /// The front thread is awake.
    pub fn front_is_awake(&self, lane: u32) {
        self.sleeps(lane).store(0, Ordering::Relaxed);
    }

    /// Whether a mailbox has something for the front thread.
    pub fn has_news(&self, lane: u32) -> bool {
        self.told(lane).load(Ordering::SeqCst) != 0
    }

    /// Bits of the mailboxes that have something; they are not told again.
    pub fn take_news(&self, lane: u32) -> u64 {
        if self.has_news(lane) { self.told(lane).swap(0, Ordering::SeqCst) } else { 0 }
    }

    /// What there is in a mailbox. A reply to another ticket counts as nothing.
    pub fn look(&self, lane: u32, mailbox: u32, ticket: u64) -> Found {
        let found = self.state(lane, mailbox).load(Ordering::Acquire);
        match tag(found) {
            POSTED => Found::Posted,
            CLAIMED => Found::Claimed { claimant: claimant((found >> TAG_BITS) as u32) },
            REPLIED if has_ticket(found, ticket) => Found::Replied,
            DONE if has_ticket(found, ticket) => Found::Done,
            _ => Found::Free,
        }
    }

    /// The reply in a mailbox where there is one; `None` if its length makes no sense.
    pub fn read_reply(&self, lane: u32, mailbox: u32) -> Option<Vec<u8>> {
        let at = self.mailbox(lane, mailbox);
        let bytes = usize::try_from(self.words.at(at + 2).load(Ordering::Relaxed)).ok()?;
        (bytes <= REPLY_BYTES_MAX).then(|| self.words.copied_out((at + REPLY) * 8, bytes))
    }

    /// The mailbox is free for the next request.
    pub fn free(&self, lane: u32, mailbox: u32) {
        self.state(lane, mailbox).store(FREE, Ordering::Release);
    }

    /// A new front takes a lane over: what the one before had posted is withdrawn. Bits of the
    /// mailboxes that workers are still busy with; they say when they are done.
    pub fn adopt(&self, lane: u32) -> u64 {
        let mut busy = 0;
        for mailbox in 0..MAILBOXES {
            let word = self.state(lane, mailbox);
            let found = word.load(Ordering::Acquire);
            let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
            let stays = tag(found) == CLAIMED
                || word.compare_exchange(found, FREE, success, failure).is_err();
            busy |= u64::from(stays) << mailbox;
        }
        busy
    }
}

/// The worker's side.
impl Mailboxes {
    /// Takes a request and copies it to the start of `room`, which has at least
    /// [`REQUEST_BYTES_MAX`]. `lane` is where to look first.
    pub fn claim(&self, lane: u32, claimant: u32, room: &mut [u8]) -> Option<Claim> {
        (0..self.lanes)
            .map(|offset| (lane + offset) % self.lanes)
            .find_map(|lane| self.claim_in(lane, claimant, room))
    }

    fn claim_in(&self, lane: u32, claimant: u32, room: &mut [u8]) -> Option<Claim> {
        let posted = self.posted(lane);
        let mut left = posted.load(Ordering::SeqCst);
        while left != 0 {
            let next = (self.next(lane).load(Ordering::Relaxed) % u64::from(MAILBOXES)) as u32;
            let mailbox = (next + left.rotate_right(next).trailing_zeros()) % MAILBOXES;
            let bit = 1 << mailbox;
            let word = self.state(lane, mailbox);
            let found = word.load(Ordering::Acquire);
            let ticket = found >> (TAG_BITS + CLAIMANT_BITS);
            let ours = state(CLAIMED, claimant, ticket);
            if tag(found) != POSTED {
                // Somebody died between taking and clearing, or is about to clear.
                posted.fetch_and(!bit, Ordering::SeqCst);
                if tag(word.load(Ordering::SeqCst)) == POSTED {
                    posted.fetch_or(bit, Ordering::SeqCst);
                    continue;
                }
            } else if word
                .compare_exchange(found, ours, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
            {
                posted.fetch_and(!bit, Ordering::SeqCst);
                self.next(lane).store(u64::from(mailbox) + 1, Ordering::Relaxed);
                let at = self.mailbox(lane, mailbox);
                let bytes = self.words.at(at + 1).load(Ordering::Relaxed) as usize;
                let claim = Claim { lane, bytes, mailbox, state: ours };
                match room.get_mut(..bytes).filter(|_| bytes <= REQUEST_BYTES_MAX) {
                    Some(room) => self.words.copy_out((at + REQUEST) * 8, room),
                    None => return Some(Claim { bytes: 0, ..claim }),
                }
                return Some(claim);
            }
            left &= !bit;
        }
        None
    }

    /// Whether the front thread sleeps.
    pub fn is_front_asleep(&self, lane: u32) -> bool {
        self.sleeps(lane).load(Ordering::SeqCst) != 0
    }

    /// Leaves the reply made of `parts`; `None` if they are longer than [`REPLY_BYTES_MAX`]
    /// together. Whether the front thread sleeps and is now to be woken by the caller.
    pub fn reply(&self, claim: &Claim, parts: &[&[u8]]) -> Option<bool> {
        let at = self.mailbox(claim.lane, claim.mailbox);
        if !self.gather(at + 2, at + REPLY, REPLY_BYTES_MAX, parts) {
            return None;
        }
        self.tell(claim, REPLIED);
        Some(take_sleeper(self.sleeps(claim.lane)))
    }

    /// The worker is done with a request without leaving a reply; that is no news that anybody
    /// waits for.
    pub fn done(&self, claim: &Claim) {
        self.tell(claim, DONE);
    }

    fn tell(&self, claim: &Claim, tag: u64) {
        // Nobody else changes a mailbox that is claimed.
        let word = self.state(claim.lane, claim.mailbox);
        word.store(claim.state - CLAIMED + tag, Ordering::Release);
        self.told(claim.lane).fetch_or(1 << claim.mailbox, Ordering::SeqCst);
    }

    /// The worker of that seat is about to sleep: it must look once more (a claim).
    pub fn worker_sleeps(&self, seat: u32) {
        if let Some(sleeps) = self.seat(seat) {
            sleeps.swap(1, Ordering::SeqCst);
        }
    }

    /// The worker is awake. False if somebody has taken it upon himself to wake it: a frame
    /// that says so comes, or has come.
    pub fn worker_is_awake(&self, seat: u32) -> bool {
        self.seat(seat).is_none_or(take_sleeper)
    }
}

/// Whether somebody slept; it does not count as asleep any more, and the caller sees to it that
/// it wakes.
fn take_sleeper(sleeps: &AtomicU64) -> bool {
    sleeps.load(Ordering::SeqCst) != 0 && sleeps.swap(0, Ordering::SeqCst) != 0
}

/// Words of all of it; `None` if the numbers are out of all proportion.
fn size(lanes: u64, seats: u64) -> Option<usize> {
    let lanes = usize::try_from(lanes).ok().filter(|lanes| (1..=1024).contains(lanes))?;
    let seats = usize::try_from(seats).ok().filter(|seats| *seats <= 1 << 20)?;
    Some(LINE + seats * LINE + lanes * LANE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn boxes() -> Mailboxes {
        Mailboxes::create(2, 3).unwrap()
    }

    fn room() -> Vec<u8> {
        vec![0; REQUEST_BYTES_MAX]
    }

    #[test]
    fn a_request_is_claimed_once_and_its_reply_comes_back() {
        let ours = boxes();
        let theirs = Mailboxes::map(ours.fd().try_clone_to_owned().unwrap()).unwrap();
        assert!(ours.post(1, 63, 7, &[b"GET ", b"/"]));
        assert_eq!(ours.look(1, 63, 7), Found::Posted);
        let mut room = room();
        let claim = theirs.claim(0, 5, &mut room).unwrap();
        assert_eq!((claim.lane, &room[..claim.bytes]), (1, b"GET /".as_slice()));
        assert_eq!(theirs.claim(0, 6, &mut room), None);
        assert_eq!(ours.look(1, 63, 7), Found::Claimed { claimant: 5 });
        assert!(!ours.withdraw(1, 63, 7));
        assert_eq!(theirs.reply(&claim, &[b"200", b" OK"]), Some(false));
        assert_eq!(ours.take_news(1), 1 << 63);
        assert_eq!(ours.take_news(1), 0);
        assert_eq!(ours.look(1, 63, 7), Found::Replied);
        assert_eq!(ours.look(1, 63, 8), Found::Free);
        assert_eq!(ours.read_reply(1, 63).unwrap(), b"200 OK");
        ours.free(1, 63);
        assert_eq!(ours.look(1, 63, 7), Found::Free);
    }

    #[test]
    fn requests_are_claimed_in_the_order_in_which_they_were_posted_round_the_end() {
        let boxes = boxes();
        let mut room = room();
        for mailbox in [61, 62, 63, 0, 1] {
            boxes.post(0, mailbox, u64::from(mailbox), &[&[mailbox as u8]]);
            if mailbox == 61 {
                assert!(boxes.claim(0, 1, &mut room).is_some());
            }
        }
        let order: Vec<u8> = std::iter::from_fn(|| {
            let claim = boxes.claim(0, 1, &mut room)?;
            Some(room[..claim.bytes][0])
        })
        .collect();
        assert_eq!(order, [62, 63, 0, 1]);
    }

    #[test]
    fn what_is_withdrawn_is_not_claimed_and_what_is_too_long_is_not_taken() {
        let boxes = boxes();
        assert!(boxes.post(0, 3, 1, &[b"x"]));
        assert!(boxes.withdraw(0, 3, 1));
        assert_eq!(boxes.posted_count(0), 0);
        assert_eq!(boxes.claim(0, 1, &mut room()), None);
        assert!(!boxes.post(0, 3, 2, &[&vec![0; REQUEST_BYTES_MAX], b"x"]));
        assert!(boxes.post(0, 3, 2, &[&vec![0; REQUEST_BYTES_MAX]]));
        let claim = boxes.claim(0, 1, &mut room()).unwrap();
        assert_eq!(boxes.reply(&claim, &[&vec![0; REPLY_BYTES_MAX + 1]]), None);
        boxes.done(&claim);
        assert_eq!((boxes.take_news(0), boxes.look(0, 3, 2)), (1 << 3, Found::Done));
    }

    #[test]
    fn who_sleeps_is_woken_by_one_and_knows_that_it_will_be() {
        let boxes = boxes();
        boxes.worker_sleeps(2);
        assert!(!boxes.must_wake(1));
        assert!(boxes.must_wake(2));
        assert!(!boxes.must_wake(2));
        assert!(!boxes.worker_is_awake(2));
        boxes.worker_sleeps(2);
        assert!(boxes.worker_is_awake(2));
        assert!(!boxes.must_wake(2));
        boxes.front_sleeps(0);
        boxes.post(0, 0, 1, &[]);
        let claim = boxes.claim(0, 1, &mut room()).unwrap();
        assert_eq!(boxes.reply(&claim, &[]), Some(true));
    }

    #[test]
    fn a_bit_that_a_dead_worker_left_hides_nothing() {
        let boxes = boxes();
        // Taken and not cleared; then the bit of a request that is there was cleared too late.
        boxes.post(0, 0, 1, &[b"a"]);
        boxes.state(0, 0).store(state(CLAIMED, 9, 1), Ordering::SeqCst);
        assert_eq!(boxes.claim(0, 1, &mut room()), None);
        assert_eq!(boxes.posted_count(0), 0);
        assert_eq!(boxes.look(0, 0, 1), Found::Claimed { claimant: 9 });
    }

    #[test]
    fn a_new_front_waits_for_what_workers_have_and_withdraws_the_rest() {
        let boxes = boxes();
        for mailbox in 0..4 {
            boxes.post(0, mailbox, 1, &[]);
        }
        let first = boxes.claim(0, 1, &mut room()).unwrap();
        let second = boxes.claim(0, 1, &mut room()).unwrap();
        boxes.done(&second);
        assert_eq!(boxes.adopt(0), 1 << first.mailbox);
        assert_eq!(boxes.claim(0, 1, &mut room()), None);
    }

    #[test]
    fn memory_that_says_nonsense_is_not_mapped_and_lengths_are_not_believed() {
        let words = SharedWords::create(64).unwrap();
        words.at(0).store(1, Ordering::Relaxed);
        assert!(Mailboxes::map(words.fd().try_clone_to_owned().unwrap()).is_err());
        let boxes = boxes();
        boxes.post(0, 0, 1, &[b"a"]);
        let at = boxes.mailbox(0, 0);
        boxes.words.at(at + 1).store(u64::MAX, Ordering::Relaxed);
        let claim = boxes.claim(0, 1, &mut room()).unwrap();
        assert_eq!(claim.bytes, 0);
        boxes.words.at(at + 2).store(u64::MAX, Ordering::Relaxed);
        assert_eq!(boxes.read_reply(0, 0), None);
    }

    #[test]
    fn no_request_is_lost_or_taken_twice_between_threads() {
        const REQUESTS: u64 = 20_000;
        let boxes = Arc::new(boxes());
        let workers: Vec<_> = (0..2u32)
            .map(|number| {
                let boxes = boxes.clone();
                thread::spawn(move || {
                    let mut room = room();
                    let mut served = 0;
                    loop {
                        let Some(claim) = boxes.claim(number, number, &mut room) else {
                            thread::yield_now();
                            continue;
                        };
                        if claim.bytes == 0 {
                            boxes.done(&claim);
                            return served;
                        }
                        served += 1;
                        let request: [u8; 8] = room[..8].try_into().unwrap();
                        boxes.reply(&claim, &[&(!u64::from_le_bytes(request)).to_le_bytes()]);
                    }
                })
            })
            .collect();
        let (mut posted, mut answered, mut used) = (0u64, 0, 0u64);
        let mut expected = [0; MAILBOXES as usize];
        while answered < REQUESTS {
            if posted < REQUESTS && used != u64::MAX {
                let mailbox = used.trailing_ones();
                posted += 1;
                expected[mailbox as usize] = posted;
                used |= 1 << mailbox;
                assert!(boxes.post(0, mailbox, posted, &[&posted.to_le_bytes()]));
            }
            let mut news = boxes.take_news(0);
            while news != 0 {
                let mailbox = news.trailing_zeros();
                news &= news - 1;
                let ticket = expected[mailbox as usize];
                assert_eq!(boxes.look(0, mailbox, ticket), Found::Replied);
                assert_eq!(boxes.read_reply(0, mailbox).unwrap(), (!ticket).to_le_bytes());
                boxes.free(0, mailbox);
                used &= !(1 << mailbox);
                answered += 1;
            }
        }
        boxes.post(0, 0, 1, &[]);
        boxes.post(0, 1, 1, &[]);
        let served: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
        assert_eq!(served, REQUESTS);
    }
}
