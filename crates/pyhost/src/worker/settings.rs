//! The plan's limits, in the units the request path uses.

use plan::app::AppPlan;
use proto::http1::RequestLimits;

/// Limits and facts that every connection of a worker shares.
#[derive(Debug)]
pub struct Settings {
    /// Limits of HTTP request heads.
    pub head: RequestLimits,
    /// Bytes of variables in a uwsgi packet.
    pub packet_bytes_max: usize,
    /// Request body; `None` is unlimited.
    pub body_bytes_max: Option<u64>,
    /// Request body in memory.
    pub body_memory_bytes_max: u64,
    /// Time without progress.
    pub socket_timeout_ms: u64,
    /// Idle time of a kept-alive connection.
    pub keepalive_ms: u64,
    /// SERVER_NAME: the machine's name.
    pub server_name: String,
}

impl Settings {
    /// Derives them.
    pub fn new(plan: &AppPlan) -> Settings {
        let limits = &plan.limits;
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Settings {
            head: RequestLimits::for_app(limits.head_bytes_max as usize),
            packet_bytes_max: limits.head_bytes_max as usize,
            body_bytes_max: limits.body_bytes_max,
            body_memory_bytes_max: limits.body_memory_bytes_max,
            socket_timeout_ms: millis(limits.socket_timeout),
            keepalive_ms: millis(limits.keepalive_timeout),
            server_name: name.trim().to_owned(),
        }
    }
}
