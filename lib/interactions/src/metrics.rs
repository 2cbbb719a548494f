//! What `/metrics` says of interactions and of replies to them.

use std::time::Duration;

use boot::metrics::{Buckets, Counter, Family, Gauge, Histogram};

/// Labels with words of ours: the number of those is bounded, whatever the network sends.
type Words<const N: usize> = [(&'static str, &'static str); N];

type Application = [(&'static str, u64); 1];

/// The metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    interactions: Family<(Application, Words<2>), Counter>,
    answers: Family<Application, Histogram, Buckets>,
    replies: Family<Words<1>, Counter>,
    failures: Family<Words<1>, Counter>,
    remembered: Gauge,
    owing: Gauge,
}

impl Metrics {
    /// Registers everything, with this in front of each name.
    pub fn new(metrics: &boot::Metrics, service: &str) -> Self {
        let name = |name: &str| format!("{service}_{name}");
        Self {
            interactions: metrics.counters(
                &name("interactions"),
                "Interactions, by what they are and how they were answered",
            ),
            answers: metrics.histograms(
                &name("answer_seconds"),
                "Time from an interaction to its answer",
                Buckets::seconds(),
            ),
            replies: metrics.counters(
                &name("replies"),
                "Replies of workers, by what became of them",
            ),
            failures: metrics.counters(
                &name("failures"),
                "Callbacks, edits and followups that gateway-api could not carry out, by code",
            ),
            remembered: metrics.gauge(&name("remembered"), "Interactions that later replies find"),
            owing: metrics.gauge(
                &name("owing"),
                "Interactions for which the user waits for something that was put off",
            ),
        }
    }

    /// An interaction was answered so.
    pub fn answered(
        &self,
        application_id: u64,
        kind: &'static str,
        answer: &'static str,
        took: Duration,
    ) {
        let application = [("application", application_id)];
        let answers = self.answers.get_or_create(&application);
        answers.observe(took.as_secs_f64());
        let labels = (application, [("kind", kind), ("answer", answer)]);
        self.interactions.get_or_create(&labels).inc();
    }

    /// This became of a reply.
    pub(crate) fn replied(&self, outcome: &'static str) {
        self.replies.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Something could not be carried out.
    pub(crate) fn failed(&self, code: &'static str) {
        self.failures.get_or_create(&[("code", code)]).inc();
    }

    /// So many are remembered, and for so many something is owed.
    pub(crate) fn remembered(&self, all: usize, owing: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.remembered.set(number(all));
        self.owing.set(number(owing));
    }
}
