//! Everything the program will do: typed, validated, immutable, printable.
//!
//! Both configuration languages lower to these types and the runtime reads nothing else; the
//! runtime has never heard of a directive's or option's syntax. Every plan can be serialised,
//! because the master hands it to the other processes.
//!
//! Rooms: [`app`] (uWSGI's place), [`front`] (nginx's place), [`address`], [`template`]
//! (texts with variables), [`regex`].

pub mod address;
pub mod app;
pub mod front;
pub mod regex;
pub mod template;

pub use address::Address;
pub use app::AppPlan;
pub use front::FrontPlan;
pub use regex::RegexPlan;
pub use template::{Part, Template, Variable};
