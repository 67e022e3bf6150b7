//! Templates become text: the request says what its variables are worth.

use bytes::Bytes;
use plan::{Part, Template, Variable};

/// What the variables of one request are worth.
pub trait Values {
    /// Appends the variable's value; `false` if it has none (which reads as empty).
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) -> bool;

    /// Appends a numbered capture of the request's last regex match; nothing if there is none.
    fn capture(&self, number: u8, out: &mut Vec<u8>);
}

/// Appends the template's text.
pub fn render(template: &Template, values: &dyn Values, out: &mut Vec<u8>) {
    for part in &template.parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Variable(variable) => {
                values.value(variable, out);
            }
            Part::Capture(number) => values.capture(*number, out),
        }
    }
}

/// The template's text; a template without variables shares its bytes.
pub fn render_bytes(template: &Template, values: &dyn Values) -> Bytes {
    match template.parts.as_slice() {
        [] => Bytes::new(),
        [Part::Text(text)] => text.clone(),
        _ => {
            let mut out = Vec::with_capacity(64);
            render(template, values, &mut out);
            out.into()
        }
    }
}

/// Whether a text counts as true in `if`, `*_cache_bypass` and `*_no_cache`: neither empty nor `0`.
pub fn is_truthy(text: &[u8]) -> bool {
    !matches!(text, b"" | b"0")
}
