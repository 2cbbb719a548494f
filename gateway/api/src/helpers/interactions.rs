//! The service `interactions`: its methods are operations of Discord's, with the token as their key.

use outbound::{
    Errand, Method,
    Place::{At, Spread},
    Response,
};
use prost::encoding::{bool, fixed64};

use crate::Failure;

/// Discord's code for an interaction that has its first answer.
const ACKNOWLEDGED: u32 = 40_060;

/// What an operation needs beside what the caller says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum More {
    /// The application, in field 1.
    Application,
    /// The application, and that the message is waited for, in field 3.
    ApplicationAndWait,
    /// Nothing.
    Nothing,
}

/// The methods, and what the operation of each needs.
const METHODS: [(More, Method); 8] = [
    (
        More::Nothing,
        Method {
            name: "interactions.Respond",
            operation: "CreateInteractionResponse",
            response: "gateway.v1.InteractionsRespondResponse",
            fields: &[
                (1, At(1)),
                (2, At(2)),
                (3, Spread(&[(1, At(4)), (2, At(5))])),
                (4, At(3)),
            ],
        },
    ),
    (
        More::Application,
        Method {
            name: "interactions.GetOriginal",
            operation: "GetOriginalWebhookMessage",
            response: "gateway.v1.InteractionsGetOriginalResponse",
            fields: &[(1, At(2))],
        },
    ),
    (
        More::Application,
        Method {
            name: "interactions.EditOriginal",
            operation: "UpdateOriginalWebhookMessage",
            response: "gateway.v1.InteractionsEditOriginalResponse",
            fields: &[(1, At(2)), (2, At(5)), (3, At(6))],
        },
    ),
    (
        More::Application,
        Method {
            name: "interactions.DeleteOriginal",
            operation: "DeleteOriginalWebhookMessage",
            response: "gateway.v1.InteractionsDeleteOriginalResponse",
            fields: &[(1, At(2))],
        },
    ),
    (
        More::ApplicationAndWait,
        Method {
            name: "interactions.CreateFollowup",
            operation: "ExecuteWebhook",
            response: "gateway.v1.InteractionsCreateFollowupResponse",
            fields: &[(1, At(2)), (2, At(6)), (3, At(7))],
        },
    ),
    (
        More::Application,
        Method {
            name: "interactions.GetFollowup",
            operation: "GetWebhookMessage",
            response: "gateway.v1.InteractionsGetFollowupResponse",
            fields: &[(1, At(2)), (2, At(3))],
        },
    ),
    (
        More::Application,
        Method {
            name: "interactions.EditFollowup",
            operation: "UpdateWebhookMessage",
            response: "gateway.v1.InteractionsEditFollowupResponse",
            fields: &[(1, At(2)), (2, At(3)), (3, At(6)), (4, At(7))],
        },
    ),
    (
        More::Application,
        Method {
            name: "interactions.DeleteFollowup",
            operation: "DeleteWebhookMessage",
            response: "gateway.v1.InteractionsDeleteFollowupResponse",
            fields: &[(1, At(2)), (2, At(3))],
        },
    ),
];

/// Carries out a method of the service.
pub(crate) async fn interact(
    errand: &Errand,
    name: &str,
    message: &[u8],
) -> Result<Response, Failure> {
    let unknown = || Failure::Unimplemented("interactions", name.to_owned());
    let (more, method) = find(name).ok_or_else(unknown)?;
    let mut known = Vec::with_capacity(16);
    if *more != More::Nothing {
        fixed64::encode(1, &errand.application_id, &mut known);
    }
    if *more == More::ApplicationAndWait {
        bool::encode(3, &true, &mut known);
    }
    match errand.carried(method, known, message).await {
        Err(Failure::Discord(answer)) if answer.code() == ACKNOWLEDGED => {
            Err(Failure::Acknowledged(answer))
        }
        response => response,
    }
}

/// The method of this name.
fn find(name: &str) -> Option<&'static (More, Method)> {
    let mut methods = METHODS.iter();
    methods.find(|(_, method)| method.name.strip_prefix("interactions.") == Some(name))
}

#[cfg(test)]
mod tests {
    use super::{METHODS, find};

    #[test]
    fn the_table_is_as_the_contract_has_it() {
        let service = wire::rest::descriptors().get_service_by_name("gateway.v1.Interactions");
        let service = service.unwrap();
        assert_eq!(service.methods().count(), METHODS.len());
        for rpc in service.methods() {
            let (_, method) = find(rpc.name()).unwrap();
            assert_eq!(method.compare(), Ok(()));
        }
        assert!(find("Nothing").is_none());
    }
}
