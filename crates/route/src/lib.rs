//! Which server and which location answer a request, and what rewriting makes of its URI.
//!
//! [`Router::new`] compiles a [`plan::FrontPlan`] once: regexes are compiled inside, names are
//! hashed, prefixes are sorted. After that nothing here does I/O, looks anything up by a
//! directive's name or keeps state about a request; what a request is, the caller says through
//! traits.
//!
//! The way of a request:
//!
//! 1. [`host::normalise`] the Host, [`Router::server`] chooses the server,
//! 2. [`uri::normalise`] the path,
//! 3. [`rewrite::run`] with [`Router::server_rewrite`],
//! 4. [`Router::location`] chooses the location,
//! 5. [`rewrite::run`] with [`Router::location_rewrite`]; on `ChooseAnew` back to 4, and
//!    [`rewrite::Changes`] counts the rounds,
//! 6. [`real_ip::client`], [`access::decide`], [`try_files::decide`].
//!
//! An internal redirect (`error_page`, `try_files`, index) begins again at 3 and also counts.
//!
//! Rooms: [`host`], [`uri`] (normalising), [`escape`], [`pattern`] (regexes and captures),
//! `names` (names and wildcards), [`location`], [`values`] (templates), [`map`], [`rewrite`],
//! [`geo`], [`real_ip`], [`access`], [`try_files`], [`router`] (all of it, compiled).

pub mod access;
pub mod escape;
pub mod geo;
pub mod host;
pub mod location;
pub mod map;
mod names;
pub mod pattern;
pub mod real_ip;
pub mod rewrite;
pub mod router;
pub mod split_clients;
pub mod try_files;
pub mod uri;
pub mod values;

pub use location::Found;
pub use map::MapTable;
pub use names::NameMap;
pub use pattern::{Captures, Pattern, TooMuchBacktracking};
pub use rewrite::{RewriteOutcome, RewriteState};
pub use router::{RouteError, Router};
pub use uri::{BadUri, normalise as normalise_uri};
pub use values::{Values, is_truthy, render, render_bytes};
