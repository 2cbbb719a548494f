//! What the system knows of this process, read when somebody asks.

use std::{
    fmt, fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Linux counts CPU time in hundredths of a second on every architecture that we run on.
const TICK: u64 = 10;

/// The process metrics that Prometheus' own clients agree on. Where `/proc` is missing, only the
/// start time.
#[derive(Debug)]
pub(super) struct Process {
    start: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start: since_epoch.map_or(0.0, |duration| duration.as_secs_f64()),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric = |name: &str, help: &str, metric: &dyn Encode| {
            metric.encode_as(name, help, &mut encoder)
        };
        metric(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            &ConstGauge::new(self.start),
        )?;
        if let Some(bytes) = resident_bytes() {
            metric(
                "process_resident_memory_bytes",
                "Memory in use",
                &ConstGauge::new(bytes),
            )?;
        }
        if let Some(time) = cpu_time() {
            metric(
                "process_cpu_seconds",
                "CPU time used, in seconds",
                &ConstCounter::new(time.as_secs_f64()),
            )?;
        }
        if let Some(files) = open_files() {
            metric("process_open_fds", "Open files", &ConstGauge::new(files))?;
        }
        Ok(())
    }
}

/// Encodes a metric together with its description.
trait Encode {
    fn encode_as(
        &self,
        name: &str,
        help: &str,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error>;
}

impl<M: EncodeMetric> Encode for M {
    fn encode_as(
        &self,
        name: &str,
        help: &str,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let metric = encoder.encode_descriptor(name, help, None, self.metric_type())?;
        self.encode(metric)
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The CPU time that this process has used, where `/proc` tells it.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses and may hold spaces: fields 14 and 15 are the
    // 12th and 13th after it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks = ticks.map(|field| field.parse::<u64>().ok());
    let ticks = ticks.sum::<Option<u64>>()?;
    Some(Duration::from_millis(ticks.saturating_mul(TICK)))
}

fn open_files() -> Option<u64> {
    let files = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(files).ok()
}
