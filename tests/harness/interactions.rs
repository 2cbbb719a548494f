//! Interactions over HTTP: a simulated Discord with `gateway-http` beside it, and workers that behave in every way.

pub mod stage;
pub mod worker;

pub use self::{stage::Stage, worker::Worker};
