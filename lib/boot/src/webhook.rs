//! The log in a Discord channel, through a webhook: few lines, for whoever has to act.
//!
//! It must never be the reason of what it reports: lines that find no room are counted and
//! dropped, one request goes after the other with a pause in between, and what this module and
//! its HTTP client log themselves goes to stderr alone.

mod page;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backoff::Backoff;
use reqwest::{
    Client, StatusCode, Url,
    header::{HeaderMap, HeaderValue, USER_AGENT},
};
use serde_json::json;
use tokio::{sync::mpsc, time};
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    config::{Invalid, Key, Parse, Reader},
    error::chain,
    post::{self, retry_after},
};

const URL: Key = Key::new(
    "LOG_WEBHOOK_URL",
    "A Discord webhook, to whose channel log lines are posted as well",
)
.secret();
const LEVEL: Key = Key::new(
    "LOG_WEBHOOK_LEVEL",
    "Which lines are posted to the webhook, of those that LOG lets through: error, warn or info",
)
.with_default("warn");

/// The keys that [`Settings::read`] reads.
pub(crate) const KEYS: &[Key] = &[URL, LEVEL];

/// How many lines may wait; what comes then is dropped and counted.
const WAITING: usize = 256;

/// The time between two requests. Discord takes five in two seconds from all who use the webhook.
const PAUSE: Duration = Duration::from_secs(2);

/// How often a request is tried.
const TRIES: u32 = 5;

/// How many requests may go out at the end, without a pause.
const LAST: usize = 3;

/// Where this module logs, and what its HTTP client logs: not to the webhook.
const OWN: [&str; 4] = [module_path!(), "hyper", "reqwest", "rustls"];

/// Where lines go, and which.
pub(crate) struct Settings {
    url: Url,
    level: Level,
}

impl Settings {
    /// Reads [`KEYS`]; mistakes stay with the reader. The inner `None`: there is no webhook.
    pub(crate) fn read(reader: &mut Reader) -> Option<Option<Self>> {
        let url = reader.optional::<WebhookUrl>(&URL);
        let level = reader.or_default::<Lowest>(&LEVEL)?.0;
        Some(url.map(|WebhookUrl(url)| Self { url, level }))
    }
}

/// Takes lines of the log, and never waits.
#[derive(Clone)]
pub(crate) struct Lines {
    level: Level,
    waiting: mpsc::Sender<String>,
    dropped: Arc<AtomicU64>,
}

/// Posts the lines.
pub(crate) struct Webhook {
    client: Client,
    url: Url,
    received: mpsc::Receiver<String>,
    /// What is to be posted next.
    lines: VecDeque<String>,
    dropped: Arc<AtomicU64>,
    /// The time between two requests.
    pause: Duration,
    /// Whether the last request failed: the log says it once.
    failing: bool,
}

/// What came of a request.
enum Posted {
    /// It may be repeated, after a while that Discord may name.
    Later(String, Option<Duration>),
    /// No request will ever succeed.
    Never(String),
    Taken,
    /// This one will never succeed.
    Unfit(String),
}

impl Webhook {
    /// The webhook, and what takes lines for it.
    pub(crate) fn new(
        settings: Settings,
        name: &str,
        version: &str,
    ) -> Result<(Self, Lines), reqwest::Error> {
        let mut headers = HeaderMap::new();
        // Discord's front refuses clients that do not say what they are.
        let agent = format!("DiscordBot (https://discord-gateway.invalid, {version}) {name}");
        if let Ok(agent) = HeaderValue::try_from(agent) {
            headers.insert(USER_AGENT, agent);
        }
        let client = post::client(headers).build()?;
        let (waiting, received) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Lines {
            level: settings.level,
            waiting,
            dropped: Arc::clone(&dropped),
        };
        let webhook = Self {
            client,
            url: settings.url,
            received,
            lines: VecDeque::new(),
            dropped,
            pause: PAUSE,
            failing: false,
        };
        Ok((webhook, lines))
    }

    /// Posts lines until `closing`, and then the last ones.
    pub(crate) async fn run(mut self, closing: CancellationToken) {
        while !closing.is_cancelled() {
            if self.lines.is_empty() {
                let line = closing.run_until_cancelled(self.received.recv()).await;
                self.lines.extend(line.flatten());
            }
            self.collect();
            if !self.send(&closing).await {
                return;
            }
            closing.run_until_cancelled(time::sleep(self.pause)).await;
        }
        self.received.close();
        for _ in 0..LAST {
            self.collect();
            if self.lines.is_empty() || !self.send(&closing).await {
                return;
            }
        }
    }

    /// Takes what is there by now.
    fn collect(&mut self) {
        while self.lines.len() < WAITING
            && let Ok(line) = self.received.try_recv()
        {
            self.lines.push_back(line);
        }
    }

    /// Posts as much as fits into a message. Says whether it makes sense to go on.
    async fn send(&mut self, closing: &CancellationToken) -> bool {
        if self.lines.is_empty() {
            return true;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let (content, count) = page::take(&mut self.lines, dropped);
        match self.insist(&content, closing).await {
            Posted::Taken => self.failing = false,
            Posted::Never(reason) => {
                tracing::error!(reason, "log lines are no longer posted to LOG_WEBHOOK_URL");
                return false;
            }
            Posted::Later(reason, _) | Posted::Unfit(reason) => {
                self.dropped.fetch_add(dropped + count, Ordering::Relaxed);
                self.complain(&reason);
            }
        }
        true
    }

    /// Tries more than once, but only once when all ends.
    async fn insist(&mut self, content: &str, closing: &CancellationToken) -> Posted {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut attempt = 1;
        loop {
            let posted = self.post(content).await;
            let Posted::Later(reason, wait) = &posted else {
                return posted;
            };
            let wait = wait.unwrap_or_else(|| backoff.next());
            let pause = closing.run_until_cancelled(time::sleep(wait));
            if attempt == TRIES || closing.is_cancelled() || pause.await.is_none() {
                return posted;
            }
            tracing::debug!(
                reason,
                attempt,
                "log lines could not be posted; trying again"
            );
            attempt += 1;
        }
    }

    async fn post(&self, content: &str) -> Posted {
        // Nobody is to be notified by what a log line says.
        let body = json!({"content": content, "allowed_mentions": {"parse": []}});
        let sent = self.client.post(self.url.clone()).json(&body).send().await;
        // The URL is a secret.
        let response = match sent.map_err(reqwest::Error::without_url) {
            Ok(response) => response,
            Err(error) => return Posted::Later(chain(&error), None),
        };
        let status = response.status();
        let answer = format!("it answers {status}");
        match status {
            _ if status.is_success() => Posted::Taken,
            StatusCode::TOO_MANY_REQUESTS => Posted::Later(answer, retry_after(response.headers())),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Posted::Never(answer)
            }
            _ if status.is_server_error() => Posted::Later(answer, None),
            _ => Posted::Unfit(answer),
        }
    }

    fn complain(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                reason,
                "log lines cannot be posted to LOG_WEBHOOK_URL (logged once)"
            );
        }
    }
}

impl Lines {
    /// Whether lines of this kind are posted.
    pub(crate) fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let is_own = || OWN.iter().any(|own| metadata.target().starts_with(own));
        *metadata.level() <= self.level && !is_own()
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    /// A log line arrives here in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = page::line(&String::from_utf8_lossy(line));
        if self.waiting.try_send(text).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The URL of a webhook.
struct WebhookUrl(Url);

impl Parse for WebhookUrl {
    fn expected() -> String {
        "the URL of a Discord webhook, such as https://discord.com/api/webhooks/123/abc".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let url = Url::parse(text).map_err(|_| Invalid::new())?;
        let fits = matches!(url.scheme(), "http" | "https") && url.has_host();
        match fits && url.path().contains("/webhooks/") {
            true => Ok(Self(url)),
            false => Err(Invalid::new()),
        }
    }
}

/// The lowest level whose lines are posted. Below `info` it would be one request after the other.
struct Lowest(Level);

impl Parse for Lowest {
    fn expected() -> String {
        "error, warn or info".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "error" => Ok(Self(Level::ERROR)),
            "info" => Ok(Self(Level::INFO)),
            "warn" => Ok(Self(Level::WARN)),
            _ => Err(Invalid::new()),
        }
    }
}
