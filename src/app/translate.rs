//! Settings, as each part takes them.

use std::time::Duration;

use crate::actors::{Orphans, SweepOptions, TreeOptions};
use crate::adapters::embedded::bucket::BucketOptions;
use crate::config::{Config, OrphanSetting};
use crate::domain::decide::Rules;
use crate::domain::event::EventSource;

const DAY_SECS: u64 = 24 * 3600;

pub(super) fn rules(config: &Config) -> Rules {
    Rules {
        quota_bytes_default: config.quota.default_bytes,
        files_max: config.quota.files_max,
        rows_max: config.quota.rows_max,
        upload_url_ttl: Duration::from_secs(config.upload.url_ttl_secs),
    }
}

pub(super) fn tree_options(config: &Config) -> TreeOptions {
    let sweep = &config.sweep;
    let orphans = match sweep.orphans {
        OrphanSetting::Off => Orphans::Off,
        OrphanSetting::Report => Orphans::Report,
        OrphanSetting::Remove => Orphans::Remove,
    };
    let sweep = SweepOptions {
        trash_retention: Duration::from_secs(sweep.trash_days * DAY_SECS),
        orphans,
        history: config.ledger.history(),
        deep_every: Duration::from_secs(sweep.deep_every_secs),
        accounts_per_sec: sweep.accounts_per_sec,
        objects_per_sec: sweep.objects_per_sec,
    };
    TreeOptions { sweep, ..TreeOptions::default() }
}

pub(super) fn event_source(config: &Config) -> EventSource {
    EventSource {
        deployment: config.deployment.clone(),
        bucket: config.objects.bucket.clone(),
        redact_names: config.events.redact_names,
    }
}

pub(super) fn embedded_bucket(config: &Config) -> BucketOptions {
    BucketOptions {
        bucket: config.objects.bucket.clone(),
        region: config.objects.region.clone(),
        object_bytes_max: config.upload.max_bytes,
        allowed_origins: config.http.allowed_origins.clone(),
        reserve_bytes: config.s3.reserve_bytes,
        tombstones_kept_for: Duration::from_secs(config.upload.url_ttl_secs) + Rules::GRACE,
        ..BucketOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_go_as_the_settings_say_and_the_defaults_are_one() {
        let mut config = Config::default();
        assert_eq!(tree_options(&config), TreeOptions::default());
        config.sweep.trash_days = 2;
        config.sweep.orphans = OrphanSetting::Remove;
        let sweep = tree_options(&config).sweep;
        assert_eq!(
            (sweep.trash_retention, sweep.orphans),
            (Duration::from_secs(2 * DAY_SECS), Orphans::Remove)
        );
    }
}
