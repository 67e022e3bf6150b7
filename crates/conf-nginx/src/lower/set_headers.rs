//! `proxy_set_header` lines, made ready to be copied into the heads of requests.

use plan::front::upstream::{HeadPiece, SetHeaders};
use plan::{Part, Template, Variable};

use crate::level::Exchange;

/// What follows from the body is written by whoever knows it.
const OF_THE_BODY: [&str; 2] = ["Content-Length", "Transfer-Encoding"];

/// The end of the request line, the defaults that no line replaces, and the lines written.
/// `fixed_host` is what `$proxy_host` and `$proxy_port` are worth, if that is known now.
pub(super) fn set_headers(
    settings: &Exchange,
    http11: bool,
    fixed_host: Option<(&str, u16)>,
) -> SetHeaders {
    let written = settings.set_headers.as_deref().unwrap_or_default();
    let has = |name: &str| written.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let mut lines = Vec::with_capacity(written.len() + 2);
    if !has("Host") {
        let host = Template { parts: vec![Part::Variable(Variable::ProxyHost)] };
        lines.push(("Host".to_owned(), host));
    }
    if !has("Connection") && !http11 {
        lines.push(("Connection".to_owned(), Template::text("close")));
    }
    lines.extend_from_slice(written);
    let version: &[u8] = if http11 { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" };
    let mut pieces = Pieces { same: version.to_vec(), done: Vec::new() };
    for (name, value) in &lines {
        if !OF_THE_BODY.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            pieces.push(name, worked_out(value, fixed_host));
        }
    }
    let names: Vec<String> = lines.into_iter().map(|(name, _)| name).collect();
    SetHeaders { pieces: pieces.end(), names: names.into() }
}

/// Pieces of a head, the last lines of it still growing.
struct Pieces {
    same: Vec<u8>,
    done: Vec<HeadPiece>,
}

impl Pieces {
    fn push(&mut self, name: &str, value: Template) {
        let start = [name.as_bytes(), b": "].concat();
        match value.as_text() {
            Some(b"") => {}
            Some(text) => {
                self.same.extend_from_slice(&start);
                // As of a value with variables: it must not end the line.
                let ends = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
                self.same.extend(text.iter().filter(|byte| !ends(byte)));
                self.same.extend_from_slice(b"\r\n");
            }
            None => {
                self.end_lines();
                self.done.push(HeadPiece::Field { start: start.into(), value });
            }
        }
    }

    fn end_lines(&mut self) {
        if !self.same.is_empty() {
            self.done.push(HeadPiece::Lines(std::mem::take(&mut self.same).into()));
        }
    }

    fn end(mut self) -> Vec<HeadPiece> {
        self.end_lines();
        self.done
    }
}

/// The value with what is known already in it.
pub(super) fn worked_out(value: &Template, fixed_host: Option<(&str, u16)>) -> Template {
    let Some((host, port)) = fixed_host else { return value.clone() };
    let mut parts: Vec<Part> = Vec::with_capacity(value.parts.len());
    for part in &value.parts {
        let text = match part {
            Part::Text(text) => text.to_vec(),
            Part::Variable(Variable::ProxyHost) => host.as_bytes().to_vec(),
            Part::Variable(Variable::ProxyPort) => port.to_string().into_bytes(),
            other => {
                parts.push(other.clone());
                continue;
            }
        };
        match parts.last_mut() {
            Some(Part::Text(before)) => *before = [&before[..], &text].concat().into(),
            _ => parts.push(Part::Text(text.into())),
        }
    }
    Template { parts }
}
