//! What makes the content of a response without asking anybody: files and listings.
//!
//! Rooms: [`paths`] (URI to path), [`open_files`] (small files kept in memory),
//! [`static_file`], [`index`], [`listing`] (`autoindex`).

pub mod index;
pub mod listing;
pub mod open_files;
pub mod paths;
pub mod static_file;
