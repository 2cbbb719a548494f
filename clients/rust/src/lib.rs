#![doc = include_str!("../README.md")]

mod amqp;
mod consumer;
mod decode;
mod delivery;
mod error;
mod event;
mod handler;
mod options;
mod receipt;
mod requests;
mod seen;

pub use rabbitmq::Tls;
pub use serenity;
pub use wire;

pub use self::{
    consumer::Consumer,
    delivery::Delivery,
    error::{CallError, Error},
    event::{Envelope, Event},
    handler::{EventHandler, HandlerResult, SERENITY_EVENTS},
    options::Options,
    requests::{Call, Replies, Requests},
};
