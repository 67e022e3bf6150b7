//! Zones over reloads, and several limits together.

use std::sync::Arc;

use ::limit::{Hash, Taken};
use plan::front::limit::RequestLimit;
use plan::front::{FrontPlan, LimitReqZoneId, LimitZone};

use super::{Held, Judged, Zones, judge};

const KEY: Hash = [7; 16];

fn zone(name: &str, key: &str, bytes: u64) -> LimitZone {
    let key_text = key.to_owned();
    LimitZone {
        name: name.to_owned(),
        key: plan::Template::text(key_text.clone()),
        key_text,
        bytes,
    }
}

fn plan(zones: &[LimitZone]) -> FrontPlan {
    FrontPlan {
        limit_req_zones: zones.to_vec(),
        limit_conn_zones: zones.to_vec(),
        ..FrontPlan::default()
    }
}

fn limit(zone: u32, rate: u64, burst: u64, undelayed: u64) -> RequestLimit {
    RequestLimit { zone: LimitReqZoneId(zone), rate, burst, undelayed }
}

#[test]
fn a_zone_goes_on_over_a_reload_unless_its_name_key_or_size_changes() {
    let first = Zones::new(&plan(&[zone("a", "k", 1), zone("b", "k", 1), zone("c", "k", 1)]), None);
    let now = [zone("c", "k", 1), zone("a", "other", 1), zone("b", "k", 2), zone("d", "k", 1)];
    let second = Zones::new(&plan(&now), Some(&first));
    let same = |one: usize, other: usize| {
        let requests = Arc::ptr_eq(&first.requests[one].1, &second.requests[other].1);
        let connections = Arc::ptr_eq(&first.connections[one].1, &second.connections[other].1);
        assert_eq!(requests, connections);
        requests
    };
    assert!(same(2, 0));
    assert!(!same(0, 1));
    assert!(!same(1, 2));
    let third = Zones::new(&plan(&[zone("c", "k", 1)]), Some(&second));
    assert!(Arc::ptr_eq(&first.requests[2].1, &third.requests[0].1));
}

#[test]
fn a_count_goes_back_where_it_was_taken_when_its_holder_goes() {
    let zones = Zones::new(&plan(&[zone("a", "k", 1)]), None);
    let state = &zones.connections[0].1;
    assert_eq!(state.lock().take(KEY, 1), Taken::Yes);
    let held = Held { zone: state.clone(), key: KEY };
    let reloaded = Zones::new(&plan(&[zone("a", "k", 1)]), Some(&zones));
    assert_eq!(reloaded.connections[0].1.lock().take(KEY, 1), Taken::TooMany);
    drop(held);
    assert_eq!(reloaded.connections[0].1.lock().take(KEY, 1), Taken::Yes);
}

#[test]
fn a_request_that_one_limit_refuses_falls_into_no_bucket() {
    let zones = Zones::new(&plan(&[zone("a", "k", 1), zone("b", "k", 1)]), None);
    let limits = [limit(0, 1000, 5000, u64::MAX), limit(1, 1000, 0, u64::MAX)];
    let both = [(0, KEY), (1, KEY)];
    let judged = |met: &[_]| judge(met, &limits, &zones.requests, 1000).unwrap();
    let Judged { refused: false, wait_ms: 0, .. } = judged(&both) else { panic!("refused") };
    for _ in 0..3 {
        let Judged { refused: true, line: 1, excess: 1000, .. } = judged(&both) else {
            panic!("not refused")
        };
    }
    let Judged { refused: false, excess: 1000, .. } = judged(&both[..1]) else {
        panic!("what was refused has fallen in")
    };
    assert!(judge(&[], &limits, &zones.requests, 1000).is_none());
}

#[test]
fn the_longest_wait_counts_wherever_it_stands() {
    let zones = Zones::new(&plan(&[zone("a", "k", 1), zone("b", "k", 1)]), None);
    let slow_first = [limit(0, 1000, 5000, 0), limit(1, 10_000, 5000, 0)];
    let met = [(0, KEY), (1, KEY)];
    let wait = |limits: &[RequestLimit]| {
        let judged = judge(&met, limits, &zones.requests, 1000).unwrap();
        (judged.wait_ms, judged.line)
    };
    assert_eq!(wait(&slow_first), (0, 1));
    assert_eq!(wait(&slow_first), (1000, 0));
    let slow_last = [limit(1, 10_000, 5000, 0), limit(0, 1000, 5000, 0)];
    assert_eq!(wait(&slow_last), (2000, 1));
}
