//! The service `webhook`: its methods are operations of Discord's, with the webhook's token as their key.

use std::sync::Arc;

use broker::Request;
use bytes::Bytes;
use outbound::{
    Errand, Failure, Method,
    Place::{At, Nowhere},
    Response,
};
use prost::{
    Message,
    encoding::{fixed64, string},
};
use wire::gateway::v1::WebhookAddress;

use crate::{
    address::{Address, Hosts},
    foreign,
};

/// The methods; what names the webhook is read before.
const METHODS: [Method; 4] = [
    Method {
        name: "webhook.Execute",
        operation: "ExecuteWebhook",
        response: "gateway.v1.WebhookExecuteResponse",
        fields: &[
            (1, Nowhere),
            (2, At(4)),
            (3, At(3)),
            (4, At(5)),
            (5, At(6)),
            // What has one of these goes another way.
            (6, Nowhere),
            (7, Nowhere),
            (8, At(7)),
        ],
    },
    Method {
        name: "webhook.Get",
        operation: "GetWebhookMessage",
        response: "gateway.v1.WebhookGetResponse",
        fields: &[(1, Nowhere), (2, At(3)), (3, At(4))],
    },
    Method {
        name: "webhook.Edit",
        operation: "UpdateWebhookMessage",
        response: "gateway.v1.WebhookEditResponse",
        fields: &[
            (1, Nowhere),
            (2, At(3)),
            (3, At(4)),
            (4, At(5)),
            (5, At(6)),
            (6, At(7)),
        ],
    },
    Method {
        name: "webhook.Delete",
        operation: "DeleteWebhookMessage",
        response: "gateway.v1.WebhookDeleteResponse",
        fields: &[(1, Nowhere), (2, At(3)), (3, At(4))],
    },
];

/// What carries the requests out.
#[derive(Clone, Debug)]
pub(crate) struct Webhook(Arc<Hosts>);

/// What every request has.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(message, optional, tag = "1")]
    webhook: Option<WebhookAddress>,
}

/// What there is to send, as far as it says which way it goes.
#[derive(Clone, PartialEq, Message)]
struct Content {
    #[prost(bytes = "bytes", optional, tag = "5")]
    message: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    slack: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    github: Option<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    files: Vec<Bytes>,
}

impl Webhook {
    /// A service of webhooks at these hosts.
    pub(crate) fn new(hosts: Hosts) -> Self {
        Self(Arc::new(hosts))
    }

    async fn execute(
        &self,
        errand: &Errand,
        method: &Method,
        address: &Address,
        message: &Bytes,
    ) -> Result<Response, Failure> {
        let content: Content = read(message)?;
        if content.slack.is_some() || content.github.is_some() {
            method.check(message)?;
            return foreign::execute(errand, address, read(message)?).await;
        }
        if content.message.is_none() && content.files.is_empty() {
            let why =
                "it is missing: one of `message`, `slack`, `github` and `files` has to be there";
            return Err(Failure::invalid("message", why));
        }
        errand.carried(method, known(address), message).await
    }
}

impl outbound::Service for Webhook {
    const NAMES: &'static [&'static str] = &["webhook"];

    async fn carry_out(&self, errand: &Errand, request: &mut Request) -> Result<Response, Failure> {
        let (name, message) = (&request.call.method, &request.call.body);
        let unknown = || Failure::Unimplemented("webhook", name.clone());
        let method = find(name).ok_or_else(unknown)?;
        let named: Named = read(message)?;
        let address = Address::read(named.webhook.as_ref(), &self.0)?;
        if method.operation == "ExecuteWebhook" {
            return self.execute(errand, method, &address, message).await;
        }
        errand.carried(method, known(&address), message).await
    }
}

/// The method of this full name.
fn find(name: &str) -> Option<&'static Method> {
    let name = name.strip_prefix("gateway.v1.Webhook/")?;
    let mut methods = METHODS.iter();
    methods.find(|method| method.name.strip_prefix("webhook.") == Some(name))
}

/// A part of a request message.
fn read<M: Message + Default>(message: &Bytes) -> Result<M, Failure> {
    let wrong = |error| Failure::invalid("body", format!("it is no such message: {error}"));
    M::decode(message.clone()).map_err(wrong)
}

/// The fields of an operation that name the webhook.
fn known(address: &Address) -> Vec<u8> {
    let mut fields = Vec::with_capacity(address.token.len() + 16);
    fixed64::encode(1, &address.id, &mut fields);
    string::encode(2, &address.token, &mut fields);
    fields
}

#[cfg(test)]
mod tests {
    use super::{METHODS, find};

    #[test]
    fn the_table_is_as_the_contract_has_it() {
        let service = wire::rest::descriptors().get_service_by_name("gateway.v1.Webhook");
        let service = service.unwrap();
        assert_eq!(service.methods().count(), METHODS.len());
        for rpc in service.methods() {
            let method = find(&format!("gateway.v1.Webhook/{}", rpc.name())).unwrap();
            assert_eq!(method.compare(), Ok(()));
        }
        assert!(find("gateway.v1.Webhook/Nothing").is_none());
        assert!(find("gateway.v1.Api/Execute").is_none());
    }
}
