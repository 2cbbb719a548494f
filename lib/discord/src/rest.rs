//! The few routes of Discord's HTTP API that a service asks for itself.

use crate::Error;
use reqwest::{Client, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;

/// How this software calls itself, as Discord demands of every client.
///
/// See [Discord Docs/User Agent](https://docs.discord.com/developers/reference#user-agent).
pub const USER_AGENT: &str = concat!(
    "DiscordBot (https://discord-gateway.invalid, ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an unexpected answer an error quotes.
const QUOTED: usize = 200;

/// The answer of `GET /gateway/bot`.
///
/// See [Discord Docs/Get Gateway Bot](https://docs.discord.com/developers/events/gateway#get-gateway-bot).
#[derive(Clone, Debug, Deserialize)]
pub struct GatewayBot {
    /// The websocket URL to connect to.
    pub url: String,
    /// How many shards Discord recommends.
    pub shards: u32,
    /// How many sessions may still be started.
    pub session_start_limit: SessionStartLimit,
}

/// How many sessions may be started, and how fast.
#[derive(Clone, Debug, Deserialize)]
pub struct SessionStartLimit {
    /// Sessions that may be started in a day.
    pub total: u32,
    /// Sessions that may still be started.
    pub remaining: u32,
    /// Milliseconds until `remaining` is `total` again.
    pub reset_after: u64,
    /// Sessions that may be started at once, every 5 seconds.
    pub max_concurrency: u16,
}

/// The answer of `GET /applications/@me`, as far as it is needed.
///
/// See [Discord Docs/Application Object](https://docs.discord.com/developers/resources/application#application-object).
#[derive(Clone, Debug, Deserialize)]
pub struct Application {
    /// The application's id.
    #[serde(deserialize_with = "snowflake")]
    pub id: u64,
    /// What the application is allowed to use.
    #[serde(default)]
    pub flags: u64,
}

/// A client of Discord's HTTP API.
#[derive(Clone, Debug)]
pub struct Rest {
    /// The pool of connections; its default headers hold the token.
    client: Client,
    /// The API's base, version included.
    base: String,
}

impl Rest {
    /// Makes a client for the API at `base` (`https://discord.com/api/v10`), with a bot's token.
    ///
    /// # Errors
    ///
    /// [`Error::Client`] when the TLS set-up of this machine cannot be used.
    pub fn new(base: &str, token: &SecretString) -> Result<Self, Error> {
        let mut headers = header::HeaderMap::new();
        if let Ok(mut value) =
            header::HeaderValue::try_from(format!("Bot {}", token.expose_secret()))
        {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .timeout(TIMEOUT)
            .http1_only()
            .build()
            .map_err(Error::Client)?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Asks where and with how many shards to connect.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_transient`] says whether to try again.
    pub async fn gateway_bot(&self) -> Result<GatewayBot, Error> {
        self.ask("/gateway/bot").await
    }

    /// Asks who the application is, and what it may use.
    ///
    /// # Errors
    ///
    /// Any [`Error`]; [`Error::is_transient`] says whether to try again.
    pub async fn application(&self) -> Result<Application, Error> {
        self.ask("/applications/@me").await
    }

    /// One GET request, its answer parsed.
    async fn ask<T: DeserializeOwned>(&self, route: &'static str) -> Result<T, Error> {
        let transport = |source: reqwest::Error| Error::Transport {
            route,
            source: source.without_url(),
        };
        let url = format!("{}{route}", self.base);
        let response = self.client.get(url).send().await.map_err(transport)?;
        if let Some(error) = refused(route, &response) {
            return Err(error);
        }
        let status = response.status();
        if is_page(&response) && status != StatusCode::NOT_FOUND {
            let status = status.as_u16();
            return Err(Error::Page { route, status });
        }
        let body = response.text().await.map_err(transport)?;
        if !status.is_success() {
            return Err(Error::Status {
                route,
                status: status.as_u16(),
                body: body.chars().take(QUOTED).collect(),
            });
        }
        serde_json::from_str(&body).map_err(|source| Error::Body { route, source })
    }
}

/// The refusals that the status alone tells.
fn refused(route: &'static str, response: &Response) -> Option<Error> {
    match response.status() {
        StatusCode::UNAUTHORIZED => Some(Error::Unauthorized { route }),
        StatusCode::TOO_MANY_REQUESTS => Some(Error::RateLimited {
            route,
            retry_after: retry_after(response),
        }),
        _ => None,
    }
}

/// What the header `Retry-After` says. Cloudflare leaves it out now and then.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds: f64 = value.to_str().ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Whether this is a page for people: Discord's API never gives one.
fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/html"))
}

/// Reads a snowflake from the decimal string that Discord sends.
fn snowflake<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}
