//! Files that a request names by an address: they are read before the request is sent.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use places::{Places, Refusal};
use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, LOCATION},
};
use rest::Part;
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};

use wire::gateway::v1::Code;

use crate::Failure;

/// How many files are read at once; further ones wait. It bounds the memory that they take before they
/// count as bodies.
const AT_ONCE: usize = 8;
/// How often an address may lead to another one.
const REDIRECTS: usize = 5;

/// Reads files from where requests say.
#[derive(Debug)]
pub(crate) struct Files {
    client: Client,
    places: Places,
    /// The longest that one may take.
    patience: Duration,
    turns: Semaphore,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct File {
    /// Its name, as its address has it. Empty: it has none.
    pub(crate) filename: String,
    /// Its media type, if its server says one.
    pub(crate) content_type: String,
    /// The content.
    pub(crate) data: Bytes,
}

/// Why a file was not read. Nothing here repeats the address: it may be a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileError {
    /// It is no address that a file could be read from.
    #[error("it is no address that begins with https:// or http://, without a user")]
    Address,
    /// It took too long.
    #[error("it could not be read in time")]
    Late,
    /// It is larger than a request may be.
    #[error("it is too large: a request may have {0} bytes, all files together (API_MAX_BODY)")]
    Long(usize),
    /// No addresses are taken at all.
    #[error("the operator allows no addresses (API_FILE_URLS is none): send the content as `data`")]
    Off,
    /// It is within a private network, or leads there.
    #[error("it leads to an address that is not a public one (see API_FILE_URLS)")]
    Private,
    /// One address leads to the next without end.
    #[error("it leads from one address to another more than {REDIRECTS} times")]
    Redirects,
    /// Its server answered with another status than 200.
    #[error("its server answered with status {0}")]
    Status(u16),
    /// Its server cannot be reached.
    #[error("its server could not be reached, or broke off")]
    Unreachable,
}

impl From<Refusal> for FileError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Address => Self::Address,
            Refusal::Off => Self::Off,
            Refusal::Private => Self::Private,
        }
    }
}

impl FileError {
    /// The kind of failure, as the contract counts them.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Late => Code::DeadlineExceeded,
            Self::Long(_) => Code::OutOfRange,
            Self::Status(429 | 500..) | Self::Unreachable => Code::Unavailable,
            Self::Address | Self::Off | Self::Private | Self::Redirects | Self::Status(_) => {
                Code::InvalidArgument
            }
        }
    }
}

impl Files {
    /// A reader of files from these places.
    ///
    /// # Errors
    ///
    /// When the TLS set-up of this machine cannot be used.
    pub(crate) fn new(places: Places, patience: Duration) -> Result<Self, reqwest::Error> {
        let client = places.client(discord::rest::USER_AGENT).build()?;
        Ok(Self {
            client,
            places,
            patience,
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// Reads the files that have an address, so that all have their content, `most` bytes at most together.
    ///
    /// # Errors
    ///
    /// Of the first file that cannot be read.
    pub(crate) async fn fill(
        &self,
        parts: &mut [Part],
        most: usize,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let inline: usize = parts.iter().map(|part| part.data.len()).sum();
        let mut left = most.saturating_sub(inline);
        for part in parts.iter_mut().filter(|part| !part.url.is_empty()) {
            let read = self.read(&part.url, left, deadline).await;
            let file = read.map_err(|error| Failure::File {
                field: format!("{}.url", part.name),
                error: match error {
                    FileError::Long(_) => FileError::Long(most),
                    error => error,
                },
            })?;
            left -= file.data.len();
            if part.filename.is_empty() {
                part.filename = file.filename;
            }
            if part.content_type.is_empty() {
                part.content_type = file.content_type;
            }
            part.data = file.data.into();
            part.url.clear();
        }
        Ok(())
    }

    /// Reads the file at an address, of `most` bytes at most.
    pub(crate) async fn read(
        &self,
        url: &str,
        most: usize,
        deadline: Instant,
    ) -> Result<File, FileError> {
        let url = self.places.url(url, None)?;
        let deadline = deadline.min(Instant::now() + self.patience);
        let reading = async {
            let _turn = self.turns.acquire().await;
            let (url, response) = self.follow(url).await?;
            let content_type = content_type(&response);
            let data = body(response, most).await?;
            Ok(File {
                filename: filename(&url),
                content_type,
                data,
            })
        };
        let read = time::timeout_at(deadline, reading).await;
        read.unwrap_or(Err(FileError::Late))
    }

    /// Asks for the address, and for where it leads.
    async fn follow(&self, mut url: Url) -> Result<(Url, Response), FileError> {
        for _ in 0..=REDIRECTS {
            let asked = self.client.get(url.clone()).send().await;
            let response = asked.map_err(|error| failed(&error))?;
            if !response.status().is_redirection() {
                return match response.status() {
                    StatusCode::OK => Ok((url, response)),
                    status => Err(FileError::Status(status.as_u16())),
                };
            }
            let location = response.headers().get(LOCATION);
            let location = location.and_then(|value| value.to_str().ok());
            let status = response.status().as_u16();
            let location = location.ok_or(FileError::Status(status))?;
            url = self.places.url(location, Some(&url))?;
        }
        Err(FileError::Redirects)
    }
}

/// The content, read piece by piece: what the server says of its length is not believed.
async fn body(mut response: Response, most: usize) -> Result<Bytes, FileError> {
    let said = response.content_length().unwrap_or_default();
    if said > most as u64 {
        return Err(FileError::Long(most));
    }
    let mut data = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| failed(&error))? {
        if piece.len() > most - data.len() {
            return Err(FileError::Long(most));
        }
        data.extend_from_slice(&piece);
    }
    Ok(data.freeze())
}

/// The media type that the server says, without its parameters.
fn content_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().to_owned()
}

/// The last part of the path.
fn filename(url: &Url) -> String {
    let last = url
        .path_segments()
        .and_then(|mut segments| segments.next_back());
    percent_decoded(last.unwrap_or_default())
}

/// The text behind percent-encoding; what is none, or no text, stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digit = |place: usize| {
            behind
                .get(place)
                .and_then(|&byte| char::from(byte).to_digit(16))
        };
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &behind[2..];
        } else {
            bytes.push(first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// What is behind an error of the client's.
fn failed(error: &reqwest::Error) -> FileError {
    Refusal::of(error).map_or(FileError::Unreachable, FileError::from)
}

#[cfg(test)]
mod tests;
