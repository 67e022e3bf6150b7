//! Scripted workers.
