//! Which method of which service a request message belongs to, read from the contract.

use prost::Name;
use wire::routing::MAX_KEY;

use crate::CallError;

/// One method of the contract.
#[derive(Debug)]
pub(super) struct Method {
    full_name: String,
    /// How its routing keys begin: `<service>.<Method>`.
    address: String,
    is_streamed: bool,
}

impl Method {
    /// The method that takes `Q` and answers with `A`, once or several times.
    pub(super) fn of<Q: Name, A: Name>(is_streamed: bool) -> Result<Self, CallError> {
        let (request, answer) = (Q::full_name(), A::full_name());
        let services = wire::descriptors().services();
        let method = services
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .find(|method| method.input().full_name() == request)
            .ok_or_else(|| {
                CallError::Method(format!("no method of the contract takes {request}"))
            })?;
        let (service, name) = (method.parent_service(), method.name());
        let full_name = format!("{}/{name}", service.full_name());
        let output = method.output();
        if output.full_name() != answer {
            let mistake = format!(
                "{full_name} answers with {}, not {answer}",
                output.full_name()
            );
            return Err(CallError::Method(mistake));
        }
        if method.is_server_streaming() != is_streamed {
            let (right, wrong) = if is_streamed {
                ("`call`", "`stream`")
            } else {
                ("`stream`", "`call`")
            };
            let mistake = format!("{full_name} is to be used with {right}, not with {wrong}");
            return Err(CallError::Method(mistake));
        }
        Ok(Self {
            address: format!("{}.{name}", service.name().to_ascii_lowercase()),
            full_name,
            is_streamed,
        })
    }

    /// Such as `gateway.v1.Ws/Send`.
    pub(super) fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Whether it is answered by several messages.
    pub(super) fn is_streamed(&self) -> bool {
        self.is_streamed
    }

    /// The routing key of a request to it.
    pub(super) fn routing_key(
        &self,
        application_id: u64,
        target: Option<&str>,
    ) -> Result<String, CallError> {
        let mut key = format!("{}.{application_id}", self.address);
        if let Some(target) = target {
            key.push('.');
            key.push_str(target);
        }
        if key.len() > MAX_KEY {
            let mistake = format!("the routing key {key} is longer than {MAX_KEY} bytes");
            return Err(CallError::Method(mistake));
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use wire::gateway::v1::{Event, SendRequest, SendResponse};

    use super::*;

    #[test]
    fn a_request_belongs_to_its_method() {
        let method = Method::of::<SendRequest, SendResponse>(false).unwrap();
        assert_eq!(method.full_name(), "gateway.v1.Ws/Send");
        assert_eq!(method.routing_key(7, None).unwrap(), "ws.Send.7");
        assert_eq!(method.routing_key(7, Some("9")).unwrap(), "ws.Send.7.9");
        assert!(method.routing_key(7, Some(&"x".repeat(300))).is_err());
    }

    #[test]
    fn what_the_contract_does_not_have_is_refused() {
        let mistakes = [
            Method::of::<Event, SendResponse>(false),
            Method::of::<SendRequest, Event>(false),
            Method::of::<SendRequest, SendResponse>(true),
        ];
        for mistake in mistakes {
            assert!(matches!(mistake, Err(CallError::Method(_))), "{mistake:?}");
        }
    }
}
