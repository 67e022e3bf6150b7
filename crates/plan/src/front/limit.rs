//! How many requests and connections a key may have: `limit_req` and `limit_conn`.

use serde::{Deserialize, Serialize};

use super::{LimitConnZoneId, LimitReqZoneId, LogLevel};
use crate::Template;

/// `limit_req_zone` or `limit_conn_zone`: where it is counted, key by key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitZone {
    /// Its name.
    pub name: String,
    /// What is counted by; requests for which it is empty do not count.
    pub key: Template,
    /// The key as it was written. A reload keeps what was counted by the same text.
    pub key_text: String,
    /// What it may use of memory.
    pub bytes: u64,
}

/// Limits of one location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsPlan {
    /// `limit_req`.
    pub requests: Option<RequestLimits>,
    /// `limit_conn`.
    pub connections: Option<ConnectionLimits>,
}

/// `limit_req` lines and what becomes of requests that are too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLimits {
    /// The lines, in order.
    pub limits: Vec<RequestLimit>,
    /// `limit_req_status`.
    pub status: u16,
    /// `limit_req_log_level`: of refusals.
    pub refused_level: LogLevel,
    /// One level below: of waits.
    pub delayed_level: LogLevel,
    /// `limit_req_dry_run`: counts and tells, and lets everybody in at once.
    pub dry_run: bool,
}

/// One `limit_req` line. Requests are counted in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLimit {
    /// Where it is counted.
    pub zone: LimitReqZoneId,
    /// The zone's rate a second; at least 1.
    pub rate: u64,
    /// So many above the rate are not refused.
    pub burst: u64,
    /// So many of them do not wait; `u64::MAX` is `nodelay`.
    pub undelayed: u64,
}

/// `limit_conn` lines and what becomes of requests that are too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionLimits {
    /// The lines, in order.
    pub limits: Vec<ConnectionLimit>,
    /// `limit_conn_status`.
    pub status: u16,
    /// `limit_conn_log_level`.
    pub refused_level: LogLevel,
    /// `limit_conn_dry_run`: tells, and lets everybody in.
    pub dry_run: bool,
}

/// One `limit_conn` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionLimit {
    /// Where it is counted.
    pub zone: LimitConnZoneId,
    /// Requests that a key may have under way at once.
    pub max: u16,
}
