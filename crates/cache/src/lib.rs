//! Caching decided, without doing it: no file, no socket, no clock; time is an argument.
//!
//! `net::store` keeps the objects, `front` asks. Rooms: [`key`] (key → hash → file name),
//! [`freshness`] (may it be stored, and for how long), [`stale`] (may an old one be served),
//! [`vary`] (which variant a request wants), [`lock`] (one request fills, the others wait),
//! [`index`] (who is evicted), [`directory`] (whose file has to be looked at again).
//!
//! Times: points that outlive a restart are Unix time in milliseconds (`unix_ms`); ages inside
//! one process are monotonic milliseconds (`monotonic_ms`).

pub mod directory;
pub mod freshness;
pub mod index;
pub mod key;
pub mod lock;
pub mod stale;
pub mod vary;

pub use directory::{Directories, DirectoryStamp, Period, UNSEEN_MS};
pub use freshness::{NotStored, Times, lifetime};
pub use index::{Budget, Index, Weighed};
pub use key::{CacheKey, Hash};
pub use lock::{Ask, FillTicket, FillingTable};
pub use stale::{Trouble, may_serve_on_trouble, may_serve_while_updating};
pub use vary::VaryInputs;
