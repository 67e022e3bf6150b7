//! What happens to a response between its content and its head: conditional answers, ranges,
//! charset, replaced texts, compression, fields added by the operator.

pub mod gzip;
pub mod headers;
pub mod sub_filter;
