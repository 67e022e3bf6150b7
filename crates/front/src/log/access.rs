//! Access log lines.

use plan::Part;
use plan::front::log::{LogEscape, LogFormat};
use route::{Values, is_truthy, render_bytes};

use crate::exchange::Exchange;

/// Writes the access log lines of a finished request.
pub fn write(exchange: &Exchange) {
    let location = exchange.location();
    for log in &location.access_logs {
        if let Some(condition) = &log.condition
            && !is_truthy(&render_bytes(condition, exchange))
        {
            continue;
        }
        let formats = &exchange.active.plan().log_formats;
        let Some(format) = formats.get(log.format.0 as usize) else { continue };
        let mut line = exchange.thread.scratch.take();
        line.clear();
        format_line(format, exchange, &mut line);
        line.push(b'\n');
        exchange.active.shared.logs.gather(&log.target, &line);
        exchange.thread.scratch.replace(line);
    }
}

fn format_line(format: &LogFormat, values: &dyn Values, line: &mut Vec<u8>) {
    let mut raw = Vec::new();
    for part in &format.template.parts {
        raw.clear();
        let found = match part {
            Part::Text(text) => {
                line.extend_from_slice(text);
                continue;
            }
            Part::Variable(variable) => values.value(variable, &mut raw),
            Part::Capture(number) => {
                values.capture(*number, &mut raw);
                true
            }
        };
        match format.escape {
            LogEscape::Default if !found || raw.is_empty() => {
                if found {
                    continue;
                } else {
                    line.push(b'-')
                }
            }
            LogEscape::Default => escape_default(&raw, line),
            LogEscape::Json => escape_json(&raw, line),
            LogEscape::None => line.extend_from_slice(&raw),
        }
    }
}

/// `"`, `\`, control bytes and non-ASCII bytes as `\xHH`.
pub fn escape_default(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f..=0xff => {
                out.extend_from_slice(b"\\x");
                out.push(hex(byte >> 4));
                out.push(hex(byte & 15));
            }
            _ => out.push(byte),
        }
    }
}

fn escape_json(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(hex(byte >> 4));
                out.push(hex(byte & 15));
            }
            _ => out.push(byte),
        }
    }
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'A' + digit - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_control_bytes_cannot_forge_a_line() {
        let (mut default, mut json) = (Vec::new(), Vec::new());
        escape_default(b"a\"b\nc", &mut default);
        escape_json(b"a\"b\nc\x01", &mut json);
        assert_eq!(default, b"a\\x22b\\x0Ac");
        assert_eq!(json, b"a\\\"b\\nc\\u0001");
    }
}
