//! The service `rest`: typed operations, from their descriptors.

use super::{Errand, Response, query};
use crate::{Call, Failure, Token};
use discord::route::Method;
use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use rest::{Body, Operations, Request};
use transcode::Scratch;

impl Errand {
    /// Carries out the operation of this name, with an encoded request message.
    ///
    /// # Errors
    /// What is wrong with the message, or came of sending it.
    pub async fn typed(&self, name: &str, message: &[u8]) -> Result<Response, Failure> {
        let operations = self.gateway.operations();
        let operation = operations
            .find(name)
            .ok_or_else(|| Failure::Unimplemented("rest", name.to_owned()))?;
        let call = self.render(operations, name, message).await?;
        let answer = self.send(call).await?;
        let status = answer.status.as_u16();
        let mut scratch = Scratch::default();
        let body = operation.response(operations, status, &answer.body, &mut scratch);
        let body = body.map_err(|error| Failure::Odd(error.to_string()))?;
        Ok(Response {
            type_name: operation.response_name().to_owned(),
            body: body.into(),
            is_end: false,
        })
    }

    /// What is sent to Discord for it.
    async fn render(
        &self,
        operations: &Operations,
        name: &str,
        message: &[u8],
    ) -> Result<Call, Failure> {
        let unknown = || Failure::Unimplemented("rest", name.to_owned());
        let operation = operations.find(name).ok_or_else(unknown)?;
        let mut scratch = Scratch::default();
        let request = operation
            .request(operations, self.application_id, message, &mut scratch)
            .map_err(|error| Failure::invalid("body", error.to_string()))?;
        let Request {
            method,
            path,
            query: parameters,
            headers,
            body,
        } = request;
        let method = Method::parse(method).ok_or_else(unknown)?;
        let mut call = self.call(method, path);
        let parameters = parameters.iter();
        call.query = query(parameters.map(|(name, value)| (name.as_str(), value.as_str())));
        for (name, value) in headers {
            set(&mut call, &name, value)?;
        }
        match body {
            Body::None => Ok(call),
            Body::Json(json) => {
                let kind = HeaderValue::from_static("application/json");
                call.headers.insert(CONTENT_TYPE, kind);
                call.body = json.into();
                Ok(call)
            }
            Body::Form(fields, files) => self.form(call, &fields, files).await,
        }
    }
}

/// Sets a header; the one with a user's token is the call's own.
fn set(call: &mut Call, name: &str, value: String) -> Result<(), Failure> {
    let wrong = || Failure::invalid(name, "a header cannot have this");
    let parsed: HeaderName = name.parse().map_err(|_| wrong())?;
    if parsed == AUTHORIZATION {
        call.token = match value.strip_prefix("Bearer ") {
            Some(token) => Token::Bearer(token.into()),
            None => Token::Own(value.into()),
        };
        return Ok(());
    }
    let value = HeaderValue::try_from(value).map_err(|_| wrong())?;
    call.headers.insert(parsed, value);
    Ok(())
}
