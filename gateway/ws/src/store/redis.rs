//! Sessions in Redis or Valkey: one hash per application, one field per shard.

use super::Sessions;
use crate::{Error, session::Session};
use ::redis::{AsyncTypedCommands, Client, aio::MultiplexedConnection};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// How long connecting, or one command, may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A hash in Redis that holds sessions.
pub(crate) struct Redis {
    /// Where the server is.
    client: Client,
    /// The connection, while there is one.
    connection: Option<MultiplexedConnection>,
    /// The hash's key.
    key: String,
    /// What was saved last: only what differs is written.
    saved: Sessions,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client would show the password of its URL.
        formatter
            .debug_struct("Redis")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Redis {
    /// Names the server and the hash; nothing is connected yet.
    pub(super) fn new(url: &SecretString, application_id: u64) -> Result<Self, Error> {
        Ok(Self {
            client: Client::open(url.expose_secret()).map_err(Error::Redis)?,
            connection: None,
            key: format!("gateway:{{{application_id}}}:sessions"),
            saved: Sessions::new(),
        })
    }

    /// Reads every session; a field that cannot be read counts as absent.
    pub(super) async fn load(&mut self) -> Result<Sessions, Error> {
        let key = self.key.clone();
        let mut connection = self.connection().await?;
        let fields = connection.hgetall(&key).await.map_err(Error::Redis)?;
        self.connection = Some(connection);
        let sessions = fields.iter().filter_map(|(shard, session)| {
            Some((shard.parse().ok()?, serde_json::from_str(session).ok()?))
        });
        self.saved = sessions.collect();
        Ok(self.saved.clone())
    }

    /// Writes the sessions that changed, and deletes those that are gone.
    pub(super) async fn save(&mut self, sessions: &Sessions) -> Result<(), Error> {
        let changed: Vec<(u32, String)> = sessions
            .iter()
            .filter(|(shard, session)| self.saved.get(shard) != Some(session))
            .map(|(shard, session)| (*shard, text(session)))
            .collect();
        let gone = self
            .saved
            .keys()
            .filter(|shard| !sessions.contains_key(shard));
        let gone: Vec<u32> = gone.copied().collect();
        let mut connection = self.connection().await?;
        if !changed.is_empty() {
            connection
                .hset_multiple(&self.key, &changed)
                .await
                .map_err(Error::Redis)?;
        }
        if !gone.is_empty() {
            connection
                .hdel(&self.key, &gone)
                .await
                .map_err(Error::Redis)?;
        }
        self.connection = Some(connection);
        self.saved.clone_from(sessions);
        Ok(())
    }

    /// Takes the connection, or makes one; whoever succeeds with it puts it back.
    async fn connection(&mut self) -> Result<MultiplexedConnection, Error> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let config = ::redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(Error::Redis)
    }
}

/// A session as the hash holds it.
fn text(session: &Session) -> String {
    serde_json::to_string(session).expect("strings and numbers")
}
