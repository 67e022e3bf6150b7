//! Request and response heads: one buffer, ranges into it, and names that are known by number.
//!
//! Rooms: [`KnownHeader`] (names), [`Headers`] (the fields of a response), [`Method`],
//! [`RequestHead`], [`ResponseHead`], [`reason`] (nginx's reason phrases).
//!
//! Invariants: a head that exists has been validated by the codec that made it (`proto`): names
//! are tokens, values hold no CR, LF or NUL. Text is bytes, never assumed to be UTF-8.

mod header;
mod headers;
mod method;
mod request;
mod response;
mod status;

pub use header::{HeaderField, KnownHeader, KnownSet};
pub use headers::{Header, Headers};
pub use method::Method;
pub use request::{BodyLength, RequestHead, Slice, Version};
pub use response::ResponseHead;
pub use status::{is_bodiless, reason, reason_bytes};
