//! Metrics of a service in the OpenMetrics text format.

mod process;

use std::{
    collections::BTreeSet,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    encoding::{
        EncodeLabelSet, EncodeLabelValue, LabelValueEncoder,
        text::{encode_eof, encode_registry},
    },
    metrics::{family::MetricConstructor, info::Info},
    registry::{Metric, Registry},
};

pub use prometheus_client::metrics::{
    counter::Counter, family::Family, gauge::Gauge, histogram::Histogram,
};

use process::Process;
pub use process::cpu_time;

/// What `/metrics` answers with.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The labels of a family, for example `[("shard", "0")]` or a struct that derives
/// `EncodeLabelSet`.
pub trait Labels: EncodeLabelSet + Clone + Hash + Eq + fmt::Debug + Send + Sync + 'static {}

impl<T> Labels for T where T: EncodeLabelSet + Clone + Hash + Eq + fmt::Debug + Send + Sync + 'static
{}

/// The value of a label in families that have both kinds of them, without an allocation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Label {
    /// An id, or a status.
    Number(u64),
    /// One of a few words.
    Word(&'static str),
}

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.encode(encoder),
            Self::Word(word) => word.encode(encoder),
        }
    }
}

/// All metrics of a service. Each name is to be registered once.
///
/// Names get the prefix `gateway_` and counters the suffix `_total`; help texts get a full stop.
#[derive(Clone, Debug)]
pub struct Metrics {
    registries: Arc<Mutex<Registries>>,
}

#[derive(Debug)]
struct Registries {
    /// What every process has, under the names that dashboards know.
    process: Registry,
    gateway: Registry,
    /// The names of the service's own metrics.
    names: BTreeSet<String>,
}

/// The upper bounds of a histogram's buckets.
#[derive(Clone, Debug)]
pub struct Buckets(Arc<[f64]>);

impl Buckets {
    /// These bounds, in rising order.
    pub fn new(bounds: impl IntoIterator<Item = f64>) -> Self {
        Self(bounds.into_iter().collect())
    }

    /// Seconds from half a millisecond to ten seconds.
    #[must_use]
    pub fn seconds() -> Self {
        let bounds = [
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ];
        Self::new(bounds)
    }
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Metrics {
    /// A registry that knows only the process: start, memory, CPU time, open files.
    #[must_use]
    pub fn new() -> Self {
        let mut process = Registry::default();
        process.register_collector(Box::new(Process::new()));
        let gateway = Registry::with_prefix("gateway");
        Self {
            registries: Arc::new(Mutex::new(Registries {
                process,
                gateway,
                names: BTreeSet::new(),
            })),
        }
    }

    /// A counter without labels.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.register(name, help, Counter::default())
    }

    /// A counter with labels.
    #[must_use]
    pub fn counters<L: Labels>(&self, name: &str, help: &str) -> Family<L, Counter> {
        self.register(name, help, Family::default())
    }

    /// A gauge without labels.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.register(name, help, Gauge::default())
    }

    /// A gauge with labels.
    #[must_use]
    pub fn gauges<L: Labels>(&self, name: &str, help: &str) -> Family<L, Gauge> {
        self.register(name, help, Family::default())
    }

    /// A histogram without labels.
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &Buckets) -> Histogram {
        self.register(name, help, buckets.new_metric())
    }

    /// A histogram with labels.
    #[must_use]
    pub fn histograms<L: Labels>(
        &self,
        name: &str,
        help: &str,
        buckets: Buckets,
    ) -> Family<L, Histogram, Buckets> {
        self.register(name, help, Family::new_with_constructor(buckets))
    }

    /// Registers any metric of `prometheus-client`, and gives it back.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let mut registries = self.lock();
        registries.gateway.register(name, help, metric.clone());
        registries.names.insert(format!("gateway_{name}"));
        drop(registries);
        metric
    }

    /// The names of all metrics of the service's own, without what OpenMetrics puts behind them.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.lock().names.clone()
    }

    /// All metrics as text, in the OpenMetrics format.
    ///
    /// # Errors
    /// When a metric of the service's own making fails to encode itself.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let registries = self.lock();
        let mut text = String::new();
        encode_registry(&mut text, &registries.process)?;
        encode_registry(&mut text, &registries.gateway)?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// Tells which service of which version this is.
    pub(crate) fn build(&self, service: &'static str, version: &'static str) {
        let labels = [("service", service), ("version", version)];
        let help = "The running service and its version";
        self.lock()
            .gateway
            .register("build", help, Info::new(labels));
    }

    fn lock(&self) -> MutexGuard<'_, Registries> {
        self.registries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The names in the first column of a README's table, as [`Metrics::names`] has them: a service's
/// test compares the two.
#[must_use]
pub fn documented(readme: &str) -> BTreeSet<String> {
    let rows = readme
        .lines()
        .filter(|line| line.starts_with("| `gateway_"));
    let names = rows.filter_map(|line| line.split(" | ").next()?.strip_prefix("| "));
    let bare = |name: &str| {
        let name = name.trim_matches('`');
        let name = name.split_once('{').map_or(name, |(name, _)| name);
        name.strip_suffix("_total").unwrap_or(name).to_owned()
    };
    names
        .flat_map(|names| names.split(", "))
        .map(bare)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Buckets, Metrics, documented};

    #[test]
    fn every_kind_is_shown_under_the_prefix() {
        let metrics = Metrics::new();
        metrics.build("gateway-test", "1.2.3");
        metrics.counter("events", "Events").inc_by(3);
        metrics.gauge("shards", "Shards").set(2);
        let closes = metrics.counters::<[(&str, &str); 1]>("closes", "Closes");
        closes.get_or_create(&[("code", "4000")]).inc();
        let states = metrics.gauges::<Vec<(String, String)>>("states", "States");
        states
            .get_or_create(&vec![("state".to_owned(), "open".to_owned())])
            .set(1);
        let buckets = Buckets::seconds();
        metrics.histogram("wait", "Wait", &buckets).observe(0.2);
        let waits = metrics.histograms::<[(&str, &str); 1]>("waits", "Waits", buckets);
        waits.get_or_create(&[("kind", "a")]).observe(20.0);

        let text = metrics.text().unwrap();
        for line in [
            r#"gateway_build_info{service="gateway-test",version="1.2.3"} 1"#,
            "# HELP gateway_events Events.",
            "gateway_events_total 3",
            "gateway_shards 2",
            r#"gateway_closes_total{code="4000"} 1"#,
            r#"gateway_states{state="open"} 1"#,
            r#"gateway_wait_bucket{le="0.25"} 1"#,
            r#"gateway_waits_bucket{le="10.0",kind="a"} 0"#,
            r#"gateway_waits_count{kind="a"} 1"#,
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.contains("process_start_time_seconds "), "{text}");
    }

    #[test]
    fn a_table_has_names_with_labels_and_suffixes_and_sometimes_two_in_a_row() {
        let readme = "| metric | what it is |\n|---|---|\n\
            | `gateway_events_total{shard}` | events |\n\
            | `gateway_shards`, `gateway_closes_total` | `gateway_other` is no metric |\n";
        let names = ["gateway_closes", "gateway_events", "gateway_shards"];
        assert_eq!(documented(readme), names.map(str::to_owned).into());
    }
}
