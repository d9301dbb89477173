//! The metrics of requests. Handles are looked up once a series, not once a request.

use std::sync::OnceLock;
use std::time::Duration;

use hyper::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram};

use super::routes::Template;
use crate::telemetry::{Counted, names};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
const PAIRS: usize = Template::COUNT * METHODS.len();

/// The handles of the metrics.
pub(super) struct Meters {
    /// Requests in flight.
    pub(super) in_flight: Gauge,
    /// Open connections.
    pub(super) connections: Gauge,
    event_streams: Gauge,
    requests: Vec<OnceLock<Counter>>,
    seconds: Vec<OnceLock<Histogram>>,
}

impl Meters {
    pub(super) fn new() -> Self {
        let meters = Self {
            in_flight: metrics::gauge!(names::HTTP_REQUESTS_IN_FLIGHT),
            connections: metrics::gauge!(names::HTTP_CONNECTIONS),
            event_streams: metrics::gauge!(names::HTTP_EVENT_STREAMS),
            requests: std::iter::repeat_with(OnceLock::new).take(PAIRS * CLASSES.len()).collect(),
            seconds: std::iter::repeat_with(OnceLock::new).take(PAIRS).collect(),
        };
        meters.start_at_zero();
        meters
    }

    /// Registers the series of every method that a route takes, and of paths that lead nowhere: `increase` of a series
    /// that first appears at one is nothing, so an alert would miss the first failure.
    fn start_at_zero(&self) {
        for word in METHODS {
            self.requests(Template::Unmatched, word, "4xx").increment(0);
        }
        for template in Template::all() {
            for word in template.methods() {
                for class in CLASSES {
                    self.requests(template, word, class).increment(0);
                }
            }
        }
    }

    fn requests(&self, template: Template, word: &'static str, class: &'static str) -> &Counter {
        let class_at = CLASSES.iter().position(|c| *c == class).unwrap_or(0);
        self.requests[pair(template, word) * CLASSES.len() + class_at].get_or_init(|| {
            let route = template.as_str();
            metrics::counter!(names::HTTP_REQUESTS_TOTAL, "route" => route, "method" => word, "status" => class)
        })
    }

    /// Counts an open event stream until it is dropped.
    pub(super) fn event_stream(&self) -> Counted {
        Counted::start(&self.event_streams)
    }

    /// Counts one answer.
    pub(super) fn answered(&self, template: Template, method: &Method, status: StatusCode, took: Duration) {
        let word = word_of(method);
        self.requests(template, word, class_of(status)).increment(1);
        let route = template.as_str();
        let histogram = self.seconds[pair(template, word)].get_or_init(
            || metrics::histogram!(names::HTTP_REQUEST_SECONDS, "route" => route, "method" => word),
        );
        histogram.record(took.as_secs_f64());
    }
}

fn pair(template: Template, word: &str) -> usize {
    template.index() * METHODS.len() + METHODS.iter().position(|m| *m == word).unwrap_or(0)
}

/// The method's word in a metric: a closed set, whatever clients send.
fn word_of(method: &Method) -> &'static str {
    METHODS.into_iter().find(|word| *word == method.as_str()).unwrap_or("other")
}

fn class_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        0..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}
