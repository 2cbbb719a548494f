#![doc = include_str!("../README.md")]

mod callbacks;
mod check;
mod config;
mod conversation;
mod ledger;
mod metrics;
mod pattern;
mod replies;
mod reply;

pub use callbacks::Callbacks;
pub use config::{DEFER_AFTER, KEYS, REPLIES, Settings, defer_after};
pub use conversation::Kind;
pub use ledger::{First, Ledger, Unfit};
pub use metrics::Metrics;
pub use replies::{Clerk, Office};
pub use reply::Reply;

/// How many words of an event's routing key stand before those that say what was used.
const HEAD: usize = 4;

/// The end of an event's routing key, which says what was used: `command.play`. Empty when it says nothing.
pub fn used(routing_key: &str) -> &str {
    let mut rest = routing_key;
    for _ in 0..HEAD {
        match rest.split_once('.') {
            Some((_, after)) => rest = after,
            None => return "",
        }
    }
    rest
}
