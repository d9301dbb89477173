//! Warns an operator of pages whose origin is not allowed: once for each origin, and bounded whatever is sent.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// Origins that are remembered; the oldest makes room.
const REMEMBERED_MAX: usize = 256;
/// Bytes of an origin that are shown and remembered: a host name of 253 with scheme and port.
const ORIGIN_BYTES_MAX: usize = 300;
/// Warnings in one [`WINDOW`]: origins are what clients send, and must not fill a log.
const WARNINGS_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// The origins that were refused.
#[derive(Debug, Default)]
pub(super) struct RefusedOrigins(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    origins: VecDeque<Box<str>>,
    window_began: Option<Instant>,
    warnings: u32,
}

impl RefusedOrigins {
    /// Warns of an origin, unless that was done before.
    pub(super) fn warn(&self, origin: &str, now: Instant) {
        let shown = &origin[..origin.floor_char_boundary(ORIGIN_BYTES_MAX)];
        if !self.0.lock().unwrap_or_else(PoisonError::into_inner).is_news(shown, now) {
            return;
        }
        if shown == "null" {
            warn!(
                "refused a page without an origin of its own (a local file, or a sandboxed frame): serve it from an \
                 origin that is in http.allowed_origins"
            );
        } else {
            warn!(
                origin = shown,
                "refused a page of {shown}: its origin is not in http.allowed_origins; add it there if it may call"
            );
        }
    }
}

impl Seen {
    fn is_news(&mut self, origin: &str, now: Instant) -> bool {
        if self.origins.iter().any(|known| **known == *origin) {
            return false;
        }
        if self.window_began.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            (self.window_began, self.warnings) = (Some(now), 0);
        }
        if self.warnings >= WARNINGS_MAX {
            return false;
        }
        self.warnings += 1;
        if self.origins.len() >= REMEMBERED_MAX {
            self.origins.pop_front();
        }
        self.origins.push_back(origin.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_origin_is_news_once() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        assert!(seen.is_news("https://a.example", now));
        assert!(!seen.is_news("https://a.example", now + WINDOW));
        assert!(seen.is_news("https://b.example", now));
    }

    #[tokio::test(start_paused = true)]
    async fn many_origins_fill_neither_memory_nor_log_and_hide_no_later_one() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        let news = |seen: &mut Seen, at: Instant, from: u32| {
            (from..from + 1000).filter(|n| seen.is_news(&format!("https://{n}.example"), at)).count()
        };
        assert_eq!(news(&mut seen, now, 0), 20);
        assert!(!seen.is_news("https://app.example", now));
        for minute in 1..100 {
            assert_eq!(news(&mut seen, now + WINDOW * minute, minute * 1000), 20);
        }
        assert!(seen.origins.len() <= REMEMBERED_MAX);
        assert!(seen.is_news("https://app.example", now + WINDOW * 100));
    }
}
