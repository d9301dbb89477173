//! How far our clock and the bucket's are apart: signatures of a clock that is far off are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

use crate::domain::time::Timestamp;
use crate::ports::Clock;
use crate::telemetry::names;

/// The skew at which an operator is warned: half of what limits allow, and far below what S3 takes (15 minutes).
const SKEW_ALARM: Duration = Duration::from_secs(30);

/// Reads the `Date` of every answer. Cheap to clone; all clones share what was read last.
#[derive(Clone, Debug)]
pub(super) struct Skew {
    clock: Clock,
    last_millis: Arc<AtomicU64>,
}

impl Skew {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last_millis: Arc::default() }
    }

    /// How far the clocks were apart at the last answer, if that is alarming.
    pub(super) fn alarming(&self) -> Option<Duration> {
        let apart = Duration::from_millis(self.last_millis.load(Ordering::Relaxed));
        (apart > SKEW_ALARM).then_some(apart)
    }

    fn note(&self, date: &str) {
        let Some(theirs) = DateTime::from_str(date, DateTimeFormat::HttpDate).ok().and_then(timestamp) else {
            return;
        };
        let ours = self.clock.now();
        let apart = ours.since(theirs).max(theirs.since(ours));
        self.last_millis.store(u64::try_from(apart.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        metrics::gauge!(names::BUCKET_CLOCK_SKEW_SECONDS).set(apart.as_secs_f64());
    }
}

impl Intercept for Skew {
    fn name(&self) -> &'static str {
        "Skew"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.note(date);
        }
        Ok(())
    }
}

/// A time of the SDK as one of ours; none before 1970.
pub(super) fn timestamp(time: DateTime) -> Option<Timestamp> {
    u64::try_from(time.to_millis().ok()?).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ours: &str, date: &str, expected_secs: Option<u64>) {
        let (clock, _) = Clock::manual(Timestamp::parse(ours).unwrap());
        let skew = Skew::new(clock);
        skew.note(date);
        assert_eq!(skew.alarming().map(|apart| apart.as_secs()), expected_secs, "{date}");
    }

    // proves: F17
    #[test]
    fn clocks_that_are_far_apart_alarm_whoever_is_ahead() {
        check("2026-11-20T10:00:00Z", "Fri, 20 Nov 2026 10:00:30 GMT", None);
        check("2026-11-20T10:00:00Z", "Fri, 20 Nov 2026 10:00:31 GMT", Some(31));
        check("2026-11-20T10:16:00Z", "Fri, 20 Nov 2026 10:00:00 GMT", Some(960));
        check("2026-11-20T10:00:00Z", "yesterday", None);
    }
}
