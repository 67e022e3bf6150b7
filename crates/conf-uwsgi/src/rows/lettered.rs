//! Options without an effect that have a letter on the command line, or whose value decides
//! whether something is lost.

use crate::row::{Answer, Effect, Fault, Row, Takes};

const fn known(name: &'static [&'static str], short: char, takes: Takes, answer: Answer) -> Row {
    Row {
        names: name,
        short: Some(short),
        takes,
        doc: "known, without an effect here",
        effect: Effect::Known(answer),
    }
}

/// The rows.
pub const ROWS: &[Row] = &[
    known(&["enable-threads"], 'T', Takes::Nothing, Answer::NoOp("threads of the app always run")),
    known(
        &["single-interpreter"],
        'i',
        Takes::Nothing,
        Answer::NoOp("there is always one interpreter per process"),
    ),
    known(
        &["memory-report"],
        'm',
        Takes::Optional,
        Answer::NoOp("the request line has no memory figures; `ps` and systemd have"),
    ),
    known(&["reaper"], 'r', Takes::Nothing, Answer::NoOp("the master reaps all children")),
    known(
        &["max-vars"],
        'v',
        Takes::Value,
        Answer::NoOp("the number of request variables is bounded by `buffer-size`"),
    ),
    known(&["optimize"], 'O', Takes::Value, Answer::NoOp("set PYTHONOPTIMIZE in the environment")),
    known(
        &["cgi-mode"],
        'c',
        Takes::Nothing,
        Answer::NoOp("answers have the form that the protocol of the socket asks for"),
    ),
    known(
        &["abstract-socket"],
        'a',
        Takes::Nothing,
        Answer::Refused("write the socket as `@name` instead"),
    ),
    known(
        &["test"],
        'J',
        Takes::Value,
        Answer::Refused("try the import with the app's own `python -c 'import module'`"),
    ),
    known(
        &["spooler"],
        'Q',
        Takes::Value,
        Answer::Missing("this job does not run; start it by its own systemd unit or timer"),
    ),
    known(
        &["sharedarea"],
        'A',
        Takes::Value,
        Answer::Missing("there is no memory shared between workers; use a file or Redis"),
    ),
    Row {
        names: &["hook-master-start"],
        short: None,
        takes: Takes::Value,
        doc: "accepted for `unix_signal:15 gracefully_kill_them_all`, which is what SIGTERM always \
              does here",
        effect: Effect::Text(|_, text| {
            let words: Vec<&str> = text.split_whitespace().collect();
            if words == ["unix_signal:15", "gracefully_kill_them_all"] {
                return Ok(());
            }
            Err(Fault::warning(
                format!("hooks are not run here: {text}"),
                "use systemd's `ExecStartPre=`, or the app's own start-up code",
            ))
        }),
    },
];
