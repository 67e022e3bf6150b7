//! nginx's configuration language: text → tree → one row per directive → [`plan::FrontPlan`].
//!
//! Rooms: `lexer` (words, as nginx cuts them), `tree` (what the user wrote, includes expanded),
//! `row` (what a directive's row says), `directives` (the tables, one file per topic, named as in
//! `plan::front`), `walk` (applies the rows block by block), `level` (the settings of one block and
//! their inheritance), `lower` (merged settings → plan), `builtin` (files that distributions ship
//! beside nginx.conf, for machines that have none), `reference` (the tables as a page).
//!
//! Invariants: a row never prints its own name; problems are reported in the order in which
//! nginx would meet them; no input panics.

mod builtin;
pub mod directives;
mod draft;
mod include;
mod level;
mod lexer;
mod lower;
pub mod options;
pub mod reference;
mod report;
pub mod row;
mod tree;
mod value;
mod variable;
mod walk;

pub use options::{LoadOptions, Loaded, load};
