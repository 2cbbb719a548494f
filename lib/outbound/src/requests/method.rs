//! Methods of ours that are operations of Discord's: the same fields under other numbers.

use super::{Errand, Response};
use crate::Failure;
use prost::{
    DecodeError,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, skip_field},
};
use prost_reflect::{Kind, MessageDescriptor};

/// A method that an operation of the service `rest` does.
#[derive(Debug)]
pub struct Method {
    /// Its name, with that of its service: `interactions.Respond`.
    pub name: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// Full name of the response message.
    pub response: &'static str,
    /// Where the fields of the request go.
    pub fields: &'static [(u32, Place)],
}

/// Where a field goes in the request of the operation.
#[derive(Debug)]
pub enum Place {
    /// To the field with this number.
    At(u32),
    /// Nowhere: what is in it was looked at before.
    Nowhere,
    /// What is in it goes to the fields with these numbers.
    Spread(&'static [(u32, Self)]),
}

impl Method {
    /// Looks whether the message has only fields of the method's.
    ///
    /// # Errors
    /// The field that it has not, or that it is no message at all.
    pub fn check(&self, message: &[u8]) -> Result<(), Failure> {
        self.request(message, Vec::new()).map(drop)
    }

    /// Compares it with the contract, for the test of who has it: each field has a place, of the same name and type or
    /// one that means the same.
    ///
    /// # Errors
    /// What is not so.
    pub fn compare(&self) -> Result<(), String> {
        let known = wire::rest::descriptors();
        let (service, name) = self.name.split_once('.').unwrap_or_default();
        let mut services = known.services();
        let service =
            services.find(|it| it.package_name() == "gateway.v1" && is_called(it.name(), service));
        let rpc = service.and_then(|service| service.methods().find(|rpc| rpc.name() == name));
        let operations = wire::rest::service();
        let operation = operations.methods().find(|it| it.name() == self.operation);
        let (Some(rpc), Some(operation)) = (rpc, operation) else {
            return Err(format!("{} or {} is missing", self.name, self.operation));
        };
        if self.response != rpc.output().full_name() {
            return Err(format!(
                "{} answers {}",
                self.name,
                rpc.output().full_name()
            ));
        }
        compare(&rpc.input(), self.fields, &operation.input())?;
        let Some(answer) = rpc.output().get_field(1) else {
            return Ok(());
        };
        let same = operation.output().get_field(1);
        let same = same.is_some_and(|it| (it.name(), it.kind()) == (answer.name(), answer.kind()));
        same.then_some(())
            .ok_or_else(|| format!("{} has another field 1", self.response))
    }

    /// The request of the operation, for this one's: behind the fields that it has beside.
    fn request(&self, message: &[u8], mut request: Vec<u8>) -> Result<Vec<u8>, Failure> {
        request.reserve(message.len());
        let why = match spread(message, self.fields, &mut request) {
            Ok(None) => return Ok(request),
            Ok(Some(number)) => format!(
                "it has a field with the number {number}, which {} does not have",
                self.name
            ),
            Err(error) => format!("it is no such message: {error}"),
        };
        Err(Failure::invalid("body", why))
    }

    /// The response for that of the operation: field 1 is the same in both.
    fn answer(&self, message: &[u8]) -> Result<Response, Failure> {
        let mut response = Vec::with_capacity(message.len());
        spread(message, &[(1, Place::At(1))], &mut response)
            .map_err(|error| Failure::Odd(error.to_string()))?;
        Ok(Response {
            type_name: self.response.to_owned(),
            body: response.into(),
            is_end: false,
        })
    }
}

impl Errand {
    /// Carries out a method by its operation. `more` has the encoded fields of the operation that the request does not
    /// have.
    ///
    /// # Errors
    /// As [`Errand::typed`], with the names of the method's fields.
    pub async fn carried(
        &self,
        method: &Method,
        more: Vec<u8>,
        message: &[u8],
    ) -> Result<Response, Failure> {
        let request = method.request(message, more)?;
        let response = match self.typed(method.operation, &request).await {
            Err(Failure::Invalid { field, why }) => {
                // What the operation calls otherwise.
                let why = why.replace("interaction_token", "token");
                let why = why.replace("webhook_token", "token");
                return Err(Failure::Invalid { field, why });
            }
            response => response?,
        };
        method.answer(&response.body)
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
            Some((_, Place::At(to))) => {
                encode_key(*to, wire, out);
                out.extend_from_slice(value);
            }
            Some((_, Place::Spread(inner))) if wire == WireType::LengthDelimited => {
                decode_varint(&mut value)?;
                homeless = homeless.or(spread(value, inner, out)?);
            }
            Some((_, Place::Nowhere)) => {}
            _ => homeless = homeless.or(Some(number)),
        }
    }
    Ok(homeless)
}

/// Whether a service has this name in routing keys.
fn is_called(service: &str, name: &str) -> bool {
    service.eq_ignore_ascii_case(name)
}

/// Says which field of `from` has no place, or one in `to` that means something else.
fn compare(
    from: &MessageDescriptor,
    fields: &[(u32, Place)],
    to: &MessageDescriptor,
) -> Result<(), String> {
    if from.fields().count() != fields.len() {
        return Err(format!("{} has other fields", from.full_name()));
    }
    for (number, place) in fields {
        let wrong = || format!("field {number} of {}", from.full_name());
        let from = from.get_field(*number).ok_or_else(wrong)?;
        let at = match place {
            Place::At(at) => to.get_field(*at).ok_or_else(wrong)?,
            Place::Nowhere => continue,
            Place::Spread(inner) => {
                let kind = from.kind();
                compare(kind.as_message().ok_or_else(wrong)?, inner, to)?;
                continue;
            }
        };
        let token = ["interaction_token", "webhook_token"].contains(&at.name());
        let same = match (from.kind(), at.kind()) {
            (Kind::Message(a), Kind::Message(b)) if from.name() == "files" => {
                let names = |it: &MessageDescriptor| -> Vec<(u32, String)> {
                    let fields = it.fields();
                    fields
                        .map(|it| (it.number(), it.name().to_owned()))
                        .collect()
                };
                names(&a) == names(&b)
            }
            (a, b) => a == b,
        };
        if !same || !(from.name() == at.name() || from.name() == "token" && token) {
            return Err(wrong());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use wire::{
        discord::v1::{InteractionCallbackParams, MessageParams},
        gateway::v1::{
            File, InteractionResponse, InteractionsRespondRequest, WebhookAddress,
            WebhookExecuteRequest, webhook_execute_request::Body,
        },
    };

    use super::{
        Method,
        Place::{At, Nowhere, Spread},
    };

    const RESPOND: Method = Method {
        name: "interactions.Respond",
        operation: "CreateInteractionResponse",
        response: "gateway.v1.InteractionsRespondResponse",
        fields: &[
            (1, At(1)),
            (2, At(2)),
            (3, Spread(&[(1, At(4)), (2, At(5))])),
            (4, At(3)),
        ],
    };
    const GET_ORIGINAL: Method = Method {
        name: "interactions.GetOriginal",
        operation: "GetOriginalWebhookMessage",
        response: "gateway.v1.InteractionsGetOriginalResponse",
        fields: &[(1, At(2))],
    };

    fn read(message: &str, encoded: &[u8]) -> String {
        let message = wire::rest::descriptors().get_message_by_name(message);
        let read = prost_reflect::DynamicMessage::decode(message.unwrap(), encoded);
        read.unwrap().to_string()
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
        let made = RESPOND.request(&asked.encode_to_vec(), Vec::new()).unwrap();
        let made = read("discord.v1.CreateInteractionResponseRequest", &made);
        let expected = r#"interaction_id:7,interaction_token:"abc",with_response:true,callback{type:INTERACTION_CALLBACK_TYPE_MODAL},files:[{filename:"a"}]"#;
        assert_eq!(made, expected);
    }

    #[test]
    fn what_was_looked_at_before_is_left_out_and_what_is_known_beside_goes_along() {
        let method = Method {
            name: "webhook.Execute",
            operation: "ExecuteWebhook",
            response: "gateway.v1.WebhookExecuteResponse",
            fields: &[(1, Nowhere), (5, At(6))],
        };
        let asked = WebhookExecuteRequest {
            webhook: Some(WebhookAddress {
                id: 5,
                ..Default::default()
            }),
            body: Some(Body::Message(Box::new(MessageParams {
                content: Some("hi".to_owned()),
                ..Default::default()
            }))),
            ..Default::default()
        };
        let mut known = Vec::new();
        prost::encoding::fixed64::encode(1, &77, &mut known);
        let made = method.request(&asked.encode_to_vec(), known).unwrap();
        let made = read("discord.v1.ExecuteWebhookRequest", &made);
        assert_eq!(made, r#"webhook_id:77,message{content:"hi"}"#);
    }

    #[test]
    fn what_the_method_does_not_have_is_refused() {
        let error = GET_ORIGINAL.check(&[0x50, 1]).unwrap_err().to_string();
        assert!(error.contains("number 10"), "{error}");
        for cut in [&[0x0a, 5, 1][..], &[0x0a], &[0xff], &[0x0f, 1]] {
            assert!(GET_ORIGINAL.check(cut).is_err(), "{cut:?}");
        }
        // The response is a message within the message, and no number.
        assert!(RESPOND.check(&[0x18, 5]).is_err());
    }

    #[test]
    fn a_table_that_is_not_as_the_contract_has_it_is_found() {
        assert_eq!(RESPOND.compare(), Ok(()));
        assert_eq!(GET_ORIGINAL.compare(), Ok(()));
        for fields in [
            &[(1, At(1))][..],
            &[(2, At(2))],
            &[(1, At(2)), (2, At(3))],
            &[(1, At(9))],
        ] {
            let wrong = Method {
                fields,
                ..GET_ORIGINAL
            };
            assert!(wrong.compare().is_err(), "{fields:?}");
        }
    }
}
