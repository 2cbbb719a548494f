//! `gateway-ws` as a process, against the simulated Discord.

mod applications;
mod commands;
mod encrypted;
mod events;
mod every;
mod fleet;
mod ledger;
mod lifecycle;
mod odd_input;
mod outages;
mod questions;
mod refusals;
mod replicas;
mod reshard;
mod spool;
pub(crate) mod stage;
mod status;
pub(crate) mod system;
pub(crate) mod telemetry;
