#![doc = include_str!("../README.md")]

pub mod catalogue;
pub mod corpus;
pub mod generate;
pub mod json;
pub mod mutate;
pub mod render;
pub mod targets;
