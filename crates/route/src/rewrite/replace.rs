//! What the replacement of a matching `rewrite` becomes.

use plan::front::rewrite::RewriteFlag;
use plan::{Part, Template};

use super::RewriteState;
use super::step::Rewrite;
use crate::escape::{Escape, escape, unescape_redirect};

/// The new URI, or where to redirect to.
pub(super) enum Replaced {
    /// Go on with these; `None` leaves the arguments as they are.
    Uri { uri: Vec<u8>, args: Option<Vec<u8>> },
    /// Answer.
    Redirect { status: u16, location: Vec<u8> },
}

/// Renders the replacement with the captures of the match that has just been stored in `state`.
pub(super) fn replacement(rewrite: &Rewrite, state: &dyn RewriteState) -> Replaced {
    let escapes = state.path_was_escaped();
    let mut uri = Vec::with_capacity(64);
    if let RewriteFlag::Redirect(status) = rewrite.flag {
        render_escaping(&rewrite.uri, state, escapes, &mut uri);
        let mut location = unescape_redirect(&uri);
        if !rewrite.drop_args && !state.args().is_empty() {
            location.push(if rewrite.has_question_mark { b'&' } else { b'?' });
            location.extend_from_slice(state.args());
        }
        return Replaced::Redirect { status, location };
    }
    render_escaping(&rewrite.uri, state, false, &mut uri);
    let args = match &rewrite.args {
        Some(template) => {
            let mut args = Vec::with_capacity(64);
            render_escaping(template, state, escapes, &mut args);
            if !rewrite.drop_args && !state.args().is_empty() {
                args.push(b'&');
                args.extend_from_slice(state.args());
            }
            Some(args)
        }
        None => rewrite.drop_args.then(Vec::new),
    };
    Replaced::Uri { uri, args }
}

/// Renders; captures (not variables) are escaped as arguments if `escapes`.
fn render_escaping(
    template: &Template,
    state: &dyn RewriteState,
    escapes: bool,
    out: &mut Vec<u8>,
) {
    for part in &template.parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Variable(variable) => {
                state.value(variable, out);
            }
            Part::Capture(number) if escapes => {
                let mut capture = Vec::new();
                state.capture(*number, &mut capture);
                escape(&capture, Escape::Args, out);
            }
            Part::Capture(number) => state.capture(*number, out),
        }
    }
}
