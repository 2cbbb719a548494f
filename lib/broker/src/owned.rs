//! The requests that one replica alone can carry out, because it holds what they are about.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

use crate::{Request, Requests};

/// The requests to this replica, by routing keys of its own.
#[derive(Debug)]
pub struct Owned {
    requests: Requests,
    bindings: Bindings,
}

/// The routing keys by which requests reach this replica; cheap to clone.
///
/// A change holds as soon as the broker has heard of it, and after each new connection.
#[derive(Clone, Debug)]
pub struct Bindings(Arc<watch::Sender<BTreeSet<String>>>);

impl Owned {
    pub(crate) fn new(requests: Requests, bindings: Bindings) -> Self {
        Self { requests, bindings }
    }

    /// What decides which requests come.
    #[must_use]
    pub fn bindings(&self) -> Bindings {
        self.bindings.clone()
    }

    /// The next request; it waits for ever when none comes. Cancel safe. Bindings are changed while
    /// somebody waits here.
    pub async fn next(&mut self) -> Request {
        self.requests.next().await
    }
}

impl Bindings {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }

    pub(crate) fn watch(&self) -> watch::Receiver<BTreeSet<String>> {
        self.0.subscribe()
    }

    /// Requests with such a routing key come here from now on; `*` stands for one word.
    pub fn bind(&self, key: impl Into<String>) {
        let key = key.into();
        self.0.send_if_modified(|keys| keys.insert(key));
    }

    /// They no longer do.
    pub fn unbind(&self, key: &str) {
        self.0.send_if_modified(|keys| keys.remove(key));
    }
}
