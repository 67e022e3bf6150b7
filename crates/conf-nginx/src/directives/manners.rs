//! Connection and header manners: keep-alive, timeouts, redirects, validators.

use std::time::Duration;

use plan::front::location::{IfModifiedSince, ServerTokens};

use crate::level::Level;
use crate::row::{
    ALL_LEVELS, Fault, LOCATION_IF, ONE, ONE_OR_TWO, Outcome, Row, Shape, level, quiet,
};
use crate::value;
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    level("keepalive_timeout", ALL_LEVELS, ONE_OR_TWO, "idle time of a connection", keepalive),
    level("keepalive_requests", ALL_LEVELS, ONE, "requests per connection", |level, call| {
        call.number(&mut level.manners.keepalive_requests)
    }),
    level("keepalive_time", ALL_LEVELS, ONE, "whole life of a connection", |level, call| {
        call.time(&mut level.manners.keepalive_time)
    }),
    level("send_timeout", ALL_LEVELS, ONE, "between two writes to the client", |level, call| {
        call.time(&mut level.manners.send_timeout)
    }),
    level("lingering_timeout", ALL_LEVELS, ONE, "between two lingering reads", |level, call| {
        call.time(&mut level.manners.lingering_timeout)
    }),
    level("lingering_time", ALL_LEVELS, ONE, "whole time of a lingering close", |level, call| {
        call.time(&mut level.manners.lingering_time)
    }),
    quiet("lingering_close", ALL_LEVELS, ONE, Shape::Free, "connections linger when they must"),
    level("reset_timedout_connection", ALL_LEVELS, ONE, "resets slow ones", |level, call| {
        call.flag(&mut level.manners.reset_timed_out)
    }),
    level("etag", ALL_LEVELS, ONE, "ETag of files", |level, call| {
        call.flag(&mut level.manners.etag)
    }),
    level("if_modified_since", ALL_LEVELS, ONE, "how dates compare", |level, call| {
        let choices = [
            ("off", IfModifiedSince::Off),
            ("exact", IfModifiedSince::Exact),
            ("before", IfModifiedSince::Before),
        ];
        call.choice(&mut level.manners.if_modified_since, &choices)
    }),
    level("server_tokens", ALL_LEVELS, ONE, "version in answers", |level, call| {
        let choices = [
            ("on", ServerTokens::Version),
            ("off", ServerTokens::Name),
            ("build", ServerTokens::Version),
        ];
        call.choice(&mut level.manners.server_tokens, &choices)
    }),
    level("chunked_transfer_encoding", ALL_LEVELS, ONE, "chunks to clients", |level, call| {
        call.flag(&mut level.manners.chunked)
    }),
    level("absolute_redirect", ALL_LEVELS, ONE, "redirects carry the host", |level, call| {
        call.flag(&mut level.manners.absolute_redirect)
    }),
    level("port_in_redirect", ALL_LEVELS, ONE, "redirects carry the port", |level, call| {
        call.flag(&mut level.manners.port_in_redirect)
    }),
    level(
        "server_name_in_redirect",
        ALL_LEVELS,
        ONE,
        "whose name redirects carry",
        |level, call| call.flag(&mut level.manners.server_name_in_redirect),
    ),
    level("log_not_found", ALL_LEVELS, ONE, "logs missing files", |level, call| {
        call.flag(&mut level.manners.log_not_found)
    }),
    level("max_ranges", ALL_LEVELS, ONE, "ranges per request; 0 is none", |level, call| {
        call.number(&mut level.manners.max_ranges)
    }),
    level("tcp_nodelay", ALL_LEVELS, ONE, "sends without waiting for more", |level, call| {
        call.flag(&mut level.manners.tcp_nodelay)
    }),
    level("sendfile", ALL_LEVELS | LOCATION_IF, ONE, "sends files in the kernel", |level, call| {
        call.flag(&mut level.manners.sendfile)
    }),
    quiet("keepalive_disable", ALL_LEVELS, ANY_BROWSERS, Shape::Free, "for browsers of 2005"),
    quiet("keepalive_min_timeout", ALL_LEVELS, ONE, Shape::Time, "idle connections may close"),
    quiet("msie_padding", ALL_LEVELS, ONE, Shape::Flag, "for browsers of 2005"),
    quiet("msie_refresh", ALL_LEVELS, ONE, Shape::Flag, "for browsers of 2005"),
];

const ANY_BROWSERS: crate::row::Args = crate::row::SOME;

fn keepalive(level: &mut Level, call: &mut Call<'_, '_>) -> Outcome {
    let invalid = Fault::Directive("invalid value");
    if level.manners.keepalive_timeout.is_some() {
        return Err(Fault::Directive("is duplicate"));
    }
    let idle = value::time(call.arg(0)).ok_or(invalid)?;
    let header = match call.args().get(1) {
        None => None,
        Some(word) => {
            let seconds = value::seconds(&word.text).ok_or(Fault::Directive("invalid value"))?;
            Some(Duration::from_secs(seconds))
        }
    };
    call.once(&mut level.manners.keepalive_timeout, (idle, header))
}
