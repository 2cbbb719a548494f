//! The broker against a real RabbitMQ: nothing is lost, order holds, memory stays bounded.

mod batches;
mod failures;
mod publishing;
pub(crate) mod requests;
pub(crate) mod service;
mod spool;
