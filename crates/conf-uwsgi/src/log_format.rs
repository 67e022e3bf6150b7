//! `log-format`: the line of a request.
//!
//! Source: uWSGI's documentation (LogFormat), and what 2.0.31 writes.

use plan::app::{LogFact, LogFormat, LogPiece};

/// Names of facts, and what they are.
const FACTS: &[(&str, LogFact)] = &[
    ("status", LogFact::Status),
    ("rsize", LogFact::Rsize),
    ("hsize", LogFact::Hsize),
    ("size", LogFact::Size),
    ("cl", LogFact::Cl),
    ("micros", LogFact::Micros),
    ("msecs", LogFact::Msecs),
    ("secs", LogFact::Secs),
    ("tmicros", LogFact::Tmicros),
    ("tmsecs", LogFact::Tmsecs),
    ("time", LogFact::Time),
    ("epoch", LogFact::Time),
    ("ltime", LogFact::Ltime),
    ("ftime", LogFact::Ltime),
    ("ctime", LogFact::Ctime),
    ("pid", LogFact::Pid),
    ("wid", LogFact::Wid),
    ("switches", LogFact::Switches),
    ("vars", LogFact::Vars),
    ("pktsize", LogFact::Pktsize),
    ("core", LogFact::Core),
    ("headers", LogFact::Headers),
    ("modifier1", LogFact::Modifier),
    ("modifier2", LogFact::Modifier),
    ("vsz", LogFact::Vsz),
    ("rss", LogFact::Rss),
    ("vszM", LogFact::VszMebibytes),
    ("rssM", LogFact::RssMebibytes),
];

/// Names of CGI variables that have one of their own.
const VARIABLES: &[(&str, &str)] = &[
    ("uri", "REQUEST_URI"),
    ("method", "REQUEST_METHOD"),
    ("user", "REMOTE_USER"),
    ("addr", "REMOTE_ADDR"),
    ("host", "HTTP_HOST"),
    ("proto", "SERVER_PROTOCOL"),
    ("uagent", "HTTP_USER_AGENT"),
    ("referer", "HTTP_REFERER"),
];

/// The pieces of a line; beside them the names that stand for nothing but what the app sets.
/// A `%(` without its `)` is text.
pub fn parse(text: &str) -> (LogFormat, Vec<&str>) {
    let mut pieces = Vec::new();
    let mut unknown = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("%(")
        && let Some((name, after)) = behind.split_once(')')
    {
        push_text(&mut pieces, before);
        let named = named(name);
        if matches!(named, LogPiece::Own(_)) {
            unknown.push(name);
        }
        pieces.push(named);
        rest = after;
    }
    push_text(&mut pieces, rest);
    (LogFormat { pieces, is_json: text.trim_start().starts_with('{') }, unknown)
}

fn push_text(pieces: &mut Vec<LogPiece>, text: &str) {
    if !text.is_empty() {
        pieces.push(LogPiece::Text(text.to_owned()));
    }
}

fn named(name: &str) -> LogPiece {
    if let Some((_, fact)) = FACTS.iter().find(|(known, _)| *known == name) {
        return LogPiece::Fact(*fact);
    }
    let variable =
        VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, variable)| *variable);
    match variable.or(name.strip_prefix("var.")) {
        Some(variable) => LogPiece::Variable(variable.to_owned()),
        None => LogPiece::Own(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_text_facts_variables_and_what_the_app_sets() {
        let (format, unknown) = parse("%(method) \"%(var.HTTP_X_A)\" %(status)ms %(tenant)%(open");
        let text = |text: &str| LogPiece::Text(text.to_owned());
        let variable = |name: &str| LogPiece::Variable(name.to_owned());
        assert_eq!(
            format.pieces,
            [
                variable("REQUEST_METHOD"),
                text(" \""),
                variable("HTTP_X_A"),
                text("\" "),
                LogPiece::Fact(LogFact::Status),
                text("ms "),
                LogPiece::Own("tenant".to_owned()),
                text("%(open"),
            ]
        );
        assert_eq!(unknown, ["tenant"]);
        assert!(!format.is_json && parse(" {\"uri\": \"%(uri)\"}").0.is_json);
        assert_eq!(parse("").0, LogFormat::default());
    }
}
