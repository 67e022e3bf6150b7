//! Error log lines, in the shape that monitoring tools parse.

use std::io::Write;

use message::KnownHeader;
use plan::front::{ErrorLog, LogLevel};

use crate::clock::Clock;
use crate::exchange::Exchange;
use crate::log::LogFiles;

/// The word for a level.
pub fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Notice => "notice",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Crit => "crit",
        LogLevel::Alert => "alert",
        LogLevel::Emerg => "emerg",
    }
}

/// Whether any of the logs takes that level.
pub fn is_wanted(logs: &[ErrorLog], level: LogLevel) -> bool {
    logs.iter().any(|log| level >= log.level)
}

/// Starts a line: time, level, process.
pub fn begin(clock: &Clock, level: LogLevel, connection: Option<u64>) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    clock.error_log(&mut line);
    let pid = std::process::id();
    let _ = write!(line, " [{}] {pid}#{pid}: ", level_name(level));
    if let Some(number) = connection {
        let _ = write!(line, "*{number} ");
    }
    line
}

/// Ends a line and writes it to every log that takes its level.
pub fn finish(files: &LogFiles, logs: &[ErrorLog], level: LogLevel, mut line: Vec<u8>) {
    line.push(b'\n');
    for log in logs.iter().filter(|log| level >= log.level) {
        files.write_now(&log.target, &line);
    }
}

/// Writes a line about a connection that has no request yet.
pub fn write_early(
    thread: &crate::thread::Thread,
    active: &crate::runtime::Active,
    client: &crate::exchange::Client,
    level: LogLevel,
    message: &str,
) {
    let listens = &active.plan().listens;
    let listen = listens.iter().find(|listen| listen.address == client.listen);
    let Some(listen) = listen else { return };
    let logs = &active.location(active.server(listen.default_server).fallback).error_logs;
    if !is_wanted(logs, level) {
        return;
    }
    let mut line = begin(&thread.clock, level, Some(client.number));
    let _ = write!(line, "{message}, client: {}, server: {}", client.address, client.listen);
    finish(&active.shared.logs, logs, level, line);
}

/// Writes a line about a request. `upstream` is the URL of the peer it is about.
pub fn write(exchange: &Exchange, level: LogLevel, message: &str, upstream: Option<&str>) {
    let logs = &exchange.location().error_logs;
    if !is_wanted(logs, level) {
        return;
    }
    let mut line = begin(&exchange.thread.clock, level, Some(exchange.client.number));
    line.extend_from_slice(message.as_bytes());
    line.extend_from_slice(b", client: ");
    line.extend_from_slice(exchange.remote_address().as_bytes());
    line.extend_from_slice(b", server: ");
    line.extend_from_slice(exchange.server().first_name.as_bytes());
    line.extend_from_slice(b", request: \"");
    line.extend_from_slice(exchange.request_line());
    line.push(b'"');
    if exchange.subrequest {
        line.extend_from_slice(b", subrequest: \"");
        line.extend_from_slice(exchange.uri());
        line.push(b'"');
    }
    if let Some(upstream) = upstream {
        line.extend_from_slice(b", upstream: \"");
        line.extend_from_slice(upstream.as_bytes());
        line.push(b'"');
    }
    if let Some(host) = exchange.head.header(KnownHeader::Host) {
        line.extend_from_slice(b", host: \"");
        line.extend_from_slice(host);
        line.push(b'"');
    }
    if let Some(referrer) = exchange.head.header(KnownHeader::Referer) {
        line.extend_from_slice(b", referrer: \"");
        line.extend_from_slice(referrer);
        line.push(b'"');
    }
    finish(&exchange.active.shared.logs, logs, level, line);
}
