//! `gateway-webhook` as a process, against the simulated Discord.

mod applications;
mod bad_input;
mod ends;
mod events;
mod limits;
mod methods;
mod secrets;
mod stage;
