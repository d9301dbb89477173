//! The log on NATS JetStream: opened as the settings say, and tried by `config check`.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::check::ANSWER_WITHIN;
use super::ports::Site;
use super::start_error::StartError;
use super::upkeep::Upkeep;
use crate::adapters::Log;
use crate::adapters::jetstream::JetStreamLog;
use crate::config::{Config, ManageStreams, NatsSettings};
use crate::ports::Clock;
use crate::telemetry::health::Part;

/// Between two questions whether a connection is there.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn log(site: &Site<'_>) -> Result<Log, StartError> {
    let log = JetStreamLog::connect(site.config.log.nats.clone(), site.clock.clone()).await?;
    Ok(Log::Nats(log))
}

/// Keeps health informed about a log on servers. Whether it is one.
pub(super) fn watch_log(site: &Site<'_>, log: &Log, upkeep: &mut Upkeep) -> bool {
    let Log::Nats(log) = log else { return false };
    site.health.awaits(Part::Log, site.clock.now());
    upkeep.start(log.clone().watch(site.health.clone(), site.clock.clone()));
    true
}

pub(super) async fn check_log(config: &Config) -> Result<String, String> {
    let connect = async |manage_streams| {
        let settings = NatsSettings { manage_streams, ..config.log.nats.clone() };
        JetStreamLog::connect(settings, Clock::System).await.map_err(|error| error.to_string())
    };
    // First without a look at the streams: whether a server lets us in.
    let log = connect(ManageStreams::Off).await?;
    let give_up_at = Instant::now() + ANSWER_WITHIN / 2;
    while let Err(error) = log.ready().await {
        if Instant::now() >= give_up_at {
            return Err(error.reason);
        }
        sleep(ASK_AGAIN).await;
    }
    if config.log.nats.manage_streams == ManageStreams::Off {
        return Ok(String::new());
    }
    let log = connect(ManageStreams::Check).await?;
    let give_up_at = Instant::now() + ANSWER_WITHIN / 4;
    loop {
        match log.differences().await {
            Ok(differences) if differences.is_empty() => return Ok("the streams are as asked".to_owned()),
            Ok(differences) => return Ok(format!("the streams differ: {}", differences.join("; "))),
            Err(_) if Instant::now() < give_up_at => sleep(ASK_AGAIN).await,
            Err(error) if config.log.nats.manage_streams == ManageStreams::Create => {
                return Ok(format!("missing streams are made at the start ({})", error.reason));
            }
            Err(error) => return Err(error.reason),
        }
    }
}
