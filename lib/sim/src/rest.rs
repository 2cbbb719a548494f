//! The REST half: routes with their rate limits, what they change, and the record of who asked for what.

mod channels;
mod config;
mod counter;
mod echo;
mod form;
mod guilds;
mod interactions;
mod limits;
mod messages;
mod multipart;
mod path;
mod reactions;
mod reply;
mod routes;
mod tally;
mod things;
mod webhooks;

pub use config::{Limit, RestConfig, Scope, Window};
pub(crate) use form::Form;
pub(crate) use interactions::acknowledge;
pub(crate) use limits::{Asked, Limited, Limits};
pub(crate) use path::Path;
pub(crate) use reply::{Content, Reply, cloudflare, failure, limited};
pub(crate) use routes::{Call, route};
pub(crate) use tally::Tally;
pub use tally::{Request, RestState};
pub(crate) use things::Things;

/// What the REST half remembers.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    pub(crate) limits: Limits,
    pub(crate) things: Things,
    pub(crate) tally: Tally,
}
