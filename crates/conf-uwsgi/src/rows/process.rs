//! Users, files and titles of the processes.

use std::path::PathBuf;

use crate::draft::Draft;
use crate::row::{Effect, Fault, Row, Takes, TextEffect};

const fn word(names: &'static [&'static str], doc: &'static str, set: TextEffect) -> Row {
    Row { names, short: None, takes: Takes::Value, doc, effect: Effect::Word(set) }
}

const fn text(names: &'static [&'static str], doc: &'static str, set: TextEffect) -> Row {
    Row { names, short: None, takes: Takes::Value, doc, effect: Effect::Text(set) }
}

const fn flag(names: &'static [&'static str], doc: &'static str, set: fn(&mut Draft, bool)) -> Row {
    Row { names, short: None, takes: Takes::Nothing, doc, effect: Effect::Flag(set) }
}

const fn with_short(row: Row, short: char) -> Row {
    Row { short: Some(short), ..row }
}

/// The rows.
pub const ROWS: &[Row] = &[
    word(&["uid"], "the user to become, name or number", |draft, text| {
        draft.plan.process.uid = Some(text.to_owned());
        Ok(())
    }),
    word(&["gid"], "the group to become, name or number", |draft, text| {
        draft.plan.process.gid = Some(text.to_owned());
        Ok(())
    }),
    word(&["umask"], "the file mode creation mask, octal", |draft, text| {
        let mask = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777);
        let Some(mask) = mask else {
            return Err(Fault::fatal(
                format!("not an octal mask: {text}"),
                "write three octal digits such as `022`",
            ));
        };
        draft.plan.process.umask = Some(mask);
        Ok(())
    }),
    flag(&["vacuum"], "remove sockets and pidfiles on exit", |draft, on| {
        draft.plan.process.vacuum = on;
    }),
    flag(&["die-on-term"], "SIGTERM stops; it always does here, and gracefully", |draft, on| {
        draft.plan.process.die_on_term = on
    }),
    text(
        &["pidfile"],
        "write the master's pid there, before privileges are dropped",
        |draft, text| {
            draft.plan.process.pidfile = Some(PathBuf::from(text));
            Ok(())
        },
    ),
    text(
        &["pidfile2"],
        "write the master's pid there, after privileges are dropped",
        |draft, text| {
            draft.plan.process.pidfile2 = Some(PathBuf::from(text));
            Ok(())
        },
    ),
    text(
        &["safe-pidfile"],
        "write the master's pid there before anything is forked",
        |draft, text| {
            draft.plan.process.safe_pidfile = Some(PathBuf::from(text));
            Ok(())
        },
    ),
    with_short(
        text(&["daemonize"], "go to the background and log to this file", |draft, text| {
            draft.plan.process.daemonize = Some(text.to_owned());
            log_file(text)
        }),
        'd',
    ),
    text(
        &["daemonize2"],
        "go to the background once the app is loaded, and log to this file",
        |draft, text| {
            draft.plan.process.daemonize2 = Some(text.to_owned());
            log_file(text)
        },
    ),
    flag(&["auto-procname"], "give each process a readable title", |draft, on| {
        draft.plan.process.titles.auto = on;
    }),
    text(&["procname"], "the title of all processes", |draft, text| {
        draft.plan.process.titles.all = Some(text.to_owned());
        Ok(())
    }),
    text(&["procname-master"], "the title of the master", |draft, text| {
        draft.plan.process.titles.master = Some(text.to_owned());
        Ok(())
    }),
    text(&["procname-prefix"], "put this before each title", |draft, text| {
        draft.plan.process.titles.prefix = Some(text.to_owned());
        Ok(())
    }),
    text(&["procname-prefix-spaced"], "put this and a blank before each title", |draft, text| {
        draft.plan.process.titles.prefix = Some(format!("{text} "));
        Ok(())
    }),
    text(&["procname-append"], "put this after each title", |draft, text| {
        draft.plan.process.titles.append = Some(text.to_owned());
        Ok(())
    }),
];

/// `daemonize = true` logs to a file called `true`; `daemonize = host:port` logs over UDP.
pub fn log_file(text: &str) -> Result<(), Fault> {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    if port.is_some_and(|port| port.parse::<u16>().is_ok()) && !text.starts_with('/') {
        let message = format!("logs are not sent over UDP here: {text}");
        return Err(Fault::fatal(message, "write the path of a file, or log to systemd's journal"));
    }
    if matches!(text, "1" | "true" | "yes" | "on" | "false" | "no" | "off" | "0") {
        return Err(Fault::warning(
            format!("the path of a log file is expected, so this is one called: {text}"),
            "write a path such as `/var/log/app.log`, or remove the line",
        ));
    }
    Ok(())
}
