//! Request and response heads: one buffer, ranges into it, and names that are known by number.
//!
//! Rooms: [`Header`] and [`KnownHeader`] (names), [`Method`], [`RequestHead`], [`ResponseHead`],
//! [`reason`] (nginx's reason phrases).
//!
//! Invariants: a head that exists has been validated by the codec that made it (`proto`): names
//! are tokens, values hold no CR, LF or NUL. Text is bytes, never assumed to be UTF-8.

mod header;
mod method;
mod request;
mod response;
mod status;

pub use header::{Header, HeaderField, KnownHeader};
pub use method::Method;
pub use request::{BodyLength, RequestHead, Slice, Version};
pub use response::ResponseHead;
pub use status::{is_bodiless, reason};
