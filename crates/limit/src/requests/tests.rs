//! Buckets by example, and by what must hold whatever is asked.

use super::{BUCKETS_PER_MIB, Buckets, Excess, Rule};
use crate::Hash;
use crate::random::Random;

const MINUTE_MS: u64 = 60_000;

fn key(number: u64) -> Hash {
    u128::from(number).to_le_bytes()
}

/// So many requests a second, a burst, and how many of it do not wait.
fn rule(rate: u64, burst: u64, undelayed: u64) -> Rule {
    Rule { rate: rate * 1000, burst: burst * 1000, undelayed: undelayed * 1000 }
}

fn buckets() -> Buckets {
    Buckets::new(1024 * 1024)
}

#[test]
fn the_first_request_and_the_burst_come_in_and_the_next_one_does_not() {
    let (mut buckets, rule) = (buckets(), rule(1, 2, 2));
    assert_eq!(buckets.admit(key(1), &rule, 5000), Ok(0));
    assert_eq!(buckets.admit(key(1), &rule, 5000), Ok(1000));
    assert_eq!(buckets.admit(key(1), &rule, 5010), Ok(1990));
    assert_eq!(buckets.admit(key(1), &rule, 5011), Err(Excess(2989)));
    // What was refused did not fall in.
    assert_eq!(buckets.admit(key(1), &rule, 6000), Ok(2000));
    assert_eq!(buckets.admit(key(2), &rule, 6000), Ok(0));
}

#[test]
fn who_waits_waits_until_what_is_above_the_undelayed_part_has_leaked() {
    let rule = rule(5, 10, 2);
    assert_eq!(rule.wait_ms(0), 0);
    assert_eq!(rule.wait_ms(2000), 0);
    assert_eq!(rule.wait_ms(2001), 0);
    assert_eq!(rule.wait_ms(2725), 145);
    assert_eq!(rule.wait_ms(10_000), 1600);
    let nobody_waits = Rule { undelayed: u64::MAX, ..rule };
    assert_eq!(nobody_waits.wait_ms(10_000), 0);
}

#[test]
fn a_bucket_that_is_only_looked_at_stays_as_it_is() {
    let (mut buckets, rule) = (buckets(), rule(1, 1, 0));
    assert_eq!(buckets.look(key(1), &rule, 0), Ok(0));
    assert_eq!(buckets.pour(key(1), &rule, 0), 0);
    for _ in 0..5 {
        assert_eq!(buckets.look(key(1), &rule, 0), Ok(1000));
    }
    assert_eq!(buckets.pour(key(1), &rule, 0), 1000);
    assert_eq!(buckets.pour(key(1), &rule, 0), 2000);
    assert_eq!(buckets.look(key(1), &rule, 0), Err(Excess(3000)));
}

#[test]
fn a_clock_that_was_read_too_early_neither_leaks_nor_turns_back() {
    let (mut buckets, rule) = (buckets(), rule(10, 9, 9));
    assert_eq!(buckets.admit(key(1), &rule, 1000), Ok(0));
    assert_eq!(buckets.admit(key(1), &rule, 900), Ok(1000));
    assert_eq!(buckets.admit(key(1), &rule, 1000), Ok(2000));
    assert_eq!(buckets.admit(key(1), &rule, 1100), Ok(2000));
}

#[test]
fn the_key_not_seen_for_longest_goes_when_the_zone_is_full() {
    let mut buckets = Buckets::new(1024 * 1024 / BUCKETS_PER_MIB * 3);
    assert_eq!(buckets.entries_max, 2);
    let rule = rule(1, 1, 1);
    for (number, expected) in [(1, Ok(0)), (2, Ok(0)), (1, Ok(1000)), (1, Err(Excess(2000)))] {
        assert_eq!(buckets.admit(key(number), &rule, 0), expected);
    }
    // Refused as he was, 1 was seen after 2.
    assert_eq!(buckets.admit(key(3), &rule, 0), Ok(0));
    assert_eq!(buckets.admit(key(1), &rule, 0), Err(Excess(2000)));
    assert_eq!(buckets.admit(key(2), &rule, 0), Ok(0));
    assert_eq!(buckets.entries.count(), 2);
}

#[test]
fn numbers_of_any_size_neither_overflow_nor_divide_by_zero() {
    let all: [u64; 6] = [0, 1, 999, 1000, u64::MAX / 1000, u64::MAX];
    for number in 0..all.len().pow(3) {
        let of = |place: usize| all[number / all.len().pow(place as u32) % all.len()];
        let (rate, burst, undelayed) = (of(0), of(1), of(2));
        let rule = Rule { rate, burst, undelayed };
        let mut buckets = buckets();
        for now_ms in [0, u64::MAX, 1, u64::MAX] {
            let excess = buckets.pour(key(1), &rule, now_ms);
            rule.wait_ms(excess);
            let _ = buckets.admit(key(1), &rule, now_ms);
        }
    }
}

/// A run of one key: when each request came, and its wait, if it was taken.
fn run(random: &mut Random, rule: &Rule) -> Vec<(u64, Option<u64>)> {
    let mut buckets = buckets();
    let mut now_ms = 10 * MINUTE_MS;
    let pause_ms = 1 + 4000 * 1000 / rule.rate;
    let mut came = Vec::new();
    for _ in 0..300 {
        now_ms += random.below(2) * random.below(pause_ms);
        let excess = buckets.admit(key(1), rule, now_ms).ok();
        came.push((now_ms, excess.map(|excess| rule.wait_ms(excess))));
    }
    came
}

fn any_rule(random: &mut Random) -> Rule {
    let burst = random.below(6) * 1000;
    Rule { rate: 1 + random.below(100_000), burst, undelayed: random.below(7) * 1000 }
}

#[test]
fn in_no_stretch_of_time_more_come_in_than_the_burst_and_what_leaks() {
    let mut random = Random(1);
    for _ in 0..200 {
        let rule = any_rule(&mut random);
        let came = run(&mut random, &rule);
        let taken: Vec<u64> =
            came.iter().filter(|(_, wait)| wait.is_some()).map(|(at_ms, _)| *at_ms).collect();
        assert!(taken.len() >= 2, "{rule:?}");
        for (first, start) in taken.iter().enumerate() {
            for (count, end) in taken[first..].iter().enumerate() {
                let most = rule.burst + 1000 + rule.rate * (end - start) / 1000;
                assert!((count as u64 + 1) * 1000 <= most, "{rule:?} {start} {end}");
            }
        }
    }
}

#[test]
fn waiting_or_not_the_same_requests_are_taken() {
    let mut random = Random(2);
    for seed in 0..200 {
        let rule = any_rule(&mut random);
        let taken = |rule| {
            let came = run(&mut Random(seed), &rule);
            came.into_iter().map(|(_, wait)| wait.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(taken(rule), taken(Rule { undelayed: u64::MAX, ..rule }));
        assert_eq!(taken(rule), taken(Rule { undelayed: 0, ..rule }));
    }
}

#[test]
fn those_who_wait_leave_one_after_the_other_at_the_rate() {
    let mut random = Random(3);
    for _ in 0..200 {
        let rule = Rule { undelayed: 0, ..any_rule(&mut random) };
        let came = run(&mut random, &rule);
        let left: Vec<u64> =
            came.iter().filter_map(|(at_ms, wait)| Some(at_ms + (*wait)?)).collect();
        for pair in left.windows(2) {
            assert!(pair[1] >= pair[0] + 1000 * 1000 / rule.rate, "{rule:?} {pair:?}");
        }
        // Whoever waits waits no longer than the whole burst takes to leak.
        let longest = rule.wait_ms(rule.burst);
        assert!(came.iter().filter_map(|(_, wait)| *wait).all(|wait| wait <= longest));
    }
}

#[test]
fn who_keeps_to_the_rate_never_waits() {
    let mut random = Random(4);
    for _ in 0..200 {
        let rate = 1 + random.below(1000);
        let (mut buckets, rule) = (buckets(), rule(rate, 0, 0));
        let mut now_ms = MINUTE_MS;
        for _ in 0..100 {
            assert_eq!(buckets.admit(key(1), &rule, now_ms), Ok(0));
            now_ms += 1000_u64.div_ceil(rate) + random.below(3);
        }
    }
}

#[test]
fn keys_do_not_know_of_each_other() {
    let mut random = Random(5);
    let rule = rule(20, 3, 1);
    let (mut together, mut alone) = (buckets(), [(); 8].map(|()| buckets()));
    let mut now_ms = 0;
    for _ in 0..5000 {
        now_ms += random.below(20);
        let number = random.below(8);
        let lonely = &mut alone[number as usize];
        let expected = lonely.admit(key(number), &rule, now_ms);
        assert_eq!(together.admit(key(number), &rule, now_ms), expected);
    }
}
