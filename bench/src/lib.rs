//! What the benchmarks have in common: the corpus of events.

pub mod corpus;

mod objects;
