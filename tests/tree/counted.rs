//! What was counted while something ran: metrics of this test alone.

use metrics_exporter_prometheus::PrometheusBuilder;

/// The metrics, as an operator sees them.
pub(crate) struct Counted(String);

impl Counted {
    /// Counts what happens on this thread, where the whole tree of a test runs, until `work` is done.
    pub(crate) async fn during(work: impl Future<Output = ()>) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        work.await;
        Self(recorder.handle().render())
    }

    /// What an operator sees.
    pub(crate) const fn text(text: String) -> Self {
        Self(text)
    }

    /// A counter, of this label's value; 0 if it never rose.
    pub(crate) fn of(&self, name: &str, label: &str) -> u64 {
        let start = format!("{name}{{");
        let mut lines = self.0.lines().filter(|line| line.starts_with(&start));
        let line = lines.find(|line| line.contains(&format!("\"{label}\"")));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// A gauge or counter without labels; none if it was never set.
    pub(crate) fn plain(&self, name: &str) -> Option<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.map(|value| value.parse().unwrap())
    }
}
