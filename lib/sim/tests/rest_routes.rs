//! What the routes do, and how they fail.

use serde_json::{Value, json};
use sim::{Config, Kind, RestConfig, Sim, Times};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::client::{AGENT, PATIENCE, TOKEN, answer, http, kinds, quick, start};

struct Caller {
    sim: Sim,
    channel: String,
}

impl Caller {
    async fn new() -> Self {
        let rest = RestConfig {
            webhooks: vec![55],
            unknown: vec![66],
            default_limit: 0,
            limits: Vec::new(),
            ..RestConfig::default()
        };
        let sim = start(Config { rest, ..quick() }).await;
        let guild = sim.guild_ids()[0];
        let channel = format!("channels/{}", sim.channel_ids(guild)[0]);
        Self { sim, channel }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.sim.api_url())
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let headers = format!(
            "authorization: Bot {TOKEN}\r\nuser-agent: {AGENT}\r\ncontent-type: application/json\r\n\
             x-audit-log-reason: because\r\n"
        );
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        http(method, &self.url(path), &headers, &text).await
    }

    async fn post(&self, content: &str) -> String {
        let path = format!("{}/messages", self.channel);
        let (status, body) = self.call("POST", &path, &json!({"content": content})).await;
        assert_eq!(status, 200, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn messages_are_made_changed_listed_and_deleted() {
    let caller = Caller::new().await;
    let ids = [
        caller.post("a").await,
        caller.post("b").await,
        caller.post("c").await,
    ];
    let messages = format!("{}/messages", caller.channel);
    let (_, list) = caller
        .call(
            "GET",
            &format!("{messages}?before={}&limit=1", ids[2]),
            &Value::Null,
        )
        .await;
    assert_eq!(list[0]["content"], "b");
    let (_, list) = caller
        .call("GET", &format!("{messages}?after={}", ids[0]), &Value::Null)
        .await;
    assert_eq!(
        (&list[0]["content"], &list[1]["content"]),
        (&json!("c"), &json!("b"))
    );
    let one = format!("{messages}/{}", ids[0]);
    let (_, edited) = caller.call("PATCH", &one, &json!({"content": "new"})).await;
    assert_eq!(edited["content"], "new");
    assert!(edited["edited_timestamp"].is_string());
    assert_eq!(caller.call("GET", &one, &Value::Null).await.1, edited);
    assert_eq!(caller.call("DELETE", &one, &Value::Null).await.0, 204);
    let (status, body) = caller.call("GET", &one, &Value::Null).await;
    assert_eq!((status, &body["code"]), (404, &json!(10_008)));
    let bulk = json!({"messages": [ids[1], ids[2]]});
    assert_eq!(
        caller
            .call("POST", &format!("{messages}/bulk-delete"), &bulk)
            .await
            .0,
        204
    );
    assert_eq!(
        caller.call("GET", &messages, &Value::Null).await.1,
        json!([])
    );
}

#[tokio::test]
async fn errors_have_discords_codes_and_say_where() {
    let caller = Caller::new().await;
    let messages = format!("{}/messages", caller.channel);
    for (path, body, status, code) in [
        (messages.clone(), json!({}), 400, 50_006),
        (
            messages.clone(),
            json!({"content": "x".repeat(2001)}),
            400,
            50_035,
        ),
        (
            format!("{messages}/bulk-delete"),
            json!({"messages": ["1"]}),
            400,
            50_016,
        ),
        (
            format!("{messages}/bulk-delete"),
            json!({"messages": ["1", "2"]}),
            400,
            50_034,
        ),
        (
            "channels/1/messages".to_owned(),
            json!({"content": "x"}),
            404,
            10_003,
        ),
        (
            "webhooks/66/abc".to_owned(),
            json!({"content": "x"}),
            404,
            10_015,
        ),
        (
            "webhooks/55/wrong".to_owned(),
            json!({"content": "x"}),
            401,
            50_027,
        ),
        (
            "interactions/1/expired/callback".to_owned(),
            json!({"type": 5}),
            404,
            10_062,
        ),
        ("guilds/66/roles".to_owned(), json!({}), 404, 10_004),
    ] {
        let (got, answer) = caller.call("POST", &path, &body).await;
        assert_eq!(
            (got, &answer["code"]),
            (status, &json!(code)),
            "{path} {answer}"
        );
    }
    let embed = json!({"embeds": [{"description": "x".repeat(4097)}]});
    let (_, answer) = caller.call("POST", &messages, &embed).await;
    let place = &answer["errors"]["embeds"]["0"]["description"]["_errors"][0];
    assert_eq!(place["code"], "BASE_TYPE_MAX_LENGTH");
}

#[tokio::test]
async fn an_enforced_nonce_makes_one_message() {
    let caller = Caller::new().await;
    let messages = format!("{}/messages", caller.channel);
    let body = json!({"content": "x", "nonce": "n1", "enforce_nonce": true});
    let (_, first) = caller.call("POST", &messages, &body).await;
    let (_, second) = caller.call("POST", &messages, &body).await;
    assert_eq!(first, second);
    assert_eq!(kinds(&caller.sim), []);
    let body = json!({"content": "x", "nonce": "n2"});
    for _ in 0..2 {
        caller.call("POST", &messages, &body).await;
    }
    assert_eq!(kinds(&caller.sim), [Kind::RestTwice]);
    let state = caller.sim.state().rest;
    assert_eq!((state.executed, state.deduplicated), (3, 1));
}

#[tokio::test]
async fn files_go_up_and_come_down() {
    let caller = Caller::new().await;
    let json = r#"{"content":"x","attachments":[{"id":0,"description":"about"}]}"#;
    let body = format!(
        "--B\r\ncontent-disposition: form-data; name=\"files[0]\"; filename=\"a.txt\"\r\n\
         content-type: text/plain\r\n\r\nhello\r\n--B\r\n\
         content-disposition: form-data; name=\"payload_json\"\r\n\r\n{json}\r\n--B--\r\n"
    );
    let headers = format!(
        "authorization: Bot {TOKEN}\r\nuser-agent: {AGENT}\r\n\
         content-type: multipart/form-data; boundary=B\r\n"
    );
    let url = caller.url(&format!("{}/messages", caller.channel));
    let (status, message) = http("POST", &url, &headers, &body).await;
    let file = &message["attachments"][0];
    assert_eq!((status, &file["description"]), (200, &json!("about")));
    assert_eq!(
        (&file["filename"], &file["size"]),
        (&json!("a.txt"), &json!(5))
    );
    let (status, _, bytes) = answer("GET", file["url"].as_str().unwrap(), &headers, "").await;
    assert_eq!((status, bytes.as_str()), (200, "hello"));
}

#[tokio::test]
async fn reactions_are_kept() {
    let caller = Caller::new().await;
    let message = caller.post("x").await;
    let reactions = format!("{}/messages/{message}/reactions", caller.channel);
    let thumb = format!("{reactions}/%F0%9F%91%8D");
    assert_eq!(
        caller
            .call("PUT", &format!("{thumb}/@me"), &Value::Null)
            .await
            .0,
        204
    );
    let (_, users) = caller.call("GET", &thumb, &Value::Null).await;
    assert_eq!(users[0]["id"], caller.sim.settings().user_id.to_string());
    assert_eq!(
        caller
            .call("PUT", &format!("{reactions}/plain/@me"), &Value::Null)
            .await
            .1["code"],
        10_014
    );
}

#[tokio::test]
async fn bans_members_and_direct_messages_are_kept() {
    let caller = Caller::new().await;
    let guild = format!("guilds/{}", caller.sim.guild_ids()[0]);
    for user in 1..=5 {
        assert_eq!(
            caller
                .call("PUT", &format!("{guild}/bans/{user}"), &json!({}))
                .await
                .0,
            204
        );
    }
    let (_, page) = caller
        .call(
            "GET",
            &format!("{guild}/bans?after=2&limit=2"),
            &Value::Null,
        )
        .await;
    assert_eq!(
        (&page[0]["user"]["id"], page.as_array().unwrap().len()),
        (&json!("3"), 2)
    );
    assert_eq!(page[0]["reason"], "because");
    let (_, first) = caller
        .call("GET", &format!("{guild}/members?limit=5"), &Value::Null)
        .await;
    let last = first[4]["user"]["id"].as_str().unwrap();
    let (_, rest) = caller
        .call(
            "GET",
            &format!("{guild}/members?limit=1000&after={last}"),
            &Value::Null,
        )
        .await;
    assert_eq!(
        (
            first.as_array().unwrap().len(),
            rest.as_array().unwrap().len()
        ),
        (5, 3)
    );
    let (_, dm) = caller
        .call("POST", "users/@me/channels", &json!({"recipient_id": "9"}))
        .await;
    let path = format!("channels/{}/messages", dm["id"].as_str().unwrap());
    assert_eq!(
        caller.call("POST", &path, &json!({"content": "x"})).await.0,
        200
    );
}

#[tokio::test]
async fn audit_logs_reactions_and_old_messages_are_there_from_the_start() {
    let caller = Caller::new().await;
    let patch = json!({"rest": {"audit_log_entries": 7, "reactors": 4, "limits": []}});
    let patch = patch.as_object().unwrap();
    caller.sim.change_settings(patch).unwrap();
    let guild = caller.sim.guild_ids()[0];
    let logs = format!("guilds/{guild}/audit-logs");
    let entries = async |query: &str| -> Vec<String> {
        let path = format!("{logs}?{query}");
        let (_, log) = caller.call("GET", &path, &Value::Null).await;
        let entries = log["audit_log_entries"].as_array().unwrap();
        let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
        entries.iter().map(id).collect()
    };
    let all = entries("").await;
    assert!(all.len() == 7 && all.is_sorted_by(|a, b| a > b), "{all:?}");
    assert_eq!(
        entries(&format!("before={}&limit=2", all[1])).await,
        all[2..4]
    );
    let newer = entries(&format!("after={}&limit=2", all[6])).await;
    assert_eq!(newer, [all[5].clone(), all[4].clone()]);
    assert_eq!(entries("action_type=20").await.len(), 2);

    let channel = caller.sim.channel_ids(guild)[0];
    caller.sim.put_message(channel, 5);
    let path = format!("channels/{channel}/messages/5/reactions/%F0%9F%94%A5");
    let (_, users) = caller
        .call("GET", &format!("{path}?limit=3"), &Value::Null)
        .await;
    let last = users[2]["id"].as_str().unwrap();
    let (_, rest) = caller
        .call("GET", &format!("{path}?after={last}"), &Value::Null)
        .await;
    assert_eq!(rest.as_array().unwrap().len(), 1);
    assert_eq!(caller.sim.message_ids(channel), [5]);
}

#[tokio::test]
async fn webhooks_and_interactions_need_no_token() {
    let caller = Caller::new().await;
    let agent = format!("user-agent: {AGENT}\r\ncontent-type: application/json\r\n");
    let post = async |path: &str, body: &str| http("POST", &caller.url(path), &agent, body).await;
    assert_eq!(post("webhooks/55/token", r#"{"content":"x"}"#).await.0, 204);
    let (_, message) = post("webhooks/55/token?wait=true", r#"{"content":"x"}"#).await;
    assert_eq!(message["webhook_id"], "55");
    let own = format!(
        "webhooks/55/token/messages/{}",
        message["id"].as_str().unwrap()
    );
    assert_eq!(http("DELETE", &caller.url(&own), &agent, "").await.0, 204);
    let application = caller.sim.settings().application_id;
    let (status, _) = post("interactions/9/abc/callback", r#"{"type":5}"#).await;
    assert_eq!(status, 204);
    let (_, again) = post("interactions/9/abc/callback", r#"{"type":5}"#).await;
    assert_eq!(again["code"], 40_060);
    let original = caller.url(&format!("webhooks/{application}/abc/messages/@original"));
    let (status, edited) = http("PATCH", &original, &agent, r#"{"content":"done"}"#).await;
    assert_eq!((status, &edited["content"]), (200, &json!("done")));
    let follow = format!("webhooks/{application}/abc");
    assert_eq!(post(&follow, r#"{"content":"more"}"#).await.0, 200);
    assert_eq!(kinds(&caller.sim), []);
    for _ in 0..2 {
        post("webhooks/56/token", r#"{"content":"x"}"#).await;
    }
    assert_eq!(kinds(&caller.sim), [Kind::RestWebhookGone]);
}

#[tokio::test]
async fn webhooks_write_into_threads_and_understand_slack_and_github() {
    let caller = Caller::new().await;
    let agent = format!("user-agent: {AGENT}\r\ncontent-type: application/json\r\n");
    let post = async |path: &str, body: &str| http("POST", &caller.url(path), &agent, body).await;
    let hook = "webhooks/55/token";
    let body = r#"{"content":"x","poll":{"question":{"text":"?"}},"components":[{"type":1}]}"#;
    let (_, message) = post(&format!("{hook}?wait=true&thread_id=9"), body).await;
    assert_eq!(message["channel_id"], "9");
    assert_eq!(message["poll"]["question"]["text"], "?");
    assert_eq!(message["components"], json!([]));
    let own = format!("{hook}/messages/{}", message["id"].as_str().unwrap());
    assert_eq!(http("GET", &caller.url(&own), &agent, "").await.0, 404);
    let own = caller.url(&format!("{own}?thread_id=9"));
    assert_eq!(http("GET", &own, &agent, "").await.0, 200);
    let shown = format!("{hook}?wait=true&with_components=true");
    let (_, message) = post(&shown, body).await;
    assert_eq!(message["components"], json!([{"type": 1}]));
    let (status, answer) = post(&format!("{hook}/slack"), r#"{"text":"hi"}"#).await;
    assert_eq!((status, answer), (200, json!("ok")));
    let silent = format!("{hook}/slack?wait=false");
    assert_eq!(post(&silent, r#"{"text":"hi"}"#).await.0, 204);
    assert_eq!(post(&silent, "{}").await.0, 400);
    let github = format!("{hook}/github");
    let body = r#"{"repository":{"full_name":"a/b"}}"#;
    assert_eq!(post(&github, body).await.0, 400);
    let agent = format!("{agent}x-github-event: push\r\n");
    let answer = http("POST", &caller.url(&github), &agent, body).await;
    assert_eq!(answer.0, 204);
    assert_eq!(kinds(&caller.sim), []);
}

#[tokio::test]
async fn every_other_route_tells_what_arrived() {
    let caller = Caller::new().await;
    let guild = caller.sim.guild_ids()[0];
    let path = format!("guilds/{guild}/roles");
    let (status, echo) = caller
        .call("POST", &format!("{path}?a=b"), &json!({"name": "r"}))
        .await;
    assert_eq!(
        (status, &echo["method"], &echo["path"]),
        (200, &json!("POST"), &json!(path))
    );
    assert_eq!(
        (&echo["body"], &echo["reason"]),
        (&json!({"name": "r"}), &json!("because"))
    );
    assert_eq!(echo["query"], json!([["a", "b"]]));
}

/// Sends a request as bytes, to see what comes of an answer that breaks off.
async fn is_cut(caller: &Caller, method: &str, path: &str, body: &str) {
    let url = caller.url(path);
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\
         authorization: Bot {TOKEN}\r\nuser-agent: {AGENT}\r\ncontent-type: application/json\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    // Reset or end: either way less came than was announced.
    drop(
        timeout(PATIENCE, stream.read_to_end(&mut got))
            .await
            .unwrap(),
    );
    let text = String::from_utf8_lossy(&got).into_owned();
    assert!(
        text.contains("content-length: 4096") && text.len() < 1000,
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_was_carried_out_or_not() {
    let caller = Caller::new().await;
    let messages = format!("{}/messages", caller.channel);
    let reset = |executes| {
        caller.sim.change_faults(|faults| {
            (faults.rest_reset, faults.rest_executes) = (Times::Next(1), executes);
        });
    };
    for executes in [false, true] {
        reset(executes);
        is_cut(&caller, "POST", &messages, r#"{"content":"x"}"#).await;
        let (_, list) = caller.call("GET", &messages, &Value::Null).await;
        assert_eq!(list.as_array().unwrap().len(), usize::from(executes));
    }
    // Of a 204 there is no body to break off in.
    let (_, list) = caller.call("GET", &messages, &Value::Null).await;
    let message = format!("{messages}/{}", list[0]["id"].as_str().unwrap());
    reset(true);
    is_cut(&caller, "DELETE", &message, "").await;
    let (_, list) = caller.call("GET", &messages, &Value::Null).await;
    assert_eq!(list, json!([]));
}

#[tokio::test]
async fn a_request_that_hangs_does_not_keep_the_simulator() {
    let caller = Caller::new().await;
    caller
        .sim
        .change_faults(|faults| faults.rest_hang = Times::Next(1));
    let url = caller.url("gateway");
    let agent = format!("user-agent: {AGENT}\r\n");
    let hanging = answer("GET", &url, &agent, "");
    let Caller { sim, .. } = caller;
    let stopping = async {
        sim.wait_for("the request", PATIENCE, |state| state.rest.requests == 1)
            .await
            .unwrap();
        sim.stop().await;
    };
    let ((status, ..), ()) = tokio::join!(hanging, stopping);
    assert_eq!(status, 503);
}
