//! Making room in a stream: purges what its consumers have acknowledged, by each consumer's own filter.
//!
//! Nothing else is touched, so records of consumers that we do not know of stay. A purge below an acknowledgement floor
//! may be repeated, by any process, at any time: floors only rise.

use serde::Deserialize;
use serde_json::json;

use super::consumer::floor_of;
use super::link::AskError;
use super::log::Shared;
use super::manage::{StreamInfo, info};
use super::record::{check_filter, check_name};
use crate::ports::{ConsumerSpec, LogError, Stream, TrimWhen};

/// The share of a stream that acknowledged records may take: one in so many.
const SHARE: u64 = 4;

/// The server's reply to a purge.
#[derive(Deserialize)]
struct Purged {
    purged: u64,
}

/// See [`crate::ports::LogPort::trim`].
pub(super) async fn trim(
    shared: &Shared,
    stream: Stream,
    consumers: &[ConsumerSpec],
    when: TrimWhen,
) -> Result<u64, LogError> {
    // Asked first: what comes later is not below any floor that is made of this.
    let before = info(&shared.link, stream).await?;
    match when {
        TrimWhen::Filling if !is_filling(&before) => return Ok(0),
        TrimWhen::Filling | TrimWhen::Now => {}
    }
    let mut removed = 0;
    for spec in consumers {
        if check_filter(&spec.filter).is_err() || check_name(&spec.name).is_err() {
            continue;
        }
        let floor = floor_of(shared, stream, spec, before.state.last_seq).await?;
        if let Some(floor) = floor.filter(|floor| *floor >= before.state.first_seq) {
            removed += purge(shared, stream, &spec.filter, floor).await?;
        }
    }
    Ok(removed)
}

fn is_filling(info: &StreamInfo) -> bool {
    let bytes_max = info.config.get("max_bytes").and_then(serde_json::Value::as_u64);
    bytes_max.is_some_and(|bytes_max| info.state.bytes > bytes_max / SHARE)
}

/// Removes what a filter takes, up to a sequence.
async fn purge(shared: &Shared, stream: Stream, filter: &str, up_to: u64) -> Result<u64, AskError> {
    let body = json!({"filter": filter, "seq": up_to.saturating_add(1)});
    let purged: Purged = shared.link.ask(format!("STREAM.PURGE.{}", stream.name()), &body).await?;
    Ok(purged.purged)
}
