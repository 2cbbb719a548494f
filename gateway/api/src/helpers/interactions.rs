//! The service `interactions`: its methods are operations of Discord's, with the token as their key.

use prost::{
    DecodeError,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, skip_field},
};

use self::Place::{At, Spread};

/// A method of the service.
#[derive(Debug)]
pub(super) struct Method {
    name: &'static str,
    /// The operation of the service `rest` that does it.
    pub(super) operation: &'static str,
    /// Full name of the response message.
    pub(super) response: &'static str,
    /// Where the fields of the request go.
    fields: &'static [(u32, Place)],
    /// Fields of the operation that the request does not have.
    more: More,
}

/// Where a field goes in the request of the operation.
#[derive(Debug)]
enum Place {
    /// To the field with this number.
    At(u32),
    /// What is in it goes to the fields with these numbers.
    Spread(&'static [(u32, Self)]),
}

/// What the operation needs beside what the caller says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum More {
    /// The application, in field 1.
    Application,
    /// The application, and that the message is waited for, in field 3.
    ApplicationAndWait,
    /// Nothing.
    Nothing,
}

const METHODS: [Method; 8] = [
    Method {
        name: "Respond",
        operation: "CreateInteractionResponse",
        response: "gateway.v1.InteractionsRespondResponse",
        fields: &[
            (1, At(1)),
            (2, At(2)),
            (3, Spread(&[(1, At(4)), (2, At(5))])),
            (4, At(3)),
        ],
        more: More::Nothing,
    },
    Method {
        name: "GetOriginal",
        operation: "GetOriginalWebhookMessage",
        response: "gateway.v1.InteractionsGetOriginalResponse",
        fields: &[(1, At(2))],
        more: More::Application,
    },
    Method {
        name: "EditOriginal",
        operation: "UpdateOriginalWebhookMessage",
        response: "gateway.v1.InteractionsEditOriginalResponse",
        fields: &[(1, At(2)), (2, At(5)), (3, At(6))],
        more: More::Application,
    },
    Method {
        name: "DeleteOriginal",
        operation: "DeleteOriginalWebhookMessage",
        response: "gateway.v1.InteractionsDeleteOriginalResponse",
        fields: &[(1, At(2))],
        more: More::Application,
    },
    Method {
        name: "CreateFollowup",
        operation: "ExecuteWebhook",
        response: "gateway.v1.InteractionsCreateFollowupResponse",
        fields: &[(1, At(2)), (2, At(6)), (3, At(7))],
        more: More::ApplicationAndWait,
    },
    Method {
        name: "GetFollowup",
        operation: "GetWebhookMessage",
        response: "gateway.v1.InteractionsGetFollowupResponse",
        fields: &[(1, At(2)), (2, At(3))],
        more: More::Application,
    },
    Method {
        name: "EditFollowup",
        operation: "UpdateWebhookMessage",
        response: "gateway.v1.InteractionsEditFollowupResponse",
        fields: &[(1, At(2)), (2, At(3)), (3, At(6)), (4, At(7))],
        more: More::Application,
    },
    Method {
        name: "DeleteFollowup",
        operation: "DeleteWebhookMessage",
        response: "gateway.v1.InteractionsDeleteFollowupResponse",
        fields: &[(1, At(2)), (2, At(3))],
        more: More::Application,
    },
];

impl Method {
    /// The method of this name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }

    /// The request of the operation, for this one's. The error says what is wrong with it.
    pub(super) fn request(&self, message: &[u8], application: u64) -> Result<Vec<u8>, String> {
        let mut request = Vec::with_capacity(message.len() + 16);
        if self.more != More::Nothing {
            prost::encoding::fixed64::encode(1, &application, &mut request);
        }
        if self.more == More::ApplicationAndWait {
            prost::encoding::bool::encode(3, &true, &mut request);
        }
        match spread(message, self.fields, &mut request) {
            Ok(None) => Ok(request),
            Ok(Some(number)) => Err(format!(
                "it has a field with the number {number}, which interactions.{} does not have",
                self.name
            )),
            Err(error) => Err(format!("it is no such message: {error}")),
        }
    }

    /// The response for that of the operation: field 1 is the same in both.
    pub(super) fn answer(&self, message: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut response = Vec::with_capacity(message.len());
        spread(message, &[(1, At(1))], &mut response)?;
        Ok(response)
    }
}

/// Writes the fields of a message under other numbers. Says which field has no place.
fn spread(
    mut message: &[u8],
    fields: &[(u32, Place)],
    out: &mut Vec<u8>,
) -> Result<Option<u32>, DecodeError> {
    let mut homeless = None;
    while !message.is_empty() {
        let (number, wire) = decode_key(&mut message)?;
        let mut value = message;
        skip_field(wire, number, &mut message, DecodeContext::default())?;
        value = &value[..value.len() - message.len()];
        match fields.iter().find(|(from, _)| *from == number) {
            Some((_, At(to))) => {
                encode_key(*to, wire, out);
                out.extend_from_slice(value);
            }
            Some((_, Spread(inner))) if wire == WireType::LengthDelimited => {
                decode_varint(&mut value)?;
                homeless = homeless.or(spread(value, inner, out)?);
            }
            _ => homeless = homeless.or(Some(number)),
        }
    }
    Ok(homeless)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
    use wire::{
        discord::v1::{InteractionCallbackParams, MessageParams},
        gateway::v1::{
            File, InteractionResponse, InteractionsCreateFollowupRequest,
            InteractionsRespondRequest,
        },
    };

    use super::{At, METHODS, Method, Place, Spread};

    fn message(name: &str) -> MessageDescriptor {
        wire::rest::descriptors().get_message_by_name(name).unwrap()
    }

    /// Each field of each method has a place, of the same name and type, or one that means the same.
    #[test]
    fn the_numbers_are_those_of_the_contract() {
        let same = |from: &MessageDescriptor, fields: &[(u32, Place)], to: &MessageDescriptor| {
            assert_eq!(from.fields().count(), fields.len(), "{}", from.full_name());
            for (number, place) in fields {
                let At(at) = place else { continue };
                let from = from.get_field(*number).unwrap();
                let to = to.get_field(*at).unwrap();
                let names = (from.name(), to.name());
                let token = matches!(names, ("token", "interaction_token" | "webhook_token"));
                assert!(token || names.0 == names.1, "{names:?}");
                match (from.kind(), to.kind()) {
                    (Kind::Message(a), Kind::Message(b)) if names.0 == "files" => {
                        let names = |it: MessageDescriptor| {
                            it.fields()
                                .map(|field| (field.number(), field.name().to_owned()))
                                .collect::<Vec<_>>()
                        };
                        assert_eq!(names(a), names(b));
                    }
                    (a, b) => assert_eq!(a, b, "{names:?}"),
                }
            }
        };
        let service = wire::rest::descriptors().get_service_by_name("gateway.v1.Interactions");
        let service = service.unwrap();
        assert_eq!(service.methods().count(), METHODS.len());
        for rpc in service.methods() {
            let method = Method::find(rpc.name()).unwrap();
            assert_eq!(method.response, rpc.output().full_name());
            let operation = wire::rest::service();
            let operation = operation
                .methods()
                .find(|it| it.name() == method.operation)
                .unwrap();
            let to = operation.input();
            same(&rpc.input(), method.fields, &to);
            for (number, place) in method.fields {
                if let (Spread(inner), Some(field)) = (place, rpc.input().get_field(*number)) {
                    same(field.kind().as_message().unwrap(), inner, &to);
                }
            }
            if let Some(field) = rpc.output().get_field(1) {
                let other = operation.output().get_field(1).unwrap();
                assert_eq!((field.name(), field.kind()), (other.name(), other.kind()));
            }
        }
    }

    #[test]
    fn a_request_becomes_that_of_the_operation() {
        let asked = InteractionsRespondRequest {
            interaction_id: 7,
            token: "abc".to_owned(),
            response: Some(InteractionResponse {
                callback: Some(InteractionCallbackParams {
                    r#type: Some(9),
                    ..Default::default()
                }),
                files: vec![File {
                    filename: "a".to_owned(),
                    ..Default::default()
                }],
            }),
            with_response: true,
        };
        let method = Method::find("Respond").unwrap();
        let made = method.request(&asked.encode_to_vec(), 77).unwrap();
        let to = message("discord.v1.CreateInteractionResponseRequest");
        let made = DynamicMessage::decode(to, &*made).unwrap();
        let expected = r#"interaction_id:7,interaction_token:"abc",with_response:true,callback{type:INTERACTION_CALLBACK_TYPE_MODAL},files:[{filename:"a"}]"#;
        assert_eq!(made.to_string(), expected);

        let asked = InteractionsCreateFollowupRequest {
            token: "abc".to_owned(),
            message: Some(Box::new(MessageParams {
                content: Some("hi".to_owned()),
                ..Default::default()
            })),
            files: Vec::new(),
        };
        let method = Method::find("CreateFollowup").unwrap();
        let made = method.request(&asked.encode_to_vec(), 77).unwrap();
        let to = message("discord.v1.ExecuteWebhookRequest");
        let made = DynamicMessage::decode(to, &*made).unwrap();
        let expected = r#"webhook_id:77,webhook_token:"abc",wait:true,message{content:"hi"}"#;
        assert_eq!(made.to_string(), expected);
    }

    #[test]
    fn what_the_method_does_not_have_is_refused() {
        let method = Method::find("GetOriginal").unwrap();
        let error = method.request(&[0x50, 1], 77).unwrap_err();
        assert!(error.contains("number 10"), "{error}");
        for cut in [&[0x0a, 5, 1][..], &[0x0a], &[0xff], &[0x0f, 1]] {
            assert!(method.request(cut, 77).is_err(), "{cut:?}");
        }
        // The response is a message within the message, and no number.
        let respond = Method::find("Respond").unwrap();
        assert!(respond.request(&[0x18, 5], 77).is_err());
        assert!(Method::find("Nothing").is_none());
    }
}
