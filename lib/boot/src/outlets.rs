//! What goes out while the service runs and still when it has ended: traces, and the log in a
//! Discord channel.

use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    error::Error,
    trace::{self, Exporter, Traces},
    webhook::{self, Lines, Webhook},
};

/// How long the last spans and lines may take when the service has ended.
const LAST: Duration = Duration::from_secs(3);

/// The outlets that the operator wants, before they are open.
#[derive(Default)]
pub(crate) struct Outlets {
    exporter: Option<Exporter>,
    webhook: Option<Webhook>,
}

/// The outlets at work.
pub(crate) struct Open {
    closing: CancellationToken,
    tasks: JoinSet<()>,
}

impl Outlets {
    /// What takes lines of the log, if the operator wants them posted.
    pub(crate) fn log(
        &mut self,
        settings: Option<webhook::Settings>,
        name: &str,
        version: &str,
    ) -> Result<Option<Lines>, Error> {
        let Some(settings) = settings else {
            return Ok(None);
        };
        let key = "LOG_WEBHOOK_URL";
        let made = Webhook::new(settings, name, version);
        let (webhook, lines) = made.map_err(|source| Error::Client { key, source })?;
        self.webhook = Some(webhook);
        Ok(Some(lines))
    }

    /// What makes traces; none unless the operator wants them.
    pub(crate) fn traces(
        &mut self,
        settings: Option<trace::Settings>,
        name: &str,
        version: &str,
        context: &Context,
    ) -> Result<Traces, Error> {
        let Some(settings) = settings else {
            return Ok(Traces::default());
        };
        let key = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let made = Exporter::new(settings, name, version, &context.metrics);
        let (exporter, traces) = made.map_err(|source| Error::Client { key, source })?;
        self.exporter = Some(exporter);
        Ok(traces)
    }

    /// Opens them, on the runtime that this is called in.
    pub(crate) fn open(self) -> Open {
        let closing = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if let Some(exporter) = self.exporter {
            tasks.spawn(exporter.run(closing.clone()));
        }
        if let Some(webhook) = self.webhook {
            tasks.spawn(webhook.run(closing.clone()));
        }
        Open { closing, tasks }
    }
}

impl Open {
    /// Lets the last spans and lines out, for as long as there is time.
    pub(crate) async fn close(mut self, deadline: Instant) {
        self.closing.cancel();
        let deadline = deadline.min(Instant::now() + LAST);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if time::timeout_at(deadline, all).await.is_err() {
            tracing::warn!("not all traces and log lines could be sent before the end");
        }
    }
}
