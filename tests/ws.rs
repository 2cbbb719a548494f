//! `gateway-ws` as a process, against the simulated Discord.

mod applications;
mod commands;
mod encrypted;
mod events;
mod every;
mod fleet;
mod lifecycle;
mod odd_input;
mod questions;
mod refusals;
mod replicas;
mod spool;
mod stage;
pub(crate) mod system;
mod telemetry;
