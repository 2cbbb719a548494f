//! What a track names, and what songbird plays.

use std::{fmt, io::Cursor, time::Duration};

use bytes::Bytes;
use songbird::input::Input;
use symphonia::core::io::MediaSource;
use tokio::{runtime::Handle, task, time};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Error, Health, Stream, feed, files, media::Media, remote::Remote, resolver, web::Web,
};

/// Opens sources.
#[derive(Debug)]
pub struct Sources {
    config: Config,
    web: Web,
}

/// Where the sound of a track comes from.
#[derive(Debug)]
pub enum Source {
    /// A file's content.
    Data(Bytes),
    /// A file below the operator's directory of sounds.
    File(String),
    /// What the operator's command makes an address of.
    Query(String),
    /// Sound that comes in pieces.
    Stream(Stream),
    /// A file's address.
    Url(String),
}

/// A source that can be played.
pub struct Opened {
    /// What songbird plays. Its first sound is there.
    pub input: Input,
    /// What it is called, if it says so.
    pub title: Option<String>,
    /// How long it is, if that is known.
    pub duration: Option<Duration>,
    /// Whether it has positions to go to.
    pub seekable: bool,
    /// How it fares while it is played.
    pub health: Health,
}

impl Sources {
    /// Sources as the operator allows them.
    ///
    /// # Errors
    ///
    /// When the TLS set-up of this machine cannot be used.
    pub fn new(config: Config) -> Result<Self, reqwest::Error> {
        let web = Web::new(&config)?;
        Ok(Self { config, web })
    }

    /// Opens a source, and waits until there is sound. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not allowed.
    pub async fn open(&self, source: Source) -> Result<Opened, Error> {
        match source {
            Source::Data(data) => {
                let content = async { Ok(Box::new(Cursor::new(data)) as Box<dyn MediaSource>) };
                self.read(|_, _| content).await
            }
            Source::File(path) => {
                let config = self.config.clone();
                let opening = task::spawn_blocking(move || files::open(&config, &path));
                let content = async { opening.await.unwrap_or(Err(Error::NoFile)) };
                self.read(|_, _| content).await
            }
            Source::Query(query) => {
                let (command, limit) = (&self.config.resolver, self.config.resolver_timeout);
                let resolved = resolver::resolve(command, &query, limit).await?;
                let opened = self.url(&resolved.url).await?;
                let title = resolved.title.or(opened.title);
                Ok(Opened { title, ..opened })
            }
            Source::Stream(stream) => feed::open(stream),
            Source::Url(url) => self.url(&url).await,
        }
    }

    async fn url(&self, url: &str) -> Result<Opened, Error> {
        let url = self.web.url(url)?;
        let web = self.web.clone();
        self.read(|health, stop| async {
            let remote = Remote::open(web, url, health, stop).await?;
            Ok(Box::new(remote) as Box<dyn MediaSource>)
        })
        .await
    }

    /// Reads the beginning of a file's content, in time.
    async fn read<F>(
        &self,
        open: impl FnOnce(Health, CancellationToken) -> F,
    ) -> Result<Opened, Error>
    where
        F: Future<Output = Result<Box<dyn MediaSource>, Error>>,
    {
        let health = Health::default();
        let token = CancellationToken::new();
        // Also ends what blocks, when nobody waits any more.
        let stop = token.clone().drop_guard();
        let content = open(health.clone(), token.clone());
        let limit = self.config.source_timeout;
        let reading = async {
            let media = Media {
                content: content.await?,
                health,
                read_ahead: self.config.read_ahead.bytes(),
                runtime: Handle::current(),
                stop: token.into(),
            };
            let opened = task::spawn_blocking(|| media.open()).await;
            opened.unwrap_or_else(|_| Err(Error::Format("it cannot be read".to_owned())))
        };
        let opened = time::timeout(limit, reading).await;
        let opened = opened.unwrap_or(Err(Error::Late(limit)))?;
        // From here on the end of the track does.
        stop.disarm();
        Ok(opened)
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("title", &self.title)
            .field("duration", &self.duration)
            .field("seekable", &self.seekable)
            .finish_non_exhaustive()
    }
}
