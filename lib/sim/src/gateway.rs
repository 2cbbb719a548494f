//! The websocket side: listeners, connections and the sessions that outlive them.

mod backfill;
mod connection;
pub(crate) mod connections;
mod identify;
pub(crate) mod listener;
pub(crate) mod payload;
mod protocol;
pub(crate) mod query;
mod reader;
mod requests;
mod resume;
pub(crate) mod session;
pub(crate) mod sessions;
mod writer;
