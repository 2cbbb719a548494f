//! `gateway-api` as a process, against the simulated Discord.

mod applications;
mod bad_input;
mod calls;
pub(crate) mod ends;
mod every;
mod helpers;
mod http;
mod limits;
mod share;
pub(crate) mod stage;
