//! `server_name`.

use plan::front::ServerName;

use crate::draft::{NameDraft, ServerDraft};
use crate::row::{Fault, HTTP, ONE, Outcome, Row, SOME, Shape, quiet, server};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[
    server("server_name", SOME, "names a server answers to", server_name),
    quiet("server_names_hash_max_size", HTTP, ONE, Shape::Number, "tables size themselves"),
    quiet("server_names_hash_bucket_size", HTTP, ONE, Shape::Number, "tables size themselves"),
    quiet("variables_hash_max_size", HTTP, ONE, Shape::Number, "variables are numbers"),
    quiet("variables_hash_bucket_size", HTTP, ONE, Shape::Number, "variables are numbers"),
];

fn server_name(draft: &mut ServerDraft, call: &mut Call<'_, '_>) -> Outcome {
    for number in 0..call.args().len() {
        let at = call.directive.at_word(number + 1);
        let written = call.arg(number);
        let invalid = || {
            let message = format!("invalid server name or wildcard \"{written}\"");
            Fault::Says(number + 1, message)
        };
        let lower = written.to_ascii_lowercase();
        if written.contains('/') && !written.starts_with('~') {
            let message = format!("server name \"{written}\" has suspicious symbols");
            call.run.warning(at, message);
        }
        let name = if let Some(pattern) = written.strip_prefix('~') {
            if pattern.is_empty() {
                let message = format!("empty regex in server name \"{written}\"");
                return Err(Fault::Says(number + 1, message));
            }
            // nginx folds case only when the pattern has capitals in it; hosts are lower case.
            ServerName::Regex(call.regex(number, pattern, true)?)
        } else if lower == "$hostname" {
            ServerName::Exact(hostname())
        } else if lower.contains('*') || lower.starts_with('.') {
            wildcard(&lower).ok_or_else(invalid)?
        } else {
            ServerName::Exact(lower)
        };
        draft.names.push(NameDraft { name, written: written.to_owned(), at });
    }
    Ok(())
}

/// A name with one star at either end, or a leading dot; lower case. `None` if it is neither.
pub fn wildcard(name: &str) -> Option<ServerName> {
    if let Some(ending) = name.strip_prefix('*') {
        let right = ending.starts_with('.') && ending.len() > 1 && !ending.contains('*');
        return right.then(|| ServerName::Ending(ending.to_owned()));
    }
    if let Some(beginning) = name.strip_suffix('*') {
        let right = beginning.ends_with('.') && beginning.len() > 1 && !beginning.contains('*');
        return right.then(|| ServerName::Beginning(beginning.to_owned()));
    }
    let right = name.starts_with('.') && name.len() > 1 && !name.contains('*');
    right.then(|| ServerName::EndingOrExact(name.to_owned()))
}

/// This machine's name, as the kernel knows it.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_ascii_lowercase()
}
