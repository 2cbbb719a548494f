#![doc = include_str!("../README.md")]

mod client;
mod places;
mod refusal;

pub use places::Places;
pub use refusal::Refusal;
