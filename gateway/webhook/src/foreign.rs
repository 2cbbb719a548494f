//! Bodies in the shapes of Slack's and GitHub's webhooks, which Discord takes as they are.
//!
//! See [Discord Docs/Slack](https://docs.discord.com/developers/resources/webhook#execute-slack-compatible-webhook) and
//! [GitHub](https://docs.discord.com/developers/resources/webhook#execute-github-compatible-webhook).

use discord::route::Method;
use http::{HeaderValue, header::CONTENT_TYPE};
use outbound::{Call, Errand, Failure, Response, query};
use rest::percent;
use serde::de::IgnoredAny;
use wire::gateway::v1::{
    WebhookExecuteRequest, WebhookExecuteResponse, WebhookGithubBody, webhook_execute_request::Body,
};

use crate::address::Address;

/// The header with GitHub's name of the event.
const EVENT: &str = "x-github-event";

/// Sends such a body. Discord answers no message to it, so the response has none.
pub(crate) async fn execute(
    errand: &Errand,
    address: &Address,
    asked: WebhookExecuteRequest,
) -> Result<Response, Failure> {
    let only_messages = |field: &str| {
        let why = "only a `message` can have it: take it away, or send a `message`";
        Err(Failure::invalid(field, why))
    };
    if !asked.files.is_empty() {
        return only_messages("files");
    }
    if asked.with_components {
        return only_messages("with_components");
    }
    let call = call(errand, address, asked)?;
    errand.send(call).await?;
    Ok(Response::new(&WebhookExecuteResponse::default()))
}

fn call(errand: &Errand, address: &Address, asked: WebhookExecuteRequest) -> Result<Call, Failure> {
    let (shape, json, event) = match asked.body {
        Some(Body::Slack(json)) => ("slack", object("slack", json)?, None),
        Some(Body::Github(WebhookGithubBody { event, json })) => {
            ("github", object("github.json", json)?, Some(name(&event)?))
        }
        Some(Body::Message(_)) | None => {
            let why = "it stands beside another body: send one of the two";
            return Err(Failure::invalid("message", why));
        }
    };
    let token = percent::encode(&address.token);
    let path = format!("/webhooks/{}/{token}/{shape}", address.id);
    let mut call = errand.call(Method::Post, path);
    // Discord waits if it is not told: to the caller it is one and the same for all bodies.
    let wait = if asked.wait { "true" } else { "false" };
    let thread = asked.thread_id.map(|thread| thread.to_string());
    let thread = thread.as_deref().map(|thread| ("thread_id", thread));
    call.query = query([("wait", wait)].into_iter().chain(thread));
    let kind = HeaderValue::from_static("application/json");
    call.headers.insert(CONTENT_TYPE, kind);
    if let Some(event) = event {
        call.headers.insert(EVENT, event);
    }
    call.body = json.into();
    Ok(call)
}

/// A body, which has to be a JSON object; nothing of it is repeated.
fn object(field: &str, json: String) -> Result<String, Failure> {
    let wrong = |error| Failure::invalid(field, format!("it is no JSON: {error}"));
    serde_json::from_str::<IgnoredAny>(&json).map_err(wrong)?;
    match json.trim_start().starts_with('{') {
        true => Ok(json),
        false => Err(Failure::invalid(field, "it is no JSON object")),
    }
}

/// GitHub's name of an event, as the header has it.
fn name(event: &str) -> Result<HeaderValue, Failure> {
    let field = "github.event";
    if event.is_empty() {
        let why = "it is missing: GitHub's header `X-GitHub-Event`, such as `push`";
        return Err(Failure::invalid(field, why));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let value = HeaderValue::from_str(event).ok();
    value
        .filter(|_| event.bytes().all(fits))
        .ok_or_else(|| Failure::invalid(field, "it is no name of an event, such as `push`"))
}
