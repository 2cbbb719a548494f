//! What can be set about the REST half.

use serde::{Deserialize, Serialize};

/// Settings of the REST half.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestConfig {
    /// Requests of the bot in each `global_window_ms`; 0: any number.
    pub global_limit: u32,
    /// Length of the global window in milliseconds.
    pub global_window_ms: u64,
    /// How the global limit counts.
    pub global_window: Window,
    /// Limits of routes; the first that fits is the route's bucket, and all hidden ones that fit count too.
    pub limits: Vec<Limit>,
    /// Requests of a route that no limit fits, in each second and for each top-level resource; 0: any number, without headers.
    pub default_limit: u32,
    /// How many 401, 403 and 429 within `invalid_window_ms` end in Cloudflare's ban.
    pub invalid_limit: usize,
    /// Length of the window of invalid requests, and of the ban, in milliseconds.
    pub invalid_window_ms: u64,
    /// Ids that the bot may not see: every path with one of them is answered by 403 50001.
    pub forbidden: Vec<u64>,
    /// Ids that do not exist (any more): every path with one of them is answered by its 404.
    pub unknown: Vec<u64>,
    /// Webhooks that exist from the start, each with the token `token` and in the first channel.
    pub webhooks: Vec<u64>,
    /// How many members of a guild have reacted to every message with every emoji from the start.
    pub reactors: u32,
    /// How many entries the audit log of a guild has.
    pub audit_log_entries: u32,
    /// How large one file may be.
    pub file_bytes: usize,
    /// How large a whole request may be.
    pub request_bytes: usize,
    /// For how long a nonce with `enforce_nonce` is remembered, in milliseconds.
    pub nonce_window_ms: u64,
    /// How many of the newest requests are kept for `/sim/requests`.
    pub kept_requests: usize,
}

/// A limit of some routes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Methods that it is for; none: all.
    pub methods: Vec<String>,
    /// Path without version, with `*` for one segment and `**` for the rest: `channels/*/messages`.
    pub path: String,
    /// Routes of limits with the same name share one bucket; absent: each method and route has its own.
    pub bucket: Option<String>,
    /// Requests in each window; 0: any number, without headers.
    pub limit: u32,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
    /// How it counts.
    pub window: Window,
    /// Whether the headers say nothing of it: it shows only by 429, with quota left in the bucket.
    pub hidden: bool,
    /// Only requests whose body has this member.
    pub member: Option<String>,
    /// What its 429 names as scope: `user` or `shared`.
    pub scope: Scope,
    /// Only if the last id of the path is at least so old, in milliseconds.
    pub older_than_ms: Option<u64>,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            methods: Vec::new(),
            path: "**".to_owned(),
            bucket: None,
            limit: 5,
            window_ms: 1000,
            window: Window::Fixed,
            hidden: false,
            member: None,
            scope: Scope::User,
            older_than_ms: None,
        }
    }
}

/// How a limit counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A window opens with its first request, and all is free again when it closes.
    #[default]
    Fixed,
    /// Each request counts for the length of the window; the reset is when the oldest leaves.
    Sliding,
    /// Tokens come back one by one; the reset is when all are back.
    TokenBucket,
}

/// Whom a 429 is about.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The bot, on one bucket.
    #[default]
    User,
    /// All who use the resource.
    Shared,
    /// The bot, everywhere.
    Global,
    /// The address, and Discord does not even hear of it: Cloudflare's page.
    Cloudflare,
}

impl Scope {
    /// As the header has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Shared => "shared",
            Self::Global => "global",
            Self::Cloudflare => "cloudflare",
        }
    }
}

impl Default for RestConfig {
    fn default() -> Self {
        Self {
            global_limit: 50,
            global_window_ms: 1000,
            global_window: Window::Fixed,
            limits: observed(),
            default_limit: 10,
            invalid_limit: 10_000,
            invalid_window_ms: 600_000,
            forbidden: Vec::new(),
            unknown: Vec::new(),
            webhooks: Vec::new(),
            reactors: 0,
            audit_log_entries: 0,
            file_bytes: 10 << 20,
            request_bytes: 25 << 20,
            nonce_window_ms: 180_000,
            kept_requests: 100_000,
        }
    }
}

impl RestConfig {
    /// What the REST half could not work with.
    pub(crate) fn mistake(&self) -> Option<&'static str> {
        if self.global_window_ms == 0 || self.limits.iter().any(|limit| limit.window_ms == 0) {
            return Some("a window of rest must last at least 1 ms");
        }
        (self.invalid_limit == 0).then_some("rest.invalid_limit must be at least 1")
    }
}

/// The limits that bots have met at Discord, which documents none of them.
fn observed() -> Vec<Limit> {
    let limit = |methods: &[&str], path: &str, limit, window_ms| Limit {
        methods: methods.iter().map(|&method| method.to_owned()).collect(),
        path: path.to_owned(),
        limit,
        window_ms,
        ..Limit::default()
    };
    let message = "channels/*/messages/*";
    let day_ms = 86_400_000;
    vec![
        limit(&["POST"], "channels/*/messages", 5, 5000),
        Limit {
            older_than_ms: Some(14 * day_ms),
            bucket: Some("delete old".to_owned()),
            ..limit(&["DELETE"], message, 30, 4000)
        },
        Limit {
            older_than_ms: Some(10_000),
            bucket: Some("delete".to_owned()),
            ..limit(&["DELETE"], message, 3, 333)
        },
        Limit {
            bucket: Some("delete young".to_owned()),
            ..limit(&["DELETE"], message, 5, 1000)
        },
        Limit {
            bucket: Some("reactions".to_owned()),
            ..limit(
                &["PUT", "DELETE"],
                "channels/*/messages/*/reactions/**",
                1,
                250,
            )
        },
        Limit {
            hidden: true,
            member: Some("name".to_owned()),
            ..limit(&["PATCH"], "channels/*", 2, 600_000)
        },
        Limit {
            hidden: true,
            member: Some("topic".to_owned()),
            ..limit(&["PATCH"], "channels/*", 2, 600_000)
        },
        limit(&["POST"], "webhooks/*/*", 5, 2000),
        limit(&[], "interactions/**", 0, 1000),
    ]
}
