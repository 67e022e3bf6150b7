//! How many requests and connections a key may have.

use plan::front::{LimitZone, LogLevel};

use crate::level::{ConnectionLimitDraft, Level, RequestLimitDraft};
use crate::row::{ALL_LEVELS, Args, Fault, HTTP, ONE, Outcome, Row, TWO, level};
use crate::value;
use crate::walk::Call;

const ONE_TO_THREE: Args = Args { min: 1, max: 3 };
const THREE: Args = Args { min: 3, max: 3 };

/// Least size of a zone: eight pages, as with nginx.
const ZONE_BYTES_MIN: u64 = 8 * 4096;
/// One request, in the unit that rates and bursts have in the plan.
const ONE_REQUEST: u64 = 1000;
/// Statuses of refusals.
const STATUSES: (u64, u64) = (400, 599);
const REQUEST_ZONE: &str =
    "for example `limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;`";
const CONNECTION_ZONE: &str = "for example `limit_conn_zone $binary_remote_addr zone=addr:10m;`";

/// The rows.
pub const ROWS: &[Row] = &[
    level("limit_req_zone", HTTP, THREE, "where requests are counted, and their rate", req_zone),
    level("limit_req", ALL_LEVELS, ONE_TO_THREE, "requests a key may have, at a zone's rate", req),
    level("limit_req_status", ALL_LEVELS, ONE, "status of refused requests", |level, call| {
        status(&mut level.limits.requests_status, call)
    }),
    level("limit_req_log_level", ALL_LEVELS, ONE, "level of refusals", |level, call| {
        call.choice(&mut level.limits.requests_log_level, &LEVELS)
    }),
    level("limit_req_dry_run", ALL_LEVELS, ONE, "counts, but refuses nobody", |level, call| {
        call.flag(&mut level.limits.requests_dry_run)
    }),
    level("limit_conn_zone", HTTP, TWO, "where connections are counted", conn_zone),
    level("limit_conn", ALL_LEVELS, TWO, "requests a key may have under way", conn),
    level("limit_conn_status", ALL_LEVELS, ONE, "status of refused requests", |level, call| {
        status(&mut level.limits.connections_status, call)
    }),
    level("limit_conn_log_level", ALL_LEVELS, ONE, "level of refusals", |level, call| {
        call.choice(&mut level.limits.connections_log_level, &LEVELS)
    }),
    level("limit_conn_dry_run", ALL_LEVELS, ONE, "counts, but refuses nobody", |level, call| {
        call.flag(&mut level.limits.connections_dry_run)
    }),
];

const LEVELS: [(&str, LogLevel); 4] = [
    ("info", LogLevel::Info),
    ("notice", LogLevel::Notice),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
];

fn status(slot: &mut Option<u16>, call: &mut Call<'_, '_>) -> Outcome {
    if slot.is_some() {
        return Err(Fault::Directive("is duplicate"));
    }
    let status = call.between(STATUSES.0, STATUSES.1)?;
    call.once(slot, status as u16)
}

fn req_zone(_: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let mut zone = None;
    let mut rate = None;
    for number in 1..call.args().len() {
        let word = call.arg(number);
        match word.split_once('=') {
            Some(("zone", text)) => zone = Some(zone_size(word, text, number)?),
            Some(("rate", text)) => {
                let message = || format!("invalid rate \"{word}\"");
                let hint = "whole requests per second or minute: `rate=10r/s` or `rate=30r/m`";
                let invalid = || Fault::Hinted(number + 1, message(), hint.to_owned());
                rate = Some(thousandths_a_second(text).ok_or_else(invalid)?);
            }
            _ => return Err(bad_parameter(number, word, REQUEST_ZONE)),
        }
    }
    let zone = declared(zone, REQUEST_ZONE, call)?;
    let Some(rate) = rate else {
        let message = "\"limit_req_zone\" must have \"rate\" parameter".to_owned();
        return Err(Fault::Hinted(0, message, REQUEST_ZONE.to_owned()));
    };
    call.run.limit_req_zones.push((zone, rate));
    Ok(())
}

fn conn_zone(_: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let word = call.arg(1);
    let Some(("zone", text)) = word.split_once('=') else {
        return Err(bad_parameter(1, word, CONNECTION_ZONE));
    };
    let zone = Some(zone_size(word, text, 1)?);
    let zone = declared(zone, CONNECTION_ZONE, call)?;
    call.run.limit_conn_zones.push(zone);
    Ok(())
}

/// `one:10m`: name and size.
fn zone_size<'c>(word: &str, text: &'c str, number: usize) -> Result<(&'c str, u64), Fault> {
    let invalid = || {
        let message = format!("invalid zone size \"{word}\"");
        Fault::Hinted(number + 1, message, "a name and a size: `zone=one:10m`".to_owned())
    };
    let (name, size) = text.split_once(':').ok_or_else(invalid)?;
    let bytes = value::size(size).ok_or_else(invalid)?;
    if bytes < ZONE_BYTES_MIN {
        let message = format!("zone \"{word}\" is too small");
        return Err(Fault::Hinted(number + 1, message, "32k is the least".to_owned()));
    }
    Ok((name, bytes))
}

/// A zone that no directive before has declared.
fn declared(
    zone: Option<(&str, u64)>,
    example: &str,
    call: &mut Call<'_, '_>,
) -> Result<LimitZone, Fault> {
    let directive = call.directive.name();
    let Some((name, bytes)) = zone.filter(|(name, _)| !name.is_empty()) else {
        let message = format!("\"{directive}\" must have \"zone\" parameter");
        return Err(Fault::Hinted(0, message, example.to_owned()));
    };
    let key = call.template(0)?;
    let run = &call.run;
    let mut requests = run.limit_req_zones.iter().map(|(zone, _)| zone);
    let requests = requests.find(|zone| zone.name == name);
    let connections = run.limit_conn_zones.iter().find(|zone| zone.name == name);
    let (same, other) = match directive {
        "limit_req_zone" => (requests, connections),
        _ => (connections, requests),
    };
    if other.is_some() || run.caches.iter().any(|cache| cache.name == name) {
        return Err(Fault::Hinted(0, different_use(name), "take another name".to_owned()));
    }
    if let Some(same) = same {
        let hint = "declare each zone once, and name it in several `limit_` directives".to_owned();
        let message = match same.bytes {
            before if before == bytes => {
                format!("{directive} \"{name}\" is already bound to key \"{}\"", same.key_text)
            }
            before => format!(
                "the size {bytes} of shared memory zone \"{name}\" conflicts with already declared \
                 size {before}"
            ),
        };
        return Err(Fault::Hinted(0, message, hint));
    }
    Ok(LimitZone { name: name.to_owned(), key, key_text: call.arg(0).to_owned(), bytes })
}

/// What nginx says of a zone whose name belongs to another one.
pub fn different_use(name: &str) -> String {
    format!("the shared memory zone \"{name}\" is already declared for a different use")
}

/// `10r/s`, `30r/m`; a bare number is a second's, as with nginx.
fn thousandths_a_second(text: &str) -> Option<u64> {
    let (digits, seconds) = match (text.strip_suffix("r/s"), text.strip_suffix("r/m")) {
        (None, Some(digits)) => (digits, 60),
        (digits, _) => (digits.unwrap_or(text), 1),
    };
    let requests = value::number(digits).filter(|requests| *requests > 0)?;
    Some(requests.saturating_mul(ONE_REQUEST) / seconds)
}

fn req(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let mut limit = RequestLimitDraft {
        zone: String::new(),
        burst: 0,
        undelayed: 0,
        at: call.directive.at_word(1),
    };
    let mut is_named = false;
    for number in 0..call.args().len() {
        let word = call.arg(number);
        match word.split_once('=') {
            Some(("zone", name)) => {
                is_named = true;
                limit.zone = name.to_owned();
                limit.at = call.directive.at_word(number + 1);
            }
            Some(("burst", text)) => limit.burst = requests("burst", word, text, number)?,
            Some(("delay", text)) => limit.undelayed = requests("delay", word, text, number)?,
            None if word == "nodelay" => limit.undelayed = u64::MAX,
            _ => {
                let hint = "it takes `zone=NAME`, `burst=NUMBER`, and `nodelay` or `delay=NUMBER`";
                return Err(bad_parameter(number, word, hint));
            }
        }
    }
    if !is_named {
        let message = "\"limit_req\" must have \"zone\" parameter".to_owned();
        let hint = "name a `limit_req_zone`: `limit_req zone=one burst=20;`".to_owned();
        return Err(Fault::Hinted(0, message, hint));
    }
    let limits = level.limits.requests.get_or_insert_default();
    if limits.iter().any(|other| other.zone == limit.zone) {
        return Err(Fault::Directive("is duplicate"));
    }
    limits.push(limit);
    Ok(())
}

/// A number of requests above zero, in thousandths.
fn requests(name: &str, word: &str, text: &str, number: usize) -> Result<u64, Fault> {
    match value::number(text).filter(|requests| *requests > 0) {
        Some(requests) => Ok(requests.saturating_mul(ONE_REQUEST)),
        None => {
            let message = format!("invalid {name} value \"{word}\"");
            let hint = format!("a number from 1; leave `{name}` out for none");
            Err(Fault::Hinted(number + 1, message, hint))
        }
    }
}

fn conn(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let zone = call.arg(0).to_owned();
    let limits = level.limits.connections.get_or_insert_default();
    if limits.iter().any(|other| other.zone == zone) {
        return Err(Fault::Directive("is duplicate"));
    }
    let Some(max) = value::number(call.arg(1)).filter(|max| *max > 0) else {
        let message = format!("invalid number of connections \"{}\"", call.arg(1));
        let hint = "a number from 1 to 65535: `limit_conn addr 10;`".to_owned();
        return Err(Fault::Hinted(2, message, hint));
    };
    let Ok(max) = u16::try_from(max) else {
        return Err(Fault::Says(2, "connection limit must be less 65536".to_owned()));
    };
    limits.push(ConnectionLimitDraft { zone, max, at: call.directive.at_word(1) });
    Ok(())
}

fn bad_parameter(number: usize, word: &str, hint: &str) -> Fault {
    Fault::Hinted(number + 1, format!("invalid parameter \"{word}\""), hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::thousandths_a_second;

    #[test]
    fn rates_are_whole_requests_a_second_or_a_minute() {
        assert_eq!(thousandths_a_second("10r/s"), Some(10_000));
        assert_eq!(thousandths_a_second("30r/m"), Some(500));
        assert_eq!(thousandths_a_second("1r/m"), Some(16));
        assert_eq!(thousandths_a_second("7"), Some(7000));
        for wrong in ["", "r/s", "0r/s", "0.5r/s", "-1r/s", "1r/h", "10 r/s", "1r/sr/m"] {
            assert_eq!(thousandths_a_second(wrong), None, "{wrong}");
        }
    }
}
