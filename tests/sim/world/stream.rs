//! The log's streams: a dedup window, durable consumers, and an end that can break off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wharfinger::domain::ids::UserId;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{
    AckToken, ConsumerSpec, LogDelivery, LogError, NewRecord, PublishError, Record, ReplayFrom, Stored,
    Stream, TrimWhen,
};

use super::checks::millis;
use super::fate::Crooked;
use super::state::State;

/// Bytes of a record.
const RECORD_BYTES_MAX: usize = 1 << 20;

/// Records after which a stream is filling.
const FILLING_RECORDS: usize = 4;

/// One stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamState {
    pub(crate) records: BTreeMap<u64, Record>,
    pub(crate) last: u64,
    /// Ids with their sequence and time.
    ids: BTreeMap<String, (u64, u64)>,
    places: BTreeMap<String, Place>,
    /// Ids of records that broke off.
    pub(crate) lost: BTreeSet<String>,
    /// Of EVENTS: the highest version of a user that was ever published, and may be lost again.
    pub(crate) told: BTreeMap<UserId, u64>,
}

/// Where a durable consumer is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    filter: String,
    seen: u64,
    /// Deliveries of a record, and when it is handed out again.
    open: BTreeMap<u64, (u32, u64)>,
    ack_wait: u64,
    open_max: usize,
}

const fn window(stream: Stream) -> u64 {
    match stream {
        Stream::Ingest => 600_000,
        Stream::Events | Stream::Dlq => 120_000,
    }
}

impl State {
    pub(crate) fn publish(&mut self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        if record.size_bytes() > RECORD_BYTES_MAX {
            return Err(PublishError::TooLarge { bytes_max: RECORD_BYTES_MAX });
        }
        if !is_subject(&record.subject) {
            return Err(PublishError::Unavailable { reason: "that cannot stand in a log".to_owned() });
        }
        let now = self.now;
        let state = self.streams.entry(stream).or_default();
        let known = state.ids.get(&record.id).filter(|(_, at)| now <= at + window(stream));
        if let Some((sequence, _)) = known.filter(|_| !record.id.is_empty()) {
            return Ok(Stored { sequence: *sequence, duplicate: true });
        }
        let loses = [(Crooked::LosesEvents, Stream::Events), (Crooked::LosesArrivals, Stream::Ingest)];
        if loses.contains(&(self.crooked, stream)) && self.rng.per_mille(20) {
            return Ok(Stored { sequence: state.last + 1, duplicate: false });
        }
        state.last += 1;
        let sequence = state.last;
        state.ids.insert(record.id.clone(), (sequence, now));
        let NewRecord { subject, id, headers, payload } = record;
        let record =
            Record { sequence, stored_at: Timestamp::from_millis(now), subject, id, headers, payload };
        match stream {
            Stream::Events => self.check_event(&record),
            Stream::Ingest => {
                let arrival = serde_json::from_slice(&record.payload).ok();
                self.history.arrivals.extend(arrival.map(|arrival| (record.id.clone(), arrival)));
            }
            Stream::Dlq => {}
        }
        let state = self.streams.entry(stream).or_default();
        state.records.insert(sequence, record);
        self.bell(Some(stream)).notify_waiters();
        Ok(Stored { sequence, duplicate: false })
    }

    /// 21: events come in the order of versions, and only of what is durable.
    fn check_event(&mut self, record: &Record) {
        let Ok(event) = serde_json::from_slice::<serde_json::Value>(&record.payload) else { return };
        let text = |name: &str| event.get(name).and_then(serde_json::Value::as_str);
        let user = text("partitionkey").and_then(|user| UserId::parse(user).ok());
        let version = text("sequence").and_then(|version| version.parse::<u64>().ok());
        let (Some(user), Some(version)) = (user, version) else { return };
        let durable = self.ledger.get(&user).map_or(0, |partition| partition.account.version);
        let told = self.streams.entry(Stream::Events).or_default().told.entry(user).or_default();
        let before = *told;
        *told = before.max(version);
        let name = self.trace.name('u', user.uuid());
        self.note(format_args!(
            "event {name} v{version} {}",
            record.subject.split('.').nth(3).unwrap_or_default()
        ));
        if version > before + 1 {
            self.broken(format_args!("I21: {name} v{version} is told after v{before}"));
        }
        if version > durable {
            self.broken(format_args!("I21: {name} v{version} is told and not durable"));
        }
    }

    /// Breaks the last records off; their sequences are given out again.
    pub(crate) fn truncate(&mut self, stream: Stream, count: u64) {
        let state = self.streams.entry(stream).or_default();
        let last = state.last.saturating_sub(count);
        state.last = last;
        let lost = state.records.split_off(&(last + 1));
        state.lost.extend(lost.into_values().map(|record| record.id));
        state.ids.retain(|_, (sequence, _)| *sequence <= last);
        for place in state.places.values_mut() {
            place.seen = place.seen.min(last);
            place.open.retain(|sequence, _| *sequence <= last);
        }
        if stream == Stream::Events {
            self.reached("events lost");
        }
    }

    /// An operator deletes a stream, and it is created again at once: without records, ids and consumers.
    pub(crate) fn recreate(&mut self, stream: Stream) {
        let state = self.streams.entry(stream).or_default();
        let before = std::mem::take(state);
        state.told = before.told;
        state.lost = before.lost;
        state.lost.extend(before.records.into_values().map(|record| record.id));
        self.bell(Some(stream)).notify_waiters();
        self.reached("stream recreated");
        if stream == Stream::Events {
            self.reached("events lost");
        }
    }

    /// Removes what consumers have acknowledged.
    pub(crate) fn trim(&mut self, stream: Stream, consumers: &[ConsumerSpec], when: TrimWhen) -> u64 {
        let state = self.streams.entry(stream).or_default();
        if when == TrimWhen::Filling && state.records.len() < FILLING_RECORDS {
            return 0;
        }
        let before = state.records.len();
        for spec in consumers {
            let Some(place) = state.places.get(&spec.name).filter(|place| place.filter == spec.filter) else {
                continue;
            };
            let floor = place.open.keys().next().map_or(place.seen, |first| first - 1);
            let goes = |sequence: u64, subject: &str| sequence <= floor && takes(&spec.filter, subject);
            state.records.retain(|sequence, record| !goes(*sequence, &record.subject));
        }
        let removed = before - state.records.len();
        if removed > 0 {
            self.reached("arrivals trimmed");
        }
        u64::try_from(removed).unwrap_or(u64::MAX)
    }

    pub(crate) fn open_consumer(&mut self, spec: &ConsumerSpec) -> Result<(), LogError> {
        if !is_token(&spec.name) || !is_filter(&spec.filter) {
            return Err(LogError { reason: "not a consumer".to_owned() });
        }
        let place = Place {
            filter: spec.filter.clone(),
            seen: 0,
            open: BTreeMap::new(),
            ack_wait: millis(spec.ack_wait),
            open_max: spec.ack_pending_max,
        };
        let places = &mut self.streams.entry(spec.stream).or_default().places;
        let place = places.entry(spec.name.clone()).or_insert(place);
        place.ack_wait = millis(spec.ack_wait);
        place.open_max = spec.ack_pending_max.max(1);
        Ok(())
    }

    /// Hands out what is due, and when the next comes due.
    pub(crate) fn hand_out(
        &mut self,
        stream: Stream,
        name: &str,
        max: usize,
    ) -> Result<(Vec<LogDelivery>, Option<Duration>), LogError> {
        let now = self.now;
        let state = self.streams.entry(stream).or_default();
        let Some(place) = state.places.get_mut(name) else {
            return Err(LogError { reason: "the consumer went with its stream".to_owned() });
        };
        let mut handed: Vec<(u64, u32)> = Vec::new();
        for (sequence, (deliveries, due)) in &mut place.open {
            if *due <= now && handed.len() < max {
                *deliveries += 1;
                *due = now + place.ack_wait;
                handed.push((*sequence, *deliveries));
            }
        }
        for (sequence, record) in state.records.range(place.seen + 1..) {
            if handed.len() >= max || place.open.len() >= place.open_max {
                break;
            }
            place.seen = *sequence;
            if takes(&place.filter, &record.subject) {
                place.open.insert(*sequence, (1, now + place.ack_wait));
                handed.push((*sequence, 1));
            }
        }
        let deliver = |(sequence, deliveries): (u64, u32)| LogDelivery {
            record: state.records[&sequence].clone(),
            deliveries,
            token: AckToken(format!("{sequence}.{deliveries}.{}", state.records[&sequence].id)),
        };
        let next = place.open.values().map(|(_, due)| due.saturating_sub(now).max(1)).min();
        Ok((handed.into_iter().map(deliver).collect(), next.map(Duration::from_millis)))
    }

    /// Closes a delivery, or (with a delay) puts it off.
    pub(crate) fn answer(
        &mut self,
        (stream, name): (Stream, &str),
        token: &AckToken,
        again_in: Option<Duration>,
    ) -> Result<(), LogError> {
        let (sequence, deliveries, id) =
            parse(token).ok_or_else(|| LogError { reason: "not a token".to_owned() })?;
        if stream == Stream::Ingest && again_in.is_none() {
            self.check_acknowledged(id);
        }
        let now = self.now;
        let bell = self.bell(Some(stream));
        if let Some(place) = self.streams.entry(stream).or_default().places.get_mut(name) {
            match again_in {
                None => {
                    place.open.remove(&sequence);
                }
                Some(delay) => {
                    if let Some((known, due)) = place.open.get_mut(&sequence)
                        && *known == deliveries
                    {
                        *due = now + millis(delay);
                    }
                }
            }
            bell.notify_waiters();
        }
        Ok(())
    }

    /// Where a replay starts: it reads what is above.
    pub(crate) fn replay_from(&self, stream: Stream, from: ReplayFrom) -> u64 {
        let Some(state) = self.streams.get(&stream) else { return 0 };
        match from {
            ReplayFrom::Start => 0,
            ReplayFrom::Sequence(sequence) if sequence > state.last.saturating_add(1) => 0,
            ReplayFrom::Sequence(sequence) => sequence.saturating_sub(1),
            ReplayFrom::New => state.last,
            ReplayFrom::Time(time) => {
                let first = state.records.values().find(|record| record.stored_at >= time);
                first.map_or(state.last, |record| record.sequence - 1)
            }
        }
    }

    /// The next matching record above `after`.
    pub(crate) fn next_record(&self, stream: Stream, filter: &str, after: u64) -> Option<Record> {
        let mut above = self.streams.get(&stream)?.records.range(after + 1..);
        above.find(|(_, record)| takes(filter, &record.subject)).map(|(_, record)| record.clone())
    }
}

/// Sequence, delivery and id of what a token is for.
fn parse(token: &AckToken) -> Option<(u64, u32, &str)> {
    let (sequence, rest) = token.0.split_once('.')?;
    let (deliveries, id) = rest.split_once('.')?;
    Some((sequence.parse().ok()?, deliveries.parse().ok()?, id))
}

fn is_token(token: &str) -> bool {
    let is_fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !token.is_empty() && token.len() <= 64 && token.bytes().all(is_fine)
}

fn is_subject(subject: &str) -> bool {
    subject.len() <= 255 && subject.split('.').all(is_token)
}

pub(crate) fn is_filter(filter: &str) -> bool {
    let last = filter.split('.').count() - 1;
    let mut tokens = filter.split('.').enumerate();
    tokens.all(|(at, token)| token == "*" || (token == ">" && at == last) || is_token(token))
}

fn takes(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, tokens.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            (wanted, Some(token)) if wanted == "*" || wanted == token => {}
            (_, Some(_)) => return false,
        }
    }
    tokens.next().is_none()
}
