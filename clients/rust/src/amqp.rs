//! What consumers and requests share of AMQP, beyond the connection itself.

mod backoff;
mod exchange;
mod trouble;

pub(crate) use self::{
    backoff::Backoff,
    exchange::{channel, close, declare_exchange},
    trouble::Trouble,
};

/// Delivery mode of a message that survives a restart of the broker.
pub(crate) const PERSISTENT: u8 = 2;
