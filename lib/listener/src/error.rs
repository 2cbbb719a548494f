//! What keeps an address from being opened.

use std::{io, net::SocketAddr};

/// A failure to listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be had.
    #[error("HTTP_ADDRESS {address} cannot be used: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}
