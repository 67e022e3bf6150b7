//! The executable: command lines, plan to running program.

fn main() {}
