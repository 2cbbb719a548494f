//! Why a service ends with an error.

use std::{error, fmt::Write as _, io, net::SocketAddr, time::Duration};

/// Any error of a task.
pub type BoxError = Box<dyn error::Error + Send + Sync>;

/// Why a service could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for health and metrics cannot be used.
    #[error("cannot listen on {address}, where ADMIN_ADDRESS wants health and metrics")]
    Admin {
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The TLS set-up of this machine cannot be used.
    #[error("cannot make an HTTP client, which {key} needs")]
    Client {
        /// The key that asks for one.
        key: &'static str,
        /// What is wrong.
        source: reqwest::Error,
    },
    /// A task returned an error.
    #[error("{task} failed")]
    Failed {
        /// The name it was spawned with.
        task: String,
        /// What it returned.
        source: BoxError,
    },
    /// A second signal came while the service was stopping.
    #[error("ended at once by a second signal ({signal})")]
    Impatient {
        /// The name of the signal.
        signal: &'static str,
    },
    /// A task panicked.
    #[error("{task} panicked: {message}")]
    Panicked {
        /// The name it was spawned with.
        task: String,
        /// The message of the panic.
        message: String,
    },
    /// The system refuses what every service needs: threads, timers, signals.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// Tasks went on after the grace time and were aborted.
    #[error("not everything had stopped after {grace:?}, aborted: {tasks}")]
    Stuck {
        /// How long they were given.
        grace: Duration,
        /// Their names.
        tasks: String,
    },
}

/// An error and its causes in one line, for logging it once, where it is handled.
///
/// A cause that the text before it already quotes is not repeated.
#[must_use]
pub fn chain(error: &(dyn error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !last.ends_with(&cause_text) {
            // Writing to a string cannot fail.
            write!(text, ": {cause_text}").ok();
        }
        last = cause_text;
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Error, chain};

    #[derive(Debug, thiserror::Error)]
    #[error("the login failed: {0}")]
    struct Quoting(#[source] io::Error);

    #[test]
    fn causes_follow_once() {
        let error = Error::Failed {
            task: "publisher".to_owned(),
            source: Box::new(Quoting(io::Error::other("refused"))),
        };
        assert_eq!(chain(&error), "publisher failed: the login failed: refused");
    }
}
