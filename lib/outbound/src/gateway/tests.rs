//! The door to Discord against a simulated one.

use super::Gateway;
use crate::{Answer, Call, Config, Failure, KEYS, Token};
use boot::{Context, Reader, SecretString};
use bytes::Bytes;
use discord::{
    limit::{Refusal, Settings},
    route::Method,
};
use futures_util::future::{join, join_all};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use serde_json::{Value, json};
use sim::{Limit, RestConfig, Scope, Sim, Times, Window};
use std::time::Duration;
use tokio::time::{self, Instant};

struct Stage {
    sim: Sim,
    gateway: Gateway,
    context: Context,
    application_id: u64,
    channel: u64,
}

impl Stage {
    async fn new() -> Self {
        Self::with(RestConfig::default(), &[]).await
    }

    async fn with(rest: RestConfig, variables: &[(&str, &str)]) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let config = sim::Config {
            rest,
            ..sim::Config::default()
        };
        let sim = Sim::start(config).await.unwrap();
        let url = sim.api_url();
        let common = [("DISCORD_API_URL", &*url)];
        let variables = common
            .iter()
            .chain(variables)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut reader = Reader::of("api", &[KEYS], variables, None);
        let config = Config::read(&mut reader);
        let config = reader.finish(config).unwrap();
        let context = Context::new();
        let gateway = Gateway::start(&config, 1, &context).unwrap();
        let application_id = sim.settings().application_id;
        let settings = config.settings(50);
        let token = SecretString::from("sim.token");
        let check = context.health.check("discord");
        assert!(gateway.serve(application_id, Some(&token), settings, check));
        let guild = sim.guild_ids()[0];
        Self {
            channel: sim.channel_ids(guild)[0],
            sim,
            gateway,
            context,
            application_id,
        }
    }

    fn call(&self, method: Method, path: &str, body: &Value) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        Call {
            method,
            path: path.to_owned(),
            query: None,
            headers,
            body,
            token: Token::Application,
            caller: "worker".into(),
            priority: 0,
            deadline: Instant::now() + Duration::from_secs(30),
            once: false,
        }
    }

    fn post(&self, body: &Value) -> Call {
        let path = format!("/channels/{}/messages", self.channel);
        self.call(Method::Post, &path, body)
    }

    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        self.gateway.call(self.application_id, call).await
    }

    fn rules_kept(&self) {
        let violations = self.sim.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_request_is_carried_out_with_the_applications_token() {
    let stage = Stage::new().await;
    let answer = stage.send(stage.post(&json!({"content": "hello"}))).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(body(&answer)["content"], "hello");
    assert!(answer.header("x-ratelimit-bucket").is_some());
    assert!(answer.header("content-length").is_none());
    stage.rules_kept();
}

#[tokio::test]
async fn discords_own_refusals_are_answers() {
    let stage = Stage::new().await;
    let answer = stage.send(stage.post(&json!({}))).await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(body(&answer)["code"], 50006);
}

#[tokio::test]
async fn what_is_no_path_never_leaves() {
    let stage = Stage::new().await;
    for path in [
        "channels/1",
        "/channels//messages",
        "/channels/../x",
        "/channels/1?x=1",
    ] {
        let call = stage.call(Method::Get, path, &Value::Null);
        let failure = stage.send(call).await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Invalid { field, .. } if field == "path"),
            "{failure}"
        );
    }
    let mut call = stage.call(Method::Get, "/channels/1", &Value::Null);
    call.query = Some("a b".to_owned());
    let failure = stage.send(call).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Invalid { field, .. } if field == "query"),
        "{failure}"
    );
    let nobody = stage.call(Method::Get, "/channels/1", &Value::Null);
    let failure = stage.gateway.call(1, nobody).await.unwrap_err();
    assert!(matches!(failure, Failure::Application(1)), "{failure}");
    assert_eq!(stage.sim.state().rest.requests, 0);
}

#[tokio::test]
async fn a_burst_over_a_bucket_meets_no_429_and_keeps_its_order() {
    let limits = vec![Limit {
        path: "channels/*/messages".to_owned(),
        limit: 5,
        window_ms: 300,
        window: Window::Sliding,
        ..Limit::default()
    }];
    let rest = RestConfig {
        limits,
        ..RestConfig::default()
    };
    let stage = Stage::with(rest, &[]).await;
    let sends = (0..25).map(|number| {
        let nonce = number.to_string();
        stage.send(stage.post(&json!({"content": "x", "nonce": nonce})))
    });
    for answer in join_all(sends).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    let state = stage.sim.state().rest;
    assert_eq!((state.executed, state.limited.len()), (25, 0));
    let nonces = stage.sim.requests().into_iter().filter_map(|it| it.nonce);
    let nonces: Vec<String> = nonces.collect();
    let expected: Vec<String> = (0..25).map(|number| number.to_string()).collect();
    assert_eq!(nonces, expected);
    stage.rules_kept();
}

#[tokio::test]
async fn each_kind_of_429_is_waited_out() {
    for scope in [Scope::User, Scope::Shared, Scope::Global, Scope::Cloudflare] {
        let stage = Stage::new().await;
        stage.sim.change_faults(|faults| {
            faults.rest_limited = Some(scope);
            faults.rest_failures = Some(1);
            faults.rest_retry_after_ms = 50;
        });
        let answer = stage.send(stage.post(&json!({"content": "x"}))).await;
        assert_eq!(answer.unwrap().status, 200, "{scope:?}");
        assert_eq!(stage.sim.state().rest.executed, 1, "{scope:?}");
    }
}

#[tokio::test]
async fn a_429_that_outlasts_the_deadline_is_the_answer() {
    let stage = Stage::new().await;
    let first = stage.send(stage.post(&json!({"content": "x"}))).await;
    assert_eq!(first.unwrap().status, 200);
    stage.sim.change_faults(|faults| {
        faults.rest_limited = Some(Scope::User);
        faults.rest_retry_after_ms = 60_000;
    });
    let answer = stage
        .send(stage.post(&json!({"content": "x"})))
        .await
        .unwrap();
    assert_eq!(answer.status, 429);
    // The next one need not ask.
    let failure = stage
        .send(stage.post(&json!({"content": "x"})))
        .await
        .unwrap_err();
    assert!(
        matches!(failure, Failure::Refused(Refusal::Deadline { .. })),
        "{failure}"
    );
    assert!(failure.retry_after().unwrap() > Duration::from_secs(50));
    assert_eq!(stage.sim.state().rest.requests, 2);
}

#[tokio::test]
async fn an_exhausted_bucket_holds_up_nobody_else() {
    let limits = vec![Limit {
        path: "channels/*/messages".to_owned(),
        limit: 1,
        window_ms: 3_600_000,
        ..Limit::default()
    }];
    let rest = RestConfig {
        limits,
        ..RestConfig::default()
    };
    let stage = Stage::with(rest, &[]).await;
    assert_eq!(
        stage
            .send(stage.post(&json!({"content": "x"})))
            .await
            .unwrap()
            .status,
        200
    );
    let guild = stage.sim.guild_ids()[0];
    let other = format!("/guilds/{guild}");
    let mut waiting: Vec<_> = (0..1000)
        .map(|_| {
            let mut call = stage.post(&json!({"content": "x"}));
            // An hour for each of those before it.
            call.deadline += Duration::from_secs(100_000_000);
            Box::pin(stage.send(call))
        })
        .collect();
    for one in &mut waiting {
        assert!(futures_util::poll!(one.as_mut()).is_pending());
    }
    let answer = stage
        .send(stage.call(Method::Get, &other, &Value::Null))
        .await;
    assert_eq!(answer.unwrap().status, 200);
    drop(waiting);
    stage.rules_kept();
}

#[tokio::test]
async fn what_may_be_repeated_is_sent_again_and_nothing_else() {
    let stage = Stage::new().await;
    let path = format!("/channels/{}", stage.channel);
    let get = || stage.call(Method::Get, &path, &Value::Null);
    let fail = |status| {
        stage.sim.change_faults(|faults| {
            faults.rest_status = Some(status);
            faults.rest_failures = Some(1);
        });
    };
    for status in [500, 502, 503] {
        fail(status);
        assert_eq!(stage.send(get()).await.unwrap().status, 200, "{status}");
    }
    fail(503);
    let answer = stage
        .send(stage.post(&json!({"content": "x"})))
        .await
        .unwrap();
    assert_eq!(answer.status, 503);
    fail(503);
    let nonce = json!({"content": "x", "nonce": "n1", "enforce_nonce": true});
    assert_eq!(stage.send(stage.post(&nonce)).await.unwrap().status, 200);
    assert_eq!(stage.sim.state().rest.executed, 4);
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_a_new_message_to_the_caller() {
    let stage = Stage::new().await;
    let lose = || {
        stage.sim.change_faults(|faults| {
            faults.rest_reset = Times::Next(1);
            faults.rest_executes = true;
        });
    };
    lose();
    let failure = stage
        .send(stage.post(&json!({"content": "x"})))
        .await
        .unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure}");
    assert_eq!(stage.sim.state().rest.executed, 1);
    lose();
    let nonce = json!({"content": "x", "nonce": "n1", "enforce_nonce": true});
    assert_eq!(stage.send(stage.post(&nonce)).await.unwrap().status, 200);
    assert_eq!(stage.sim.state().rest.executed, 2);
    lose();
    let path = format!("/channels/{}", stage.channel);
    let answer = stage
        .send(stage.call(Method::Get, &path, &Value::Null))
        .await;
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn what_was_perhaps_sent_before_is_only_repeated_if_it_may_be() {
    let stage = Stage::new().await;
    let once = |mut call: Call| {
        call.once = true;
        call
    };
    let failure = stage.send(once(stage.post(&json!({"content": "x"})))).await;
    assert!(matches!(failure, Err(Failure::Repeated)), "{failure:?}");
    assert_eq!(stage.sim.state().rest.requests, 0);
    let nonce = json!({"content": "x", "nonce": "n1", "enforce_nonce": true});
    assert_eq!(
        stage.send(once(stage.post(&nonce))).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn a_discord_that_hangs_costs_no_more_than_the_deadline() {
    let stage = Stage::new().await;
    stage
        .sim
        .change_faults(|faults| faults.rest_hang = Times::Always);
    let soon = |mut call: Call| {
        call.deadline = Instant::now() + Duration::from_millis(300);
        call
    };
    let failure = stage.send(soon(stage.post(&json!({"content": "x"})))).await;
    assert!(matches!(failure, Err(Failure::Unknown(_))), "{failure:?}");
    let path = format!("/channels/{}", stage.channel);
    let get = stage.call(Method::Get, &path, &Value::Null);
    let failure = stage.send(soon(get)).await;
    assert!(matches!(failure, Err(Failure::Late)), "{failure:?}");
}

#[tokio::test]
async fn the_shorter_of_deadline_and_patience_with_discord_holds() {
    const NEVER: Duration = Duration::from_secs(600);
    const SOON: Duration = Duration::from_millis(200);
    for (patience, deadline) in [("600s", SOON), ("200ms", NEVER)] {
        let variables = [("API_REQUEST_TIMEOUT", patience)];
        let stage = Stage::with(RestConfig::default(), &variables).await;
        stage
            .sim
            .change_faults(|faults| faults.rest_hang = Times::Always);
        let mut call = stage.post(&json!({"content": "x"}));
        call.deadline = Instant::now() + deadline;
        let failure = time::timeout(NEVER / 10, stage.send(call)).await;
        assert!(
            matches!(failure, Ok(Err(Failure::Unknown(_)))),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn a_discord_that_is_away_was_sent_nothing() {
    let stage = Stage::new().await;
    let mut call = stage.post(&json!({"content": "x"}));
    call.deadline = Instant::now() + Duration::from_millis(800);
    stage.sim.stop().await;
    let failure = stage.gateway.call(stage.application_id, call).await;
    assert!(
        matches!(failure, Err(Failure::Unreachable(_))),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_refused_token_stops_the_application() {
    let stage = Stage::new().await;
    stage.sim.change_faults(|faults| {
        faults.rest_status = Some(401);
        faults.rest_failures = Some(1);
    });
    let path = format!("/channels/{}", stage.channel);
    let get = || stage.call(Method::Get, &path, &Value::Null);
    assert!(stage.context.health.is_ready());
    assert_eq!(stage.send(get()).await.unwrap().status, 401);
    assert!(!stage.context.health.is_ready());
    let failure = stage.send(get()).await;
    assert!(
        matches!(failure, Err(Failure::Refused(Refusal::Unauthorized))),
        "{failure:?}"
    );
    // Other applications go on.
    let check = stage.context.health.check("discord for application 9");
    let (settings, token) = (Settings::default(), SecretString::from("sim.token"));
    assert!(stage.gateway.serve(9, Some(&token), settings, check));
    assert_eq!(stage.gateway.call(9, get()).await.unwrap().status, 200);
    // A webhook needs no token of the bot's.
    let hook = stage.call(Method::Post, "/webhooks/1/token", &json!({"content": "x"}));
    assert_eq!(stage.send(hook).await.unwrap().status, 404);
}

#[tokio::test]
async fn the_token_of_somebody_else_says_nothing_of_ours() {
    let stage = Stage::new().await;
    stage
        .sim
        .change_faults(|faults| faults.rest_status = Some(401));
    let path = format!("/channels/{}", stage.channel);
    for token in [
        Token::Bearer("a.b".into()),
        Token::Own("Bot other.token".into()),
        Token::None,
    ] {
        let mut call = stage.call(Method::Get, &path, &Value::Null);
        call.token = token;
        assert_eq!(stage.send(call).await.unwrap().status, 401);
    }
    let user = stage.call(Method::Get, "/oauth2/@me", &Value::Null);
    assert_eq!(stage.send(user).await.unwrap().status, 401);
    stage.sim.change_faults(|faults| faults.rest_status = None);
    let get = stage.call(Method::Get, &path, &Value::Null);
    assert_eq!(stage.send(get).await.unwrap().status, 200);
}

#[tokio::test]
async fn bodies_have_their_bounds() {
    let stage = Stage::with(
        RestConfig::default(),
        &[("API_MAX_BODY", "1KiB"), ("API_WAITING_SIZE", "1MiB")],
    )
    .await;
    let failure = stage
        .send(stage.post(&json!({"content": "x".repeat(2000)})))
        .await;
    assert!(
        matches!(failure, Err(Failure::TooLarge { limit: 1024, .. })),
        "{failure:?}"
    );
    assert_eq!(stage.sim.state().rest.requests, 0);

    let stage = Stage::with(RestConfig::default(), &[("API_WAITING_SIZE", "1MiB")]).await;
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 200);
    let large = || stage.send(stage.post(&json!({"content": "x".repeat(700_000)})));
    let (first, second) = join(large(), large()).await;
    assert_eq!(first.unwrap().status, 400);
    assert!(
        matches!(second, Err(Failure::Refused(Refusal::Full { .. }))),
        "{second:?}"
    );
    stage.sim.change_faults(|faults| faults.rest_delay_ms = 0);
    assert_eq!(large().await.unwrap().status, 400, "there is room again");
}
