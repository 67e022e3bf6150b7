//! The line of a request as `log-format` wants it.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use plan::app::{LogFact, LogFormat, LogPiece};

use super::{Entry, LINE_BYTES_MAX, RequestLog, end_line, with_ctime};
use crate::wsgi::uwsgi_module::with_log_variable;

/// In place of what is not there.
const NOTHING: &[u8] = b"-";

/// Writes the line of a request. `out` is a buffer to build it in.
pub fn formatted(
    out: &mut Vec<u8>,
    format: &LogFormat,
    entry: &Entry<'_>,
    to: Option<&RequestLog>,
) {
    out.clear();
    for piece in &format.pieces {
        match piece {
            LogPiece::Text(text) => out.extend_from_slice(text.as_bytes()),
            LogPiece::Fact(fact) => push_fact(out, *fact, entry),
            LogPiece::Variable(name) => {
                push_value(out, variable(entry, name).unwrap_or(NOTHING), format.is_json);
            }
            LogPiece::Own(name) => {
                if !with_log_variable(name, |value| push_value(out, value, format.is_json)) {
                    out.extend_from_slice(NOTHING);
                }
            }
        }
    }
    end_line(out, to);
}

/// The value of a CGI variable; none if it is missing or empty.
fn variable<'a>(entry: &Entry<'a>, wanted: &str) -> Option<&'a [u8]> {
    let found =
        proto::uwsgi::vars(entry.vars).flatten().find(|(name, _)| *name == wanted.as_bytes());
    found.map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// What a request brings into the line. A value is cut where it would make the line longer than
/// any tool reads.
fn push_value(out: &mut Vec<u8>, value: &[u8], is_json: bool) {
    let value = value.get(..LINE_BYTES_MAX / 2).unwrap_or(value);
    if !is_json {
        return out.extend_from_slice(value);
    }
    // JSON is UTF-8 (RFC 8259, 8.1).
    for letter in String::from_utf8_lossy(value).chars() {
        match letter {
            '"' | '\\' => {
                let _ = write!(out, "\\{letter}");
            }
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => {
                let _ = write!(out, "{letter}");
            }
        }
    }
}

fn push_fact(out: &mut Vec<u8>, fact: LogFact, entry: &Entry<'_>) {
    let (served, started) = (entry.served, entry.started);
    let number: u128 = match fact {
        LogFact::Status => served.status.into(),
        LogFact::Rsize => served.body_bytes.into(),
        LogFact::Hsize => served.header_bytes.into(),
        LogFact::Size => u128::from(served.header_bytes) + u128::from(served.body_bytes),
        LogFact::Cl => {
            let length = variable(entry, "CONTENT_LENGTH").unwrap_or(b"0");
            return out.extend_from_slice(length);
        }
        LogFact::Micros => entry.elapsed.as_micros(),
        LogFact::Msecs => entry.elapsed.as_millis(),
        LogFact::Secs => {
            let (seconds, micros) = (entry.elapsed.as_secs(), entry.elapsed.subsec_micros());
            // Writing to a vector cannot fail, here and below.
            let _ = write!(out, "{seconds}.{micros:06}");
            return;
        }
        LogFact::Tmicros => started.as_micros(),
        LogFact::Tmsecs => started.as_millis(),
        LogFact::Time => started.as_secs().into(),
        LogFact::Ltime => {
            let time = sys::clock::local(UNIX_EPOCH + Duration::from_secs(started.as_secs()));
            return out.extend_from_slice(time.common_log().as_bytes());
        }
        LogFact::Ctime => {
            return with_ctime(started.as_secs(), |time| out.extend_from_slice(time.as_bytes()));
        }
        LogFact::Pid => std::process::id().into(),
        LogFact::Wid => entry.worker.into(),
        LogFact::Switches => entry.switches.into(),
        // Names and values.
        LogFact::Vars => 2 * proto::uwsgi::vars(entry.vars).flatten().count() as u128,
        LogFact::Pktsize => entry.vars.len() as u128,
        LogFact::Core => entry.core.into(),
        LogFact::Headers => served.header_count.into(),
        LogFact::Modifier => 0,
        LogFact::Vsz => memory().address_space.into(),
        LogFact::Rss => memory().resident.into(),
        LogFact::VszMebibytes => (memory().address_space >> 20).into(),
        LogFact::RssMebibytes => (memory().resident >> 20).into(),
    };
    let _ = write!(out, "{number}");
}

/// Zero without `/proc`.
fn memory() -> sys::process::Memory {
    sys::process::memory().unwrap_or(sys::process::Memory { address_space: 0, resident: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_whatever_requests_bring() {
        let pushed = |value: &[u8], is_json| {
            let mut out = Vec::new();
            push_value(&mut out, value, is_json);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(pushed(b"a\"b\\c\n\xff", true), "a\\\"b\\\\c\\u000a\u{fffd}");
        assert_eq!(pushed(b"a\"b\\c", false), "a\"b\\c");
        assert_eq!(pushed(&[b'x'; 5000], true).len(), LINE_BYTES_MAX / 2);
    }
}
