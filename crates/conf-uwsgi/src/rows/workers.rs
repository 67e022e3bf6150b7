//! How many workers, and when they end.

use std::time::Duration;

use crate::draft::Draft;
use crate::row::{Effect, Fault, Row, Takes};
use crate::values;

type NumberEffect = fn(&mut Draft, u64) -> Result<(), Fault>;

const fn number(
    names: &'static [&'static str],
    short: Option<char>,
    doc: &'static str,
    set: NumberEffect,
) -> Row {
    Row { names, short, takes: Takes::Value, doc, effect: Effect::Number(set) }
}

const fn flag(
    names: &'static [&'static str],
    short: Option<char>,
    doc: &'static str,
    set: fn(&mut Draft, bool),
) -> Row {
    Row { names, short, takes: Takes::Nothing, doc, effect: Effect::Flag(set) }
}

/// The rows.
pub const ROWS: &[Row] = &[
    flag(
        &["master"],
        Some('M'),
        "run a master process; there always is one here, apps see the answer",
        |draft, on| draft.plan.master = on,
    ),
    number(
        &["processes", "workers"],
        Some('p'),
        "the number of worker processes",
        |draft, value| {
            draft.plan.processes = count(value)?;
            Ok(())
        },
    ),
    number(&["threads"], None, "request threads in each worker", |draft, value| {
        draft.plan.threads = count(value.max(1))?;
        Ok(())
    }),
    number(
        &["harakiri"],
        Some('t'),
        "seconds one request may take; then its client gets 504, the stacks are logged and the \
         worker is replaced",
        |draft, value| {
            draft.plan.limits.harakiri = some_seconds(value);
            Ok(())
        },
    ),
    number(
        &["max-requests"],
        Some('R'),
        "replace a worker after about so many requests",
        |draft, value| {
            draft.plan.limits.max_requests = (value > 0).then_some(value);
            Ok(())
        },
    ),
    number(
        &["max-worker-lifetime"],
        None,
        "replace a worker after about so many seconds",
        |draft, value| {
            draft.plan.limits.max_worker_lifetime = some_seconds(value);
            Ok(())
        },
    ),
    number(
        &["reload-on-rss"],
        None,
        "replace a worker whose resident memory is above so many MiB once it has finished a request; looked \
         at every second",
        |draft, value| {
            draft.plan.limits.resident_bytes_max = mebibytes(value);
            Ok(())
        },
    ),
    number(&["reload-on-as"], None, "the same for its address space", |draft, value| {
        draft.plan.limits.address_space_bytes_max = mebibytes(value);
        Ok(())
    }),
    number(
        &["worker-reload-mercy"],
        None,
        "seconds the requests in flight get when a worker stops",
        |draft, value| {
            draft.plan.limits.mercy = values::seconds(value);
            Ok(())
        },
    ),
    number(
        &["reload-mercy"],
        None,
        "the same when the whole instance reloads or stops",
        |draft, value| {
            draft.plan.limits.reload_mercy = some_seconds(value);
            Ok(())
        },
    ),
    number(&["max-fd"], None, "the limit of open files of each process", |draft, value| {
        draft.plan.limits.descriptors_max = (value > 0).then_some(value);
        Ok(())
    }),
];

fn some_seconds(value: u64) -> Option<Duration> {
    (value > 0).then(|| values::seconds(value))
}

/// Zero is no limit.
fn mebibytes(value: u64) -> Option<u64> {
    (value > 0).then(|| value.saturating_mul(1 << 20))
}

/// More than this many processes or threads is surely a slip.
const COUNT_MAX: u64 = 65_535;

fn count(value: u64) -> Result<u32, Fault> {
    if value > COUNT_MAX {
        return Err(Fault::fatal(
            format!("more than {COUNT_MAX}: {value}"),
            "write a smaller number",
        ));
    }
    Ok(value as u32)
}
