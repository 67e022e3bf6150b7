//! Where requests come in, and how much of them.

use std::time::Duration;

use plan::app::Protocol;

use crate::row::{Effect, Fault, Row, Takes, TextEffect};
use crate::values;

const fn word(names: &'static [&'static str], doc: &'static str, set: TextEffect) -> Row {
    Row { names, short: None, takes: Takes::Value, doc, effect: Effect::Word(set) }
}

const fn number(
    names: &'static [&'static str],
    doc: &'static str,
    set: fn(&mut crate::draft::Draft, u64) -> Result<(), Fault>,
) -> Row {
    Row { names, short: None, takes: Takes::Value, doc, effect: Effect::Number(set) }
}

const fn with_short(row: Row, short: char) -> Row {
    Row { short: Some(short), ..row }
}

/// The rows.
pub const ROWS: &[Row] = &[
    with_short(
        word(
            &["socket"],
            "serve on `host:port`, `:port`, a path, `@abstract` or `fd://N`, in the protocol of \
             `protocol`; repeatable",
            |draft, text| {
                draft.sockets.push((text.to_owned(), None));
                Ok(())
            },
        ),
        's',
    ),
    word(&["uwsgi-socket"], "the same, always in the uwsgi protocol", |draft, text| {
        draft.sockets.push((text.to_owned(), Some(Protocol::Uwsgi)));
        Ok(())
    }),
    word(
        &["http-socket", "http11-socket"],
        "the same, always in HTTP, spoken by the workers themselves",
        |draft, text| {
            draft.sockets.push((text.to_owned(), Some(Protocol::Http)));
            Ok(())
        },
    ),
    word(
        &["http", "httprouter"],
        "serve HTTP through the front, which holds slow clients; repeatable",
        |draft, text| {
            draft.http.push(text.to_owned());
            Ok(())
        },
    ),
    word(
        &["protocol", "socket-protocol"],
        "the protocol of `socket`: `uwsgi` or `http`",
        |draft, text| {
            draft.default_protocol = match text {
                "uwsgi" => Protocol::Uwsgi,
                "http" | "http11" => Protocol::Http,
                _ => {
                    return Err(Fault::fatal(
                        format!("sockets do not speak this protocol here: {text}"),
                        "write `uwsgi` or `http`",
                    ));
                }
            };
            Ok(())
        },
    ),
    Row {
        names: &["chmod-socket", "chmod"],
        short: Some('C'),
        takes: Takes::Optional,
        doc: "the mode of Unix sockets, three octal digits; 666 if the value is left out",
        effect: Effect::Word(|draft, text| {
            let bare = text.is_empty() || text == "1";
            let mode = if bare { 0o666 } else { values::mode(text)? };
            draft.plan.process.socket_mode = Some(mode);
            Ok(())
        }),
    },
    word(&["chown-socket"], "`user` or `user:group` of Unix sockets", |draft, text| {
        draft.plan.process.socket_owner = Some(text.to_owned());
        Ok(())
    }),
    with_short(
        number(
            &["listen"],
            "connections the kernel keeps waiting; cut to the kernel's own limit",
            |draft, value| {
                draft.plan.limits.backlog = u32::try_from(value).unwrap_or(u32::MAX);
                Ok(())
            },
        ),
        'l',
    ),
    with_short(
        number(
            &["buffer-size"],
            "the largest request head in bytes; never less than 65536 here",
            |draft, value| {
                let bytes = u32::try_from(value).unwrap_or(u32::MAX);
                draft.plan.limits.head_bytes_max = bytes.max(64 * 1024);
                Ok(())
            },
        ),
        'b',
    ),
    number(
        &["post-buffering"],
        "request bodies above so many bytes go to a temporary file",
        |draft, value| {
            if value > 0 {
                draft.plan.limits.body_memory_bytes_max = value;
            }
            Ok(())
        },
    ),
    number(
        &["limit-post"],
        "the largest request body in bytes; a larger one is answered with 413",
        |draft, value| {
            draft.plan.limits.body_bytes_max = (value > 0).then_some(value);
            Ok(())
        },
    ),
    with_short(
        number(
            &["socket-timeout"],
            "seconds without progress on a client's socket in a worker",
            |draft, value| {
                draft.plan.limits.socket_timeout = values::seconds(value);
                Ok(())
            },
        ),
        'z',
    ),
    number(
        &["http-timeout"],
        "seconds without progress on a request that came through `http`",
        |draft, value| {
            draft.plan.limits.http_timeout = values::seconds(value);
            Ok(())
        },
    ),
    Row {
        names: &["http-keepalive"],
        short: None,
        takes: Takes::Optional,
        doc: "seconds a kept-alive connection may be idle; 75 if not given",
        effect: Effect::Word(|draft, text| {
            keepalive(&mut draft.plan.limits.keepalive_timeout, text)
        }),
    },
];

/// uWSGI reads the popular `true` as the number 0, which switches keep-alive off.
fn keepalive(timeout: &mut Duration, text: &str) -> Result<(), Fault> {
    match text.parse::<u64>() {
        Ok(0) => Ok(()),
        Ok(value) => {
            *timeout = values::seconds(value);
            Ok(())
        }
        Err(_) if text.is_empty() => Ok(()),
        Err(_) => Err(Fault::warning(
            format!("a number of seconds is expected; kept at {}: {text}", timeout.as_secs()),
            format!("write `http-keepalive = {}`", timeout.as_secs()),
        )),
    }
}
