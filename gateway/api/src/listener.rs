//! The HTTP listener: a base URL for libraries that speak with Discord's HTTP API.
//!
//! To them it is Discord, whose limits are never in the way: requests wait here for their turn, with those of all other callers.

mod config;
mod door;
mod headers;
mod reply;
mod request;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use config::{Config, KEYS};

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use boot::Context;
use listener::{Bodies, Protocols};

use self::{door::Door, request::Front};
use crate::{Error, Gateway, http_errors::http_errors};

/// An open address.
#[derive(Debug)]
pub(crate) struct Listener {
    open: listener::Listener,
    front: Arc<Front>,
}

impl Listener {
    /// Opens the address.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] when it cannot be had.
    pub(crate) async fn bind(
        config: &Config,
        common: &crate::Config,
        gateway: Gateway,
        context: &Context,
    ) -> Result<Self, Error> {
        let (address, protocols) = (config.address, Protocols::Http1);
        let open = listener::Listener::bind(address, &config.open, protocols, context).await?;
        let version = common
            .outbound
            .api_url
            .trim_end_matches('/')
            .rsplit('/')
            .next();
        let version = version.filter(|last| target::is_version(last));
        let front = Front {
            gateway,
            is_alone: common.applications.len() == 1,
            only: OnceLock::new(),
            door: Door::new(config.secret.clone(), config.tokens),
            bodies: Bodies::new(common.outbound.max_body, common.outbound.waiting_size),
            version: version.map(str::to_owned),
            timeout: common.outbound.timeout,
            errors: http_errors(&context.metrics),
            shutdown: context.shutdown.clone(),
        };
        Ok(Self {
            open,
            front: Arc::new(front),
        })
    }

    /// The address, with the port that the system chose if 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.open.address()
    }

    /// Answers requests until the shutdown, and then those that it has already.
    pub(crate) async fn run(self) {
        self.open.run(self.front).await;
    }
}
