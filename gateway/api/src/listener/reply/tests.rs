//! What libraries see of each failure.

use std::time::Duration;

use discord::limit::Refusal;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::Reply;
use crate::Failure;

async fn body(response: Response<Full<bytes::Bytes>>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

fn header<'a>(response: &'a Response<Full<bytes::Bytes>>, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// Failures, each with the status, the code and the cause that a caller sees.
fn failures() -> Vec<(Failure, u16, u32, &'static str)> {
    let retry_after = Duration::from_secs(1);
    let gone = |status, code| Refusal::Gone {
        status,
        code,
        major: "channels/1".to_owned(),
    };
    vec![
        (Failure::Application(7), 404, 10_002, "NOT_FOUND"),
        (Failure::invalid("path", "x"), 404, 0, "INVALID_ARGUMENT"),
        (
            Failure::invalid("query", "x"),
            400,
            50_035,
            "INVALID_ARGUMENT",
        ),
        (Failure::Late, 504, 0, "DEADLINE_EXCEEDED"),
        (Failure::Odd("x".to_owned()), 502, 0, "INTERNAL"),
        (
            Refusal::Banned { retry_after }.into(),
            429,
            0,
            "RESOURCE_EXHAUSTED",
        ),
        (
            Refusal::Deadline { retry_after }.into(),
            429,
            0,
            "DEADLINE_EXCEEDED",
        ),
        (
            Refusal::Full { retry_after }.into(),
            429,
            0,
            "RESOURCE_EXHAUSTED",
        ),
        (
            Refusal::Invalid { retry_after }.into(),
            429,
            0,
            "RESOURCE_EXHAUSTED",
        ),
        (gone(404, 10_003).into(), 404, 10_003, "NOT_FOUND"),
        (gone(404, 10_015).into(), 404, 10_015, "NOT_FOUND"),
        (gone(401, 50_027).into(), 401, 50_027, "UNAUTHENTICATED"),
        (Refusal::Unauthorized.into(), 401, 0, "UNAUTHENTICATED"),
        (Failure::Stopping, 503, 0, "UNAVAILABLE"),
        (Failure::Unreachable("x".to_owned()), 502, 0, "UNAVAILABLE"),
        (Failure::Unknown("x".to_owned()), 504, 0, "UNKNOWN"),
    ]
}

#[tokio::test]
async fn every_failure_has_a_status_and_says_that_it_is_ours() {
    for (failure, status, code, cause) in failures() {
        let shown = format!("{failure:?}");
        let response = Reply::from(failure).into_response();
        assert_eq!(response.status().as_u16(), status, "{shown}");
        assert_eq!(
            header(&response, "content-type"),
            "application/json",
            "{shown}"
        );
        assert_eq!(header(&response, "x-gateway-error"), cause, "{shown}");
        assert_eq!(
            status == 429,
            response.headers().contains_key("retry-after"),
            "{shown}"
        );
        let body = body(response).await;
        assert_eq!(body["code"], code, "{shown}");
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{shown}"
        );
        assert_eq!(status == 429, body["retry_after"].is_number(), "{shown}");
    }
}

#[tokio::test]
async fn a_429_has_all_that_libraries_look_at() {
    let retry_after = Duration::from_micros(64_570_100);
    for (refusal, scope, global) in [
        (Refusal::Deadline { retry_after }, "user", false),
        (Refusal::Full { retry_after }, "shared", false),
        (Refusal::Banned { retry_after }, "global", true),
    ] {
        let response = Reply::from(Failure::from(refusal)).into_response();
        assert_eq!(header(&response, "retry-after"), "65", "never too short");
        assert_eq!(header(&response, "x-ratelimit-scope"), scope);
        assert_eq!(
            header(&response, "x-ratelimit-global"),
            if global { "true" } else { "" }
        );
        assert!(
            !header(&response, "via").is_empty(),
            "discord.py takes it for a ban otherwise"
        );
        let body = body(response).await;
        assert_eq!(
            (&body["retry_after"], &body["global"]),
            (&json!(64.571), &json!(global))
        );
    }
}

#[tokio::test]
async fn what_is_wrong_stands_in_a_tree() {
    let failure = Failure::invalid("query", "it has a space");
    let body = body(Reply::from(failure).into_response()).await;
    let expected =
        json!({"query": {"_errors": [{"code": "INVALID", "message": "it has a space"}]}});
    assert_eq!(body["errors"], expected);
}
