//! The webhook against a server that behaves as Discord does, well and badly.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::{Lines, Settings, WAITING, Webhook};

/// A status, and how long it asks to wait.
type Answer = (StatusCode, Option<&'static str>);

/// What a server was sent, and what it answers to that.
#[derive(Clone, Default)]
struct Channel {
    posts: Arc<Mutex<Vec<(Instant, HeaderMap, Value)>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Channel {
    fn contents(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        let content = |(_, _, body): &(_, _, Value)| body["content"].as_str().unwrap().to_owned();
        posts.iter().map(content).collect()
    }

    fn times(&self) -> Vec<Instant> {
        self.posts
            .lock()
            .unwrap()
            .iter()
            .map(|post| post.0)
            .collect()
    }
}

async fn take(
    State(channel): State<Channel>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    channel
        .posts
        .lock()
        .unwrap()
        .push((Instant::now(), headers, body));
    match channel.answers.lock().unwrap().pop() {
        Some((status, Some(wait))) => (status, [(RETRY_AFTER, wait)]).into_response(),
        Some((status, None)) => status.into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

struct Stage {
    channel: Channel,
    lines: Lines,
    closing: CancellationToken,
    server: JoinSet<()>,
    webhook: JoinSet<()>,
}

impl Stage {
    /// A webhook at a server that gives these answers, the last one first, and then is content.
    async fn new(answers: &[Answer]) -> Self {
        let (mut stage, webhook) = Self::idle(answers).await;
        stage.run(webhook);
        stage
    }

    async fn idle(answers: &[Answer]) -> (Self, Webhook) {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let channel = Channel::default();
        channel.answers.lock().unwrap().extend(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/api/webhooks/1/abc",
            listener.local_addr().unwrap()
        );
        let router = Router::new()
            .route("/api/webhooks/1/abc", post(take))
            .with_state(channel.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let settings = Settings {
            url: url.parse().unwrap(),
            level: Level::WARN,
        };
        let (mut webhook, lines) = Webhook::new(settings, "gateway-test", "1.2.3").unwrap();
        webhook.pause = Duration::from_millis(100);
        let stage = Self {
            channel,
            lines,
            closing: CancellationToken::new(),
            server,
            webhook: JoinSet::new(),
        };
        (stage, webhook)
    }

    fn run(&mut self, webhook: Webhook) {
        self.webhook.spawn(webhook.run(self.closing.clone()));
    }

    fn log(&mut self, line: &str) {
        self.lines.write_all(line.as_bytes()).unwrap();
    }

    async fn posts(&self, count: usize) {
        let posted = async {
            while self.channel.posts.lock().unwrap().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let patience = Duration::from_secs(60);
        tokio::time::timeout(patience, posted)
            .await
            .expect("lines are posted");
    }

    async fn end(mut self) -> Channel {
        self.closing.cancel();
        while self.webhook.join_next().await.is_some() {}
        self.server.shutdown().await;
        self.channel
    }
}

#[tokio::test]
async fn lines_are_posted_together_and_nobody_is_notified() {
    let (mut stage, webhook) = Stage::idle(&[]).await;
    stage.log("WARN one @everyone\n");
    stage.log("ERROR two\n");
    stage.run(webhook);
    stage.posts(1).await;
    let channel = stage.end().await;
    assert_eq!(
        channel.contents(),
        ["```\nWARN one @everyone\nERROR two\n```"]
    );
    let posts = channel.posts.lock().unwrap();
    let (_, headers, body) = &posts[0];
    assert_eq!(body["allowed_mentions"].to_string(), r#"{"parse":[]}"#);
    assert!(
        headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("DiscordBot (")
    );
}

#[tokio::test]
async fn requests_have_a_pause_between_them() {
    let mut stage = Stage::new(&[]).await;
    for n in 0..20 {
        stage.log(&format!("{n} {}", "x".repeat(1_000)));
    }
    stage.posts(3).await;
    let times = stage.end().await.times();
    for pair in times.windows(2).take(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(100));
    }
}

#[tokio::test]
async fn the_last_lines_go_out_at_the_end() {
    let mut stage = Stage::new(&[]).await;
    stage.log("first");
    stage.posts(1).await;
    stage.log("the reason of the end");
    let contents = stage.end().await.contents();
    assert_eq!(contents[1], "```\nthe reason of the end\n```");
}

#[tokio::test]
async fn a_refused_post_waits_as_long_as_discord_wants() {
    let busy = StatusCode::TOO_MANY_REQUESTS;
    let mut stage = Stage::new(&[(busy, Some("0.05")), (busy, Some("0.2"))]).await;
    stage.log("patient");
    stage.posts(3).await;
    let channel = stage.end().await;
    assert_eq!(channel.contents(), ["```\npatient\n```"; 3]);
    let times = channel.times();
    assert!(times[1] - times[0] >= Duration::from_millis(200));
    assert!(times[2] - times[1] >= Duration::from_millis(50));
}

#[tokio::test]
async fn what_finds_no_room_is_counted() {
    let (mut stage, webhook) = Stage::idle(&[]).await;
    for n in 0..WAITING + 7 {
        stage.log(&n.to_string());
    }
    stage.run(webhook);
    stage.posts(1).await;
    let contents = stage.end().await.contents();
    assert!(
        contents[0].starts_with("```\n… 7 lines dropped\n0\n1\n"),
        "{contents:?}"
    );
}

#[tokio::test]
async fn a_message_that_discord_does_not_take_is_counted_as_dropped() {
    let mut stage = Stage::new(&[(StatusCode::BAD_REQUEST, None)]).await;
    stage.log("odd");
    stage.posts(1).await;
    stage.log("good");
    stage.posts(2).await;
    let contents = stage.end().await.contents();
    assert_eq!(contents[1], "```\n… 1 lines dropped\ngood\n```");
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_left_alone() {
    let mut stage = Stage::new(&[(StatusCode::NOT_FOUND, None)]).await;
    stage.log("anybody there?");
    while stage.webhook.join_next().await.is_some() {}
    stage.log("nobody is");
    assert_eq!(stage.end().await.contents().len(), 1);
}
