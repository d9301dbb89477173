//! Metrics: one recorder for the process, and its text for `/metrics`.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::names::{self, Kind};

/// Bounds for times: close together where a commit is (0.1 to 5 ms), up to the longest wait.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Bounds for sizes: 1 KiB to 4 GiB.
const BYTES: [f64; 7] =
    [1024.0, 16_384.0, 262_144.0, 4_194_304.0, 67_108_864.0, 1_073_741_824.0, 4_294_967_296.0];
/// Bounds for counts of things in one go.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// How often values that wait in memory are folded.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static INSTALLED: OnceLock<MetricsHandle> = OnceLock::new();

/// What was counted so far. Cheap to clone.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsHandle")
    }
}

impl MetricsHandle {
    /// Makes this process count. Repeating it returns the same handle.
    ///
    /// # Panics
    /// If someone else installed a recorder, or a bucket bound is missing: both are mistakes of ours.
    #[must_use]
    pub fn install() -> Self {
        INSTALLED
            .get_or_init(|| {
                let recorder = recorder().expect("every list of buckets has a bound");
                let handle = Self(recorder.handle());
                metrics::set_global_recorder(recorder).expect("nobody else installs a recorder");
                describe_all();
                start_at_zero();
                metrics::gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
                handle
            })
            .clone()
    }

    /// Everything counted so far, in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps the memory of histograms small. Never returns; drop it to stop.
    pub async fn keep_up(self) -> std::convert::Infallible {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)?;
    Ok(builder.build_recorder())
}

fn describe_all() {
    for metric in names::ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

/// Registers every series of every counter whose labels are known. `increase` of a series that first appears at one is
/// nothing, and a sum with an absent operand is empty, so an alert on a series that does not exist yet never fires.
fn start_at_zero() {
    for metric in names::ALL.iter().filter(|metric| metric.kind == Kind::Counter) {
        for labels in combinations(metric.labels) {
            metrics::counter!(metric.name, &labels).increment(0);
        }
    }
}

/// Every combination of the values of some labels; of no labels, the one without any.
fn combinations(labels: &[(&'static str, &[&'static str])]) -> Vec<Vec<(&'static str, &'static str)>> {
    labels.iter().fold(vec![Vec::new()], |known, (label, values)| {
        let extended = |before: &Vec<_>| {
            let before = before.clone();
            values.iter().map(move |value| [&before[..], &[(*label, *value)]].concat())
        };
        known.iter().flat_map(extended).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_described_and_every_histogram_has_buckets() {
        let handle = MetricsHandle::install();
        for metric in names::ALL {
            match metric.kind {
                Kind::Counter => metrics::counter!(metric.name).increment(1),
                Kind::Gauge => metrics::gauge!(metric.name).set(1.0),
                Kind::Histogram => metrics::histogram!(metric.name).record(1.0),
            }
        }
        let text = handle.render();
        for metric in names::ALL {
            let name = metric.name;
            assert!(text.contains(&format!("# HELP {name} {}", metric.help)), "{name} has no text:\n{text}");
            let sample = match metric.kind {
                Kind::Counter | Kind::Gauge => format!("\n{name}"),
                Kind::Histogram => format!("\n{name}_bucket"),
            };
            assert!(text.contains(&sample), "{name} is not there as it should be:\n{text}");
        }
    }

    #[test]
    fn counters_start_at_zero_in_every_series() {
        let text = MetricsHandle::install().render();
        for metric in names::ALL.iter().filter(|metric| metric.kind == Kind::Counter) {
            for labels in combinations(metric.labels) {
                let series = |line: &&str| {
                    line.starts_with(metric.name)
                        && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
                };
                assert!(text.lines().any(|line| series(&line)), "{} {labels:?} does not exist", metric.name);
            }
        }
    }

    #[test]
    fn labels_are_combined() {
        let labels: [(&str, &[&str]); 2] = [("a", &["1", "2"]), ("b", &["3"])];
        assert_eq!(combinations(&labels), [[("a", "1"), ("b", "3")], [("a", "2"), ("b", "3")]]);
        assert_eq!(combinations(&[]), [[]]);
    }

    #[test]
    fn installing_twice_counts_in_the_same_place() {
        let (first, second) = (MetricsHandle::install(), MetricsHandle::install());
        assert!(first.render().contains("wharf_build_info{version="));
        assert!(second.render().contains("wharf_build_info{version="));
    }
}
