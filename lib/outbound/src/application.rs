//! The applications that requests are sent for.

use crate::Error;
use boot::{Backoff, Check, SecretString, chain};
use discord::Rest;
use std::time::Duration;
use tokio::time;

/// The waits between two tries to ask Discord.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// One application, as it is configured.
#[derive(Clone, Debug)]
pub struct Application {
    /// The application's id, if it need not be asked for.
    pub id: Option<u64>,
    /// The bot's token. Without one only what needs none is sent.
    pub token: Option<SecretString>,
    /// Requests a second.
    pub global_limit: u32,
}

impl Application {
    /// The application's id, from Discord if it is not configured.
    pub(crate) async fn find(&self, api_url: &str, check: &Check) -> Result<u64, Error> {
        let token = match (self.id, &self.token) {
            (Some(id), _) => return Ok(id),
            (None, Some(token)) => token,
            (None, None) => return Err(Error::Nobody),
        };
        let rest = Rest::new(api_url, token)?;
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let error = match rest.application().await {
                Ok(answer) => return Ok(answer.id),
                Err(error) if !error.is_transient() => return Err(error.into()),
                Err(error) => error,
            };
            let wait = error.retry_after().unwrap_or_else(|| backoff.next());
            let reason = chain(&error);
            let reason = format!("cannot ask Discord for the application: {reason}");
            check.down(reason);
            time::sleep(wait).await;
        }
    }
}
