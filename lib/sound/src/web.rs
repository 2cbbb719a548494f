//! Files behind addresses: asked for in ranges, followed through redirects, gone on with where they broke off.

use std::time::Duration;

use places::{Places, Refusal};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{
        ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
        IF_RANGE, LAST_MODIFIED, LOCATION, RANGE,
    },
};
use tokio::time;

use crate::{Config, Error};

/// How often an address may lead to another one.
const REDIRECTS: usize = 5;
const USER_AGENT: &str = concat!("discord-gateway/", env!("CARGO_PKG_VERSION"));

/// Asks for files.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    client: Client,
    places: Places,
    /// How large a file may be.
    most: u64,
    /// How long a server may say nothing.
    pub(crate) patience: Duration,
}

/// A file as its server described it when it was asked first.
#[derive(Debug)]
pub(crate) struct Described {
    /// Its length, if it has one.
    pub(crate) length: Option<u64>,
    /// Whether it can be had from any byte on.
    pub(crate) ranges: bool,
    /// Tells whether it is still the same.
    validator: Option<HeaderValue>,
}

/// A file's content from some byte on.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) response: Response,
    /// Bytes before those that were wanted.
    pub(crate) surplus: u64,
}

impl Web {
    /// # Errors
    ///
    /// When the TLS set-up of this machine cannot be used.
    pub(crate) fn new(config: &Config) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: config.urls.client(USER_AGENT).build()?,
            places: config.urls,
            most: config.source_size.0,
            patience: config.source_timeout,
        })
    }

    /// Reads an address.
    pub(crate) fn url(&self, text: &str) -> Result<Url, Error> {
        Ok(self.places.url(text, None)?)
    }

    /// Asks for a file for the first time.
    pub(crate) async fn first(&self, url: &Url) -> Result<(Described, Content), Error> {
        let response = self.ask(url, 0, None).await?;
        let headers = response.headers();
        refuse_text(headers)?;
        let described = Described {
            length: length(&response),
            ranges: response.status() == StatusCode::PARTIAL_CONTENT
                || headers.get(ACCEPT_RANGES).is_some_and(|it| it == "bytes"),
            validator: validator(headers),
        };
        let length = described.length.unwrap_or_default();
        if length > self.most {
            return Err(Error::Long(self.most));
        }
        // A server that begins elsewhere than it was asked to.
        if begins_at(&response).unwrap_or_default() > 0 {
            return Err(Error::Changed);
        }
        let surplus = 0;
        Ok((described, Content { response, surplus }))
    }

    /// Asks for the rest of a file. `None`: there is nothing more.
    pub(crate) async fn rest(
        &self,
        url: &Url,
        at: u64,
        known: &Described,
    ) -> Result<Option<Content>, Error> {
        let response = match self.ask(url, at, known.validator.as_ref()).await {
            Err(Error::Status(416)) if known.length.is_none_or(|length| at >= length) => {
                return Ok(None);
            }
            Err(Error::Status(416)) => return Err(Error::Changed),
            asked => asked?,
        };
        let is_same = validator(response.headers()) == known.validator;
        let is_long = length(&response) == known.length;
        // What has no length is what is heard now, wherever it goes on.
        if !is_same || (!is_long && known.length.is_some()) {
            return Err(Error::Changed);
        }
        let begins = begins_at(&response);
        if begins.is_some_and(|begins| begins > at) {
            return Err(Error::Changed);
        }
        let surplus = match (begins, known.length) {
            (Some(begins), _) => at - begins,
            (None, Some(_)) => at,
            (None, None) => 0,
        };
        Ok(Some(Content { response, surplus }))
    }

    /// Asks for an address, and for where it leads. Each is looked at.
    async fn ask(
        &self,
        url: &Url,
        at: u64,
        validator: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = self.client.get(url.clone());
            request = request.header(RANGE, format!("bytes={at}-"));
            if let Some(validator) = validator.filter(|_| at > 0) {
                request = request.header(IF_RANGE, validator);
            }
            let asked = time::timeout(self.patience, request.send()).await;
            let asked = asked.map_err(|_| Error::Silent(self.patience))?;
            let response = asked.map_err(|error| failed(&error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Err(Error::Status(status.as_u16()));
            };
            url = self.places.url(location, Some(&url))?;
        }
        Err(Error::Redirects(REDIRECTS))
    }
}

fn failed(error: &reqwest::Error) -> Error {
    Refusal::of(error).map_or(Error::Unreachable, Error::from)
}

/// Pages, and answers of APIs: known before they are searched for sound.
fn refuse_text(headers: &HeaderMap) -> Result<(), Error> {
    let kind = text(headers, &CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let is_list = ["mpegurl", "scpls", "xspf"]
        .iter()
        .any(|it| kind.contains(it));
    let is_text =
        kind.starts_with("text/") || kind.starts_with("image/") || kind.ends_with("/json");
    match is_list || is_text {
        true => Err(Error::Format(format!("its server says that it is {kind}"))),
        false => Ok(()),
    }
}

/// The whole file's length.
fn length(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return response.content_length();
    }
    let range = text(response.headers(), &CONTENT_RANGE)?;
    range.rsplit('/').next()?.trim().parse().ok()
}

/// Where the answer begins, if it is a part.
fn begins_at(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let range = text(response.headers(), &CONTENT_RANGE)?;
    let range = range.trim().strip_prefix("bytes")?.trim_start();
    range.split('-').next()?.trim().parse().ok()
}

/// What the same file has in common with itself: a strong tag, or else the moment of its last change.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers
        .get(ETAG)
        .filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    tag.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
