//! The limits of routes, as a client meets them.

use serde_json::{Value, json};
use sim::{Config, Kind, Limit, RestConfig, Scope, Sim, Window};

use crate::client::{AGENT, TOKEN, answer, http, kinds, quick, start};

fn headers() -> String {
    format!(
        "authorization: Bot {TOKEN}\r\nuser-agent: {AGENT}\r\ncontent-type: application/json\r\n"
    )
}

async fn with(rest: RestConfig) -> Sim {
    start(Config { rest, ..quick() }).await
}

fn messages(sim: &Sim, channel: usize) -> String {
    let guild = sim.guild_ids()[0];
    format!(
        "{}/channels/{}/messages",
        sim.api_url(),
        sim.channel_ids(guild)[channel]
    )
}

async fn post(url: &str) -> (u16, String, Value) {
    let (status, head, body) = answer("POST", url, &headers(), r#"{"content":"x"}"#).await;
    (
        status,
        head,
        serde_json::from_str(&body).unwrap_or_default(),
    )
}

/// Three in an hour: the test ends sooner.
fn three(window: Window) -> Vec<Limit> {
    vec![Limit {
        path: "channels/*/messages".to_owned(),
        limit: 3,
        window_ms: 3_600_000,
        window,
        ..Limit::default()
    }]
}

#[tokio::test]
async fn each_channel_has_its_own_counter_of_one_bucket() {
    for window in [Window::Fixed, Window::Sliding, Window::TokenBucket] {
        let limits = three(window);
        let sim = with(RestConfig {
            limits,
            ..RestConfig::default()
        })
        .await;
        for left in [2, 1, 0] {
            let (status, head, _) = post(&messages(&sim, 0)).await;
            assert_eq!(status, 200);
            assert!(head.contains("x-ratelimit-limit: 3"), "{head}");
            assert!(
                head.contains(&format!("x-ratelimit-remaining: {left}")),
                "{head}"
            );
            assert!(head.contains("x-ratelimit-reset-after: "), "{head}");
        }
        let (status, head, body) = post(&messages(&sim, 0)).await;
        assert_eq!(
            (status, &body["global"]),
            (429, &json!(false)),
            "{window:?}"
        );
        assert!(body["retry_after"].as_f64().unwrap() > 100.0);
        assert!(head.contains("x-ratelimit-scope: user"), "{head}");
        assert!(head.contains("retry-after: "), "{head}");
        assert_eq!(post(&messages(&sim, 1)).await.0, 200);
        let buckets = sim
            .requests()
            .into_iter()
            .map(|request| request.bucket.unwrap());
        let buckets: std::collections::BTreeSet<String> = buckets.collect();
        assert_eq!(buckets.len(), 1);
        let state = sim.state().rest;
        assert_eq!((state.requests, state.executed, state.invalid), (5, 4, 1));
        assert_eq!(state.limited[&Scope::User], 1);
    }
}

#[tokio::test]
async fn who_does_not_wait_is_noted() {
    let limits = three(Window::Fixed);
    let sim = with(RestConfig {
        limits,
        global_limit: 0,
        ..RestConfig::default()
    })
    .await;
    for _ in 0..4 {
        post(&messages(&sim, 0)).await;
    }
    // Some time after the first 429 a client has read it.
    while kinds(&sim).is_empty() {
        assert_eq!(post(&messages(&sim, 0)).await.0, 429);
    }
    let first = kinds(&sim)[0];
    assert!(
        matches!(first, Kind::RestBucketEmpty | Kind::RestRetryAfter),
        "{first:?}"
    );
}

#[tokio::test]
async fn a_hidden_limit_shows_only_by_its_429() {
    let sim = with(RestConfig::default()).await;
    let guild = sim.guild_ids()[0];
    let url = format!("{}/channels/{}", sim.api_url(), sim.channel_ids(guild)[0]);
    for _ in 0..2 {
        let body = r#"{"name":"new"}"#;
        assert_eq!(http("PATCH", &url, &headers(), body).await.0, 200);
    }
    let (status, head, body) = answer("PATCH", &url, &headers(), r#"{"name":"newer"}"#).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 429);
    assert!(body["retry_after"].as_f64().unwrap() > 500.0);
    assert!(head.contains("x-ratelimit-remaining: 7"), "{head}");
    // Other members are not meant.
    assert_eq!(
        http("PATCH", &url, &headers(), r#"{"nsfw":true}"#).await.0,
        200
    );
}

#[tokio::test]
async fn the_global_limit_counts_all_but_interactions() {
    let sim = with(RestConfig {
        global_limit: 2,
        global_window_ms: 3_600_000,
        ..RestConfig::default()
    })
    .await;
    assert_eq!(post(&messages(&sim, 0)).await.0, 200);
    assert_eq!(post(&messages(&sim, 1)).await.0, 200);
    let (status, head, body) = post(&messages(&sim, 2)).await;
    assert_eq!((status, &body["global"]), (429, &json!(true)));
    assert!(head.contains("x-ratelimit-global: true"), "{head}");
    assert!(!head.contains("x-ratelimit-bucket"), "{head}");
    let callback = format!("{}/interactions/1/abc/callback", sim.api_url());
    assert_eq!(
        http("POST", &callback, &headers(), r#"{"type":5}"#).await.0,
        204
    );
    assert_eq!(kinds(&sim), [Kind::RestGlobal]);
}

#[tokio::test]
async fn too_many_invalid_requests_end_at_cloudflare() {
    let sim = with(RestConfig {
        invalid_limit: 3,
        forbidden: vec![77],
        ..RestConfig::default()
    })
    .await;
    let url = format!("{}/guilds/77", sim.api_url());
    for _ in 0..3 {
        let (status, body) = http("GET", &url, &headers(), "").await;
        assert_eq!((status, &body["code"]), (403, &json!(50_001)));
    }
    let (status, head, body) = answer("GET", &messages(&sim, 0), &headers(), "").await;
    assert_eq!(status, 429);
    assert!(
        body.contains("Error 1015") && !head.contains("x-ratelimit"),
        "{head}"
    );
    assert_eq!(kinds(&sim), [Kind::RestInvalid]);
}

#[tokio::test]
async fn a_429_of_each_scope_comes_on_request() {
    let sim = with(RestConfig::default()).await;
    for (scope, word) in [
        (Scope::User, "x-ratelimit-scope: user"),
        (Scope::Shared, "x-ratelimit-scope: shared"),
        (Scope::Global, "x-ratelimit-global: true"),
        (Scope::Cloudflare, "server: cloudflare"),
    ] {
        sim.change_faults(|faults| {
            faults.rest_limited = Some(scope);
            faults.rest_failures = Some(1);
            faults.rest_retry_after_ms = 64_570;
            faults.rest_path = Some("/messages".to_owned());
        });
        let other = format!("{}/guilds/{}", sim.api_url(), sim.guild_ids()[0]);
        assert_eq!(http("GET", &other, &headers(), "").await.0, 200);
        let (status, head, _) = answer("GET", &messages(&sim, 0), &headers(), "").await;
        assert_eq!(status, 429);
        assert!(
            head.contains(word) && head.contains("retry-after: 65"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn old_messages_are_deleted_by_another_bucket() {
    let sim = with(RestConfig::default()).await;
    let (_, _, young) = post(&messages(&sim, 0)).await;
    let young = young["id"].as_str().unwrap().to_owned();
    // Of 2015, and of nobody.
    for id in [young.as_str(), "4194304"] {
        let url = format!("{}/{id}", messages(&sim, 0));
        http("DELETE", &url, &headers(), "").await;
    }
    let requests = sim.requests();
    assert_eq!((requests[1].status, requests[2].status), (204, 404));
    assert_ne!(requests[1].bucket, requests[2].bucket);
}
