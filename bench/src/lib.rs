//! What the benchmarks have in common: the corpus of events, processes that are measured and what they take, who asks them, a Redis,
//! and the table at the end.

pub mod caller;
pub mod corpus;
pub mod process;
pub mod store;
pub mod summary;

mod objects;
