//! Which methods a location serves by its own settings.

use crate::row::{BlockKind, Fault, LOCATION, Row, SOME, block};
use crate::walk::Call;

/// The rows.
pub const ROWS: &[Row] = &[block(
    "limit_except",
    LOCATION,
    SOME,
    "rules for every method but these; GET includes HEAD",
    BlockKind::LimitExcept,
)];

/// The methods nginx knows by name.
const METHODS: [&str; 14] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "MKCOL",
    "COPY",
    "MOVE",
    "OPTIONS",
    "PROPFIND",
    "PROPPATCH",
    "LOCK",
    "UNLOCK",
    "PATCH",
];

/// The methods the block is not about, in capitals.
pub fn methods(call: &Call<'_, '_>) -> Result<Vec<String>, Fault> {
    let mut methods: Vec<String> = Vec::with_capacity(call.args().len() + 1);
    for (index, word) in call.args().iter().enumerate() {
        let method = word.text.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let message = format!("invalid method \"{}\"", word.text);
            let hint = match diag::nearest(&method, METHODS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "methods without a name here are always limited".to_owned(),
            };
            return Err(Fault::Hinted(index + 1, message, hint));
        }
        methods.push(method);
    }
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    methods.sort();
    methods.dedup();
    Ok(methods)
}
