//! What happens to a response between its content and its head: conditional answers, ranges,
//! charset, compression, fields added by the operator.

pub mod gzip;
pub mod headers;
