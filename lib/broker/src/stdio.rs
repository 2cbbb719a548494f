//! The broker without a server: messages on stdout, requests on stdin, one JSON object per line.

mod input;
mod json;
mod output;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use boot::Context;
use tokio::sync::mpsc;

use crate::{Config, metrics::Metrics, queue::Queue};

pub(crate) use self::{input::Input, output::Answer};

/// How many replies may wait for stdout. Whoever replies waits when there is no room.
const REPLIES: usize = 64;

/// What turns stdin into requests.
#[derive(Clone, Debug)]
pub(crate) struct Stdio {
    replies: mpsc::Sender<output::Line>,
    /// Whether somebody reads stdin already.
    is_read: Arc<AtomicBool>,
}

/// Starts the task that writes to stdout.
pub(crate) fn start(
    config: Config,
    queue: &Arc<Queue>,
    metrics: Metrics,
    context: &Context,
) -> Stdio {
    let (sender, replies) = mpsc::channel(REPLIES);
    let writer = output::Writer::new(
        tokio::io::stdout(),
        config.prefix,
        Arc::clone(queue),
        metrics,
        context.health.check("broker"),
        replies,
    );
    let (queue, shutdown) = (Arc::clone(queue), context.shutdown.clone());
    context.tasks.spawn("broker", async move {
        let _closing = queue.closing();
        writer.run(&shutdown).await
    });
    Stdio {
        replies: sender,
        is_read: Arc::default(),
    }
}

impl Stdio {
    /// The requests that come by stdin, for the first who asks for them: two readers would get half of
    /// each line.
    pub(crate) fn input(&self, services: &[&str], application_id: u64) -> Option<Input> {
        if self.is_read.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                application_id,
                "stdin is for the requests of one application; this one takes none"
            );
            return None;
        }
        let replies = self.replies.clone();
        let stdin = tokio::io::stdin();
        Some(Input::new(stdin, services, application_id, replies))
    }
}
