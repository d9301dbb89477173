//! The refresher of credentials: asks for new ones before those at hand end.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_s3::config::ProvideCredentials as _;
use tracing::warn;

use super::signer::Held;
use crate::adapters::aws::{self, Provider};
use crate::adapters::sigv4::Credentials;
use crate::domain::time::Timestamp;
use crate::ports::Clock;
use crate::telemetry::health::{Health, Part};

/// With less than this left, new ones are asked for: longer than an upload's URL lives.
const LEFT_MIN: Duration = Duration::from_secs(20 * 60);
/// How long an answer may take.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// The least time between two answers.
const ASK_EVERY_MIN: Duration = Duration::from_secs(30);
/// The most: keys that say nothing of an end may still be replaced.
const ASK_EVERY_MAX: Duration = Duration::from_secs(5 * 60);
/// The first pause after a failure; it doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(30);

const _: () = assert!(LEFT_MIN.as_secs() > crate::limits::UPLOAD_URL_TTL.as_secs());

/// Keeps a signer's credentials fresh.
#[derive(Debug)]
pub struct CredentialsRefresher {
    provider: Provider,
    held: Arc<Held>,
    clock: Clock,
    health: Health,
    failures: u32,
}

impl CredentialsRefresher {
    pub(super) const fn new(provider: Provider, held: Arc<Held>, clock: Clock, health: Health) -> Self {
        Self { provider, held, clock, health, failures: 0 }
    }

    /// Asks at once and then whenever it is due, for ever.
    pub async fn run(mut self) {
        loop {
            let pause = self.refresh().await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks once; returns when to ask again. Takes at most 10 s.
    pub async fn refresh(&mut self) -> Duration {
        let asked = tokio::time::timeout(ASK_WITHIN, self.provider.provide_credentials()).await;
        let found = match asked {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(aws::causes(&error)),
            Err(_) => Err(format!("no answer within {ASK_WITHIN:?}")),
        };
        let now = self.clock.now();
        match found {
            Ok(found) => {
                let fresh = credentials(&found);
                let left = fresh.expires_at().map(|end| end.since(now));
                self.hold(fresh);
                self.failures = 0;
                self.health.up(Part::Signer);
                left.map_or(ASK_EVERY_MAX, |left| left.saturating_sub(LEFT_MIN).max(ASK_EVERY_MIN))
            }
            Err(reason) => {
                let pause = PAUSE_FIRST.saturating_mul(1 << self.failures.min(16)).min(PAUSE_LAST);
                self.failures = self.failures.saturating_add(1);
                self.lack(reason, now);
                pause
            }
        }
    }

    /// Replaces the keys at hand, unless they are the same: those know the key of the day.
    fn hold(&self, fresh: Credentials) {
        let is_same = self.held.get().is_ok_and(|held| {
            held.access_key() == fresh.access_key()
                && held.expose_secret() == fresh.expose_secret()
                && held.session_token() == fresh.session_token()
                && held.expires_at() == fresh.expires_at()
        });
        if !is_same {
            self.held.set(Ok(Arc::new(fresh)));
        }
    }

    /// Notes that there are no new ones. Those at hand count to their end.
    fn lack(&self, reason: String, now: Timestamp) {
        let counts = |held: &Arc<Credentials>| held.expires_at().is_none_or(|end| end > now);
        if self.held.get().is_ok_and(|held| counts(&held)) {
            warn!("no new credentials, signing with the old ones: {reason}");
            return;
        }
        self.health.down(Part::Signer, &reason, now);
        self.held.set(Err(reason));
    }
}

fn credentials(found: &aws_sdk_s3::config::Credentials) -> Credentials {
    let keys = Credentials::new(found.access_key_id(), found.secret_access_key());
    let end = found.expiry().and_then(|end| end.duration_since(UNIX_EPOCH).ok());
    let end = end.map(|end| Timestamp::from_millis(u64::try_from(end.as_millis()).unwrap_or(u64::MAX)));
    match found.session_token() {
        Some(token) => keys.in_session(token, end),
        None => keys,
    }
}

#[cfg(test)]
mod tests;
