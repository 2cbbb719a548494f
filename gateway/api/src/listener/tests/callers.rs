//! What callers do in the ordinary course of things.

use reqwest::Method;
use serde_json::json;

use super::{OTHER, Stage, taken};

#[tokio::test]
async fn a_message_is_made_read_edited_and_deleted() {
    let stage = Stage::new(&[]).await;
    let (status, headers, made) =
        taken(stage.message("hello").header("user-agent", "a library")).await;
    assert_eq!((status, &made["content"]), (200, &json!("hello")));
    let limits: Vec<&str> = headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-ratelimit"))
        .collect();
    assert!(
        limits.is_empty(),
        "a library would wait a second time: {limits:?}"
    );
    let path = format!(
        "/api/channels/{}/messages/{}",
        stage.channel,
        made["id"].as_str().unwrap()
    );
    let (status, _, edited) = taken(
        stage
            .request(Method::PATCH, &path)
            .json(&json!({"content": "edited"})),
    )
    .await;
    assert_eq!((status, &edited["content"]), (200, &json!("edited")));
    let (status, ..) = taken(stage.get(&path)).await;
    assert_eq!(status, 200);
    let (status, _, body) = taken(stage.request(Method::DELETE, &path)).await;
    assert_eq!((status, body), (204, json!(null)));
    let (status, headers, body) = taken(stage.get(&path)).await;
    assert_eq!(
        (status, &body["code"]),
        (404, &json!(10_008)),
        "as Discord has it"
    );
    assert!(
        !headers.contains_key("x-gateway-error"),
        "it is no error of ours"
    );
    let (status, _, body) = taken(stage.message("")).await;
    assert_eq!((status, &body["code"]), (400, &json!(50_006)), "{body}");
    stage.rules_kept();
}

#[tokio::test]
async fn query_reason_and_form_arrive_untouched() {
    let stage = Stage::new(&[]).await;
    let path = "/api/v10/applications/5/audit-logs?limit=5&user_id=%31";
    let body = "--x\r\ncontent-disposition: form-data; name=\"files[0]\"; filename=\"a.bin\"\r\n\r\n\x01\x02--\r\n--x--\r\n";
    let request = stage
        .request(Method::POST, path)
        .header("x-audit-log-reason", "because%20of%20it")
        .header("content-type", "multipart/form-data; boundary=x")
        .header("x-gateway-priority", "9")
        .body(body);
    let (status, _, echo) = taken(request).await;
    assert_eq!(status, 200, "{echo}");
    assert_eq!(echo["reason"], "because%20of%20it", "{echo}");
    assert_eq!(echo["query"], json!([["limit", "5"], ["user_id", "1"]]));
    assert_eq!(echo["files"][0]["size"], 4, "{echo}");
    let (status, _, body) = taken(stage.get("/api/gateway/bot")).await;
    assert_eq!((status, body["url"].is_string()), (200, true), "{body}");
    let (status, _, body) = taken(stage.get("/api/gateway")).await;
    assert_eq!((status, body["url"].is_string()), (200, true), "{body}");
    stage.rules_kept();
}

#[tokio::test]
async fn paths_with_a_token_need_no_other() {
    let rest = sim::RestConfig {
        webhooks: vec![5001],
        ..sim::RestConfig::default()
    };
    let stage = Stage::with(rest, &[], None).await;
    let callback = stage
        .request(Method::POST, "/api/v10/interactions/9/sometoken/callback")
        .json(&json!({"type": 5}));
    assert_eq!(taken(callback).await.0, 204);
    let path = format!(
        "/api/v10/webhooks/{}/sometoken/messages/@original",
        stage.application_id
    );
    let edit = stage
        .request(Method::PATCH, &path)
        .json(&json!({"content": "done"}));
    assert_eq!(taken(edit).await.0, 200);
    let hook = stage
        .request(Method::POST, "/api/webhooks/5001/token?wait=true")
        .json(&json!({"content": "by the webhook"}));
    assert_eq!(taken(hook).await.0, 200);
    stage.rules_kept();
}

#[tokio::test]
async fn one_of_several_applications_is_named_by_the_base_url() {
    let file = r#"
        [[applications]]
        token = "sim.token"
        [[applications]]
        token = "other.token"
    "#;
    let stage = Stage::with(sim::RestConfig::default(), &[], Some(file)).await;
    let (status, _, body) = taken(stage.get("/api/users/@me")).await;
    assert_eq!((status, &body["code"]), (404, &json!(10_002)), "{body}");
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .contains("<application id>"),
        "{body}"
    );
    for id in [stage.application_id, OTHER] {
        assert_eq!(
            taken(stage.get(&format!("/{id}/api/v10/users/@me")))
                .await
                .0,
            200
        );
    }
    let (status, headers, body) = taken(stage.get("/78/api/users/@me")).await;
    assert_eq!((status, &body["code"]), (404, &json!(10_002)), "{body}");
    assert_eq!(headers["x-gateway-error"], "NOT_FOUND");
    assert_eq!(stage.sim.requests().len(), 2);
}

#[tokio::test]
async fn only_the_version_that_is_spoken_is_served() {
    let stage = Stage::new(&[]).await;
    for version in ["v9", "v6", "v11", "v100000000000000000000"] {
        let (status, _, body) = taken(stage.get(&format!("/api/{version}/users/@me"))).await;
        let expected = json!({"message": "Invalid API version", "code": 50_041});
        assert_eq!((status, body), (400, expected));
    }
    assert!(stage.sim.requests().is_empty());
    for base in ["/api", "/api/v10"] {
        assert_eq!(taken(stage.get(&format!("{base}/users/@me"))).await.0, 200);
    }
}

#[tokio::test]
async fn a_callers_own_token_is_used_where_that_is_allowed() {
    for (tokens, status) in [("ignore", 200), ("own", 401)] {
        let stage = Stage::new(&[("HTTP_TOKENS", tokens)]).await;
        let me = || stage.get("/api/v10/users/@me");
        let (got, ..) = taken(me().header("authorization", "Bot another.token")).await;
        assert_eq!(got, status, "{tokens}");
        assert_eq!(
            taken(me()).await.0,
            200,
            "the application is none the worse for it"
        );
    }
}

#[tokio::test]
async fn strangers_never_reach_discord() {
    let secret = ("HTTP_SECRET", "correct-horse-battery");
    let stage = Stage::new(&[secret]).await;
    for request in [
        stage.get("/api/v10/users/@me"),
        stage
            .get("/api/v10/users/@me")
            .header("authorization", "Bot sim.token"),
        stage.get("/wrong-horse-battery/api/v10/users/@me"),
        stage.request(Method::POST, "/api/v10/interactions/9/t/callback"),
    ] {
        let (status, headers, body) = taken(request).await;
        let expected = json!({"message": "401: Unauthorized", "code": 0});
        assert_eq!((status, body), (401, expected));
        assert_eq!(headers["x-gateway-error"], "UNAUTHENTICATED");
    }
    assert!(stage.sim.requests().is_empty());
    stage
        .shows("gateway_api_http_errors_total{code=\"CODE_UNAUTHENTICATED\"} 4")
        .await;
    for request in [
        stage.get("/correct-horse-battery/api/v10/users/@me"),
        stage
            .get("/api/v10/users/@me")
            .header("authorization", "Bot correct-horse-battery"),
        stage
            .get("/api/v10/users/@me")
            .header("x-gateway-secret", "correct-horse-battery"),
    ] {
        assert_eq!(taken(request).await.0, 200);
    }
    stage.rules_kept();
}
