//! Files whose change asks for something.

use std::path::PathBuf;

use crate::row::{Effect, Row, Takes, TextEffect};
use crate::values;

const fn touch(names: &'static [&'static str], doc: &'static str, set: TextEffect) -> Row {
    Row { names, short: None, takes: Takes::Value, doc, effect: Effect::Text(set) }
}

/// The rows.
pub const ROWS: &[Row] = &[
    touch(
        &["touch-reload", "touch-workers-reload", "touch-chain-reload"],
        "a file or directory; when its time of modification changes, or it comes into being, the \
         configuration is read again and new workers replace the old ones, without losing a request, as \
         after HUP; looked at every second; repeatable",
        |draft, text| {
            draft.plan.watch.reload.push(PathBuf::from(text));
            Ok(())
        },
    ),
    touch(
        &["touch-logreopen"],
        "the same for opening the log files anew, as after USR1",
        |draft, text| {
            draft.plan.watch.reopen_logs.push(PathBuf::from(text));
            Ok(())
        },
    ),
    Row {
        names: &["py-autoreload", "py-auto-reload", "python-autoreload", "python-auto-reload"],
        short: None,
        takes: Takes::Value,
        doc: "seconds between two looks at the sources that the app has imported while it was loaded; when \
              one has changed, new workers replace the old ones, as after HUP; for development",
        effect: Effect::Number(|draft, seconds| {
            draft.plan.watch.sources = (seconds > 0).then(|| values::seconds(seconds));
            Ok(())
        }),
    },
    touch(
        &["py-auto-reload-ignore"],
        "a module whose source `py-autoreload` does not look at; repeatable",
        |draft, text| {
            draft.plan.watch.ignored_modules.push(text.to_owned());
            Ok(())
        },
    ),
];
