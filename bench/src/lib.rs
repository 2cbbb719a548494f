//! What the benchmarks have in common: the corpus of events, what a process takes, and the table at the end.

pub mod corpus;
pub mod process;
pub mod summary;

mod objects;
