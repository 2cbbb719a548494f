//! The services that are carried out here, and by what.

use crate::{Failure, helpers, raw};
use boot::CancellationToken;
use broker::{Broker, Request};
use interactions::Callbacks;
use outbound::{Errand, Response};

/// The service `api`, the typed operations of the service `rest`, and the service `interactions`.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    /// What answers interactions that come by gateway connections, if anything does.
    pub(crate) callbacks: Option<Callbacks>,
}

impl outbound::Service for Api {
    const NAMES: &'static [&'static str] = &["api", "rest", "interactions"];

    async fn carry_out(&self, errand: &Errand, request: &mut Request) -> Result<Response, Failure> {
        let method = request.call.method.clone();
        match method.split_once('/') {
            Some(("gateway.v1.Api", "Call")) => raw::call(errand, request).await,
            Some(("gateway.v1.Api", name)) => helpers::help(errand, name, request).await,
            Some(("gateway.v1.Interactions", name)) => {
                helpers::interact(errand, name, &request.call.body).await
            }
            Some(("discord.v1.Rest", name)) => errand.typed(name, &request.call.body).await,
            _ => Err(Failure::Unimplemented("api", method)),
        }
    }

    async fn beside(&self, application_id: u64, broker: &Broker, shutdown: &CancellationToken) {
        if let Some(callbacks) = &self.callbacks {
            callbacks.run(application_id, broker, shutdown).await;
        }
    }
}
