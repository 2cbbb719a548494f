//! The REST routes.

use serde_json::json;
use sim::{Config, Kind};

use crate::client::{AGENT, Client, answer, http, kinds, quick, start};

fn headers(token: &str) -> String {
    format!("authorization: Bot {token}\r\nuser-agent: {AGENT}\r\n")
}

#[tokio::test]
async fn the_gateway_is_named_with_and_without_a_version() {
    let sim = start(Config {
        shards: 3,
        max_concurrency: 2,
        remaining: 900,
        ..quick()
    })
    .await;
    let agent = format!("user-agent: {AGENT}\r\n");
    let base = sim.api_url();
    let (status, body) = http("GET", &format!("{base}/gateway"), &agent, "").await;
    assert_eq!((status, body), (200, json!({"url": sim.gateway_url()})));
    for base in [
        base.clone(),
        base.replace("/v10", "/v9"),
        base.replace("/v10", ""),
    ] {
        let url = format!("{base}/gateway/bot");
        let (status, body) = http("GET", &url, &headers("sim.token"), "").await;
        assert_eq!((status, &body["shards"]), (200, &json!(3)));
        let limit = &body["session_start_limit"];
        assert_eq!(limit["max_concurrency"], 2);
        assert_eq!(
            (&limit["total"], &limit["remaining"]),
            (&json!(1000), &json!(900))
        );
        assert!(limit["reset_after"].as_u64().unwrap() > 14_000_000);
    }
    assert_eq!(kinds(&sim), []);
}

#[tokio::test]
async fn errors_look_like_discords() {
    let sim = start(quick()).await;
    let base = sim.api_url();
    for (method, path, token, status, body) in [
        (
            "GET",
            "gateway/bot",
            "wrong",
            401,
            json!({"message": "401: Unauthorized", "code": 0}),
        ),
        (
            "GET",
            "nothing",
            "sim.token",
            404,
            json!({"message": "404: Not Found", "code": 0}),
        ),
        (
            "POST",
            "gateway",
            "sim.token",
            405,
            json!({"message": "405: Method Not Allowed", "code": 0}),
        ),
    ] {
        let url = format!("{base}/{path}");
        assert_eq!(
            http(method, &url, &headers(token), "").await,
            (status, body)
        );
    }
    let old = format!("{}/gateway", base.replace("/v10", "/v5"));
    assert_eq!(
        http("GET", &old, &headers("sim.token"), "").await.1["code"],
        50041
    );
    assert_eq!(kinds(&sim), [Kind::Authorization]);
}

#[tokio::test]
async fn the_application_and_its_user_are_described() {
    let sim = start(quick()).await;
    let base = sim.api_url();
    let user = http(
        "GET",
        &format!("{base}/users/@me"),
        &headers("sim.token"),
        "",
    )
    .await;
    assert_eq!((user.0, &user.1["bot"]), (200, &json!(true)));
    let url = format!("{base}/applications/@me");
    let (status, application) = http("GET", &url, &headers("sim.token"), "").await;
    assert_eq!(
        (status, &application["id"]),
        (200, &json!("1100000000000000001"))
    );
    assert_eq!(application["flags"], (1 << 12) + (1 << 14) + (1 << 18));
}

#[tokio::test]
async fn a_wrong_user_agent_is_noted() {
    let sim = start(quick()).await;
    let url = format!("{}/gateway", sim.api_url());
    for agent in [
        "",
        "user-agent: curl/8\r\n",
        "user-agent: DiscordBot (x)\r\n",
    ] {
        assert_eq!(http("GET", &url, agent, "").await.0, 200);
    }
    assert_eq!(kinds(&sim), [Kind::UserAgent; 3]);
}

#[tokio::test]
async fn routes_fail_on_request() {
    let sim = start(quick()).await;
    let url = format!("{}/gateway", sim.api_url());
    for status in [500, 502, 429] {
        sim.change_faults(|faults| faults.rest_status = Some(status));
        assert_eq!(http("GET", &url, &headers("sim.token"), "").await.0, status);
    }
}

#[tokio::test]
async fn cloudflare_answers_in_discords_place() {
    let sim = start(quick()).await;
    let url = format!("{}/gateway", sim.api_url());
    for (status, code) in [
        (429, "Error 1015"),
        (520, "Error 520"),
        (502, "Bad Gateway"),
    ] {
        sim.change_faults(|faults| {
            (faults.rest_status, faults.rest_html, faults.rest_failures) =
                (Some(status), true, Some(1));
        });
        let (got, head, body) = answer("GET", &url, &headers("sim.token"), "").await;
        assert_eq!(got, status);
        assert!(head.contains("content-type: text/html"), "{head}");
        assert!(body.contains(code), "{body}");
        // Once was wanted.
        assert_eq!(http("GET", &url, &headers("sim.token"), "").await.0, 200);
    }
}

#[tokio::test]
async fn the_recommended_number_of_shards_changes_while_clients_are_connected() {
    let sim = start(quick()).await;
    let _client = Client::ready(&sim, [0, 1]).await;
    let patch = json!({"shards": 5});
    sim.change_settings(patch.as_object().unwrap()).unwrap();
    let url = format!("{}/gateway/bot", sim.api_url());
    let (_, body) = http("GET", &url, &headers("sim.token"), "").await;
    assert_eq!(body["shards"], 5);
    assert!(sim.state().sessions[0].connected);
}
