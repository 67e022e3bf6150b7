//! The `$upstream_*` variables: one value per attempt, joined with commas.

use std::io::Write;
use std::time::Duration;

use plan::Variable;
use upstream::Attempt;

use crate::exchange::UpstreamFacts;
use crate::response::decimal;

/// Appends the variable's value; `None` if it is none of these.
pub fn value(facts: &UpstreamFacts, variable: &Variable, out: &mut Vec<u8>) -> Option<bool> {
    let put: fn(&Attempt, &mut Vec<u8>) = match variable {
        Variable::UpstreamAddr => |attempt, out| out.extend_from_slice(attempt.address.as_bytes()),
        Variable::UpstreamStatus => |attempt, out| match attempt.status {
            0 => out.push(b'-'),
            status => decimal(out, u64::from(status)),
        },
        Variable::UpstreamConnectTime => |attempt, out| time(attempt.connect_time, out),
        Variable::UpstreamHeaderTime => |attempt, out| time(attempt.header_time, out),
        Variable::UpstreamResponseTime => |attempt, out| time(attempt.response_time, out),
        Variable::UpstreamResponseLength => |attempt, out| decimal(out, attempt.response_length),
        Variable::UpstreamBytesReceived => |attempt, out| decimal(out, attempt.bytes_received),
        Variable::UpstreamBytesSent => |attempt, out| decimal(out, attempt.bytes_sent),
        _ => return None,
    };
    for (index, attempt) in facts.trace.attempts().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        put(attempt, out);
    }
    Some(!facts.trace.is_empty())
}

fn time(time: Option<Duration>, out: &mut Vec<u8>) {
    match time {
        Some(time) => {
            let _ = write!(out, "{}.{:03}", time.as_secs(), time.subsec_millis());
        }
        None => out.push(b'-'),
    }
}
