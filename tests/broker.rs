//! The broker against a real RabbitMQ: nothing is lost, order holds, memory stays bounded.

mod failures;
mod publishing;
mod requests;
pub(crate) mod service;
