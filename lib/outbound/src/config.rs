//! What an operator can set of the way to Discord, whichever service it is of.

use boot::{Key, Reader, Size};
use discord::config::{API_URL, ApiUrl, LIST};
use discord::limit::Settings;
use places::Places;
use std::time::Duration;

/// How many requests a second an application may send.
pub const GLOBAL_LIMIT: Key = Key::new(
    "API_GLOBAL_LIMIT",
    "How many requests a second Discord takes from the application; more only if Discord has granted it.",
)
.with_default("50")
.in_each(LIST, "global_limit");
const WAITING: Key = Key::new(
    "API_WAITING",
    "How many requests of an application may wait for Discord's limits; further ones are refused at once.",
)
.with_default("50000");
const WAITING_PER_BUCKET: Key = Key::new(
    "API_WAITING_PER_BUCKET",
    "The same for one bucket of one channel, guild or webhook.",
)
.with_default("10000");
const WAITING_SIZE: Key = Key::new(
    "API_WAITING_SIZE",
    "How large the bodies of all requests in hand may be together.",
)
.with_default("256MiB");
const TIMEOUT: Key = Key::new(
    "API_TIMEOUT",
    "How long a caller waits who does not say how long.",
)
.with_default("15s");
const REQUEST_TIMEOUT: Key = Key::new(
    "API_REQUEST_TIMEOUT",
    "How long Discord may take to answer one request.",
)
.with_default("10s");
const INVALID_LIMIT: Key = Key::new(
    "API_INVALID_LIMIT",
    "How many answers with 401, 403 or 429 Discord allows this address in ten minutes.",
)
.with_default("10000");
const EGRESS: Key = Key::new(
    "API_EGRESS",
    "What the address is called from which Discord is reached: replicas with the same one count invalid requests together, and requests without a token.",
)
.with_default("default");
const MAX_BODY: Key = Key::new(
    "API_MAX_BODY",
    "How large the body of one request may be, files included.",
)
.with_default("32MiB");

const FILE_URLS: Key = Key::new(
    "API_FILE_URLS",
    "From which addresses files are read that requests name by a `url`: from `public` ones, from `any`, those of this \
     machine and network included, or from `none`.",
)
.with_default("public");
const FILE_TIMEOUT: Key = Key::new(
    "API_FILE_TIMEOUT",
    "How long reading one such file may take.",
)
.with_default("10s");

/// The keys that [`Config::read`] reads, in the order of the documentation.
pub const KEYS: &[Key] = &[
    API_URL,
    TIMEOUT,
    REQUEST_TIMEOUT,
    WAITING,
    WAITING_PER_BUCKET,
    WAITING_SIZE,
    MAX_BODY,
    INVALID_LIMIT,
    EGRESS,
    FILE_URLS,
    FILE_TIMEOUT,
];

/// How requests are sent to Discord, and how many are taken on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base of Discord's HTTP API.
    pub api_url: String,
    /// How long a caller waits who does not say.
    pub timeout: Duration,
    /// How long Discord may take for one request.
    pub request_timeout: Duration,
    /// How many requests of an application may wait.
    pub waiting: usize,
    /// How many may wait for one bucket.
    pub waiting_per_bucket: usize,
    /// Bytes that all bodies may have together.
    pub waiting_size: usize,
    /// Bytes that one body may have.
    pub max_body: usize,
    /// From where files are read.
    pub(crate) file_urls: Places,
    /// How long reading a file may take.
    pub(crate) file_timeout: Duration,
    /// Invalid requests that are allowed in ten minutes.
    pub invalid_limit: u32,
    /// The name of the address that they are counted for.
    pub egress: String,
}

impl Config {
    /// Reads [`KEYS`]; every mistake is noted in the reader.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let second = Duration::from_secs(1);
        let api_url = reader.or_default::<ApiUrl>(&API_URL);
        let timeout = reader.in_range(&TIMEOUT, Duration::from_millis(100)..=3600 * second);
        let request_timeout =
            reader.in_range(&REQUEST_TIMEOUT, Duration::from_millis(100)..=600 * second);
        let waiting = reader.in_range(&WAITING, 1..=1_000_000);
        let waiting_per_bucket = reader.in_range(&WAITING_PER_BUCKET, 1..=1_000_000);
        let waiting_size = reader.in_range(&WAITING_SIZE, Size(1 << 20)..=Size(1 << 40));
        let max_body = reader.in_range(&MAX_BODY, Size(1 << 10)..=Size(1 << 30));
        let invalid_limit = reader.in_range(&INVALID_LIMIT, 10..=1_000_000);
        let egress = read_egress(reader);
        let file_urls = reader.or_default::<Places>(&FILE_URLS);
        let file_timeout =
            reader.in_range(&FILE_TIMEOUT, Duration::from_millis(100)..=600 * second);
        Some(Self {
            api_url: api_url?.0,
            timeout: timeout?,
            request_timeout: request_timeout?,
            waiting: waiting?,
            waiting_per_bucket: waiting_per_bucket?,
            waiting_size: waiting_size?.bytes(),
            max_body: max_body?.bytes(),
            file_urls: file_urls?,
            file_timeout: file_timeout?,
            invalid_limit: invalid_limit?,
            egress: egress?,
        })
    }

    /// How much is taken on for an application that may send so many requests a second.
    pub fn settings(&self, global_limit: u32) -> Settings {
        Settings {
            global_limit,
            waiting: self.waiting,
            waiting_per_bucket: self.waiting_per_bucket,
            egress: self.egress.as_str().into(),
            ..Settings::default()
        }
    }
}

/// The name becomes a part of keys in Redis.
fn read_egress(reader: &mut Reader) -> Option<String> {
    let name: String = reader.or_default(&EGRESS)?;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    if (1..=100).contains(&name.len()) && name.chars().all(allowed) {
        return Some(name);
    }
    let mistake = "expected 1 to 100 letters, digits and any of - _ . : only";
    reader.mistake(&EGRESS, mistake.to_owned());
    None
}
