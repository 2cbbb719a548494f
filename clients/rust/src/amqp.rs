//! What consumers and requests share of AMQP, beyond the connection itself.

mod exchange;
mod trouble;

pub(crate) use self::{
    exchange::{channel, close, declare_exchange},
    trouble::Trouble,
};
