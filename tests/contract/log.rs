//! The suite of the log. Subjects of its own in every case, so that backends may be shared.

use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{
    ChainEnd, ConsumerPort, ConsumerSpec, LogDelivery, LogPort, NewRecord, PublishError, Record, ReplayFrom,
    ReplayPort, Stream, TrimWhen, dlq,
};

/// A log to be held to its contract.
pub(crate) trait LogWorld {
    /// The backend.
    type Log: LogPort;
    /// The log.
    fn log(&self) -> &Self::Log;
    /// Lets this much time pass for the log.
    async fn pass(&self, span: Duration);
}

macro_rules! log_cases {
    ($world:expr) => {
        cases! { log, $world,
            a_record_reads_back_whole
            a_repeat_is_stored_once
            a_chain_goes_up_to_the_first_record_that_cannot_be_stored
            sequences_rise
            what_cannot_stand_in_a_log_is_refused
            a_filter_takes_what_its_tokens_say
            a_consumer_goes_on_where_it_was
            what_is_not_acknowledged_in_time_comes_again
            a_refused_delivery_comes_again_after_its_delay
            a_late_or_repeated_acknowledgement_is_harmless
            two_readers_share
            only_so_many_are_open
            a_pull_waits_for_news
            shards_see_their_own_records_only
            a_replay_starts_where_it_is_told
            a_replay_waits_for_news
            records_of_a_subject_stay_in_order
            a_record_that_is_too_large_is_refused_with_the_limit_and_fits_once_it_is_cut
            a_record_is_known_by_its_place_and_its_id
            what_a_consumer_has_acknowledged_makes_room_and_nothing_else
        }
    };
}
pub(crate) use log_cases;

const ACK_WAIT: Duration = Duration::from_secs(2);
const NOW: Duration = Duration::ZERO;
/// Longer than any backend takes.
const SOON: Duration = Duration::from_secs(5);
/// A wait that must not be what ends a read.
const LONG: Duration = Duration::from_secs(20);
/// How long nothing must come for "nothing comes".
const A_WHILE: Duration = Duration::from_millis(50);

fn unique() -> String {
    Uuid::now_v7().to_string()
}

fn record(subject: &str, payload: &str) -> NewRecord {
    NewRecord {
        subject: subject.to_owned(),
        id: unique(),
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

/// A subject of a user's events, and the filter of all of that user's.
fn event_subject(user: &str) -> (String, String) {
    (format!("wharf.files.v1.processed.{user}"), format!("wharf.*.v1.*.{user}"))
}

async fn publish(log: &impl LogPort, stream: Stream, subject: &str, payloads: &[&str]) -> Vec<u64> {
    let mut sequences = Vec::new();
    for payload in payloads {
        let stored = log.publish(stream, record(subject, payload)).await.expect("publish");
        assert!(!stored.duplicate);
        sequences.push(stored.sequence);
    }
    sequences
}

fn spec(stream: Stream, filter: &str) -> ConsumerSpec {
    ConsumerSpec {
        stream,
        name: unique(),
        filter: filter.to_owned(),
        ack_wait: ACK_WAIT,
        ack_pending_max: 256,
    }
}

fn text(payload: &Bytes) -> String {
    String::from_utf8(payload.to_vec()).expect("UTF-8")
}

fn texts(deliveries: &[LogDelivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| text(&delivery.record.payload)).collect()
}

/// Pulls until `count` have come.
async fn pull(consumer: &mut impl ConsumerPort, count: usize) -> Vec<LogDelivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        let more = consumer.pull(count - deliveries.len(), SOON).await.expect("pull");
        assert!(!more.is_empty(), "only {} of {count} came", deliveries.len());
        deliveries.extend(more);
    }
    deliveries
}

/// What news woke; a reader that only finds them at the end of its wait is too late.
async fn in_time<T>(read: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, read).await.expect("news wake a reader")
}

async fn nothing_comes(consumer: &mut impl ConsumerPort) {
    assert_eq!(consumer.pull(10, A_WHILE).await, Ok(Vec::new()));
}

/// What a replay finds: `count` records that are `mine`, however slow the server is, and what comes in a while after them.
async fn found(mut replay: impl ReplayPort, count: usize, mine: impl Fn(&Record) -> bool) -> Vec<Record> {
    let (mut records, mut left) = (Vec::new(), count);
    while let Some(record) = replay.next(if left > 0 { LONG } else { A_WHILE }).await.expect("next") {
        left = left.saturating_sub(usize::from(mine(&record)));
        records.push(record);
    }
    records
}

/// Everything that a filter finds, which should be `count` records.
async fn all_of(log: &impl LogPort, stream: Stream, filter: &str, count: usize) -> Vec<Record> {
    let replay = log.replay(stream, filter.to_owned(), ReplayFrom::Start).await.expect("replay");
    found(replay, count, |_| true).await
}

pub(crate) async fn a_record_reads_back_whole(world: &impl LogWorld) {
    let log = world.log();
    for (stream, subject) in [
        (Stream::Ingest, format!("wharf.ingest.v1.3.{}", unique())),
        (Stream::Events, event_subject(&unique()).0),
        (Stream::Dlq, format!("wharf.dlq.v1.{}", unique())),
    ] {
        let payload: Vec<u8> = (0..256 << 10).map(|n: u32| n.to_le_bytes()[0]).collect();
        let new = NewRecord {
            subject: subject.clone(),
            id: unique(),
            headers: vec![
                ("content-type".to_owned(), "application/json; charset=utf-8".to_owned()),
                ("reason".to_owned(), "it's late".to_owned()),
            ],
            payload: payload.into(),
        };
        let stored = log.publish(stream, new.clone()).await.expect("publish");
        let read = all_of(log, stream, &subject, 1).await;
        let [read] = &read[..] else { panic!("one record") };
        assert_eq!((read.sequence, &read.subject, &read.id), (stored.sequence, &new.subject, &new.id));
        assert_eq!((&read.headers, &read.payload), (&new.headers, &new.payload));
    }
}

// proves: F19 F24
pub(crate) async fn a_repeat_is_stored_once(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    let new = record(&subject, "once");
    let first = log.publish(Stream::Events, new.clone()).await.expect("publish");
    world.pass(Duration::from_secs(1)).await;
    let (second, third) =
        tokio::join!(log.publish(Stream::Events, new.clone()), log.publish(Stream::Events, new.clone()));
    for repeat in [second, third] {
        let repeat = repeat.expect("publish");
        assert_eq!((repeat.sequence, repeat.duplicate), (first.sequence, true));
    }
    assert_eq!(all_of(log, Stream::Events, &filter, 1).await.len(), 1);
    let other = log.publish(Stream::Dlq, NewRecord { subject: "wharf.dlq.v1.x".to_owned(), ..new }).await;
    assert!(!other.expect("publish").duplicate, "another stream has a window of its own");

    let racing = record(&subject, "racing");
    let (a, b) = tokio::join!(
        log.publish(Stream::Events, racing.clone()),
        log.publish(Stream::Events, racing.clone())
    );
    let (a, b) = (a.expect("publish"), b.expect("publish"));
    assert_eq!(a.sequence, b.sequence);
    assert_ne!(a.duplicate, b.duplicate, "one of them was first");
}

pub(crate) async fn a_chain_goes_up_to_the_first_record_that_cannot_be_stored(world: &impl LogWorld) {
    let log = world.log();
    let ((good, good_filter), (bad, bad_filter)) = (event_subject(&unique()), event_subject(&unique()));
    let whole: Vec<_> = ["a", "b", "c"].map(|payload| record(&good, payload)).into();
    let broken = vec![record(&bad, "d"), record("no subject", "e"), record(&bad, "f")];
    let ends = log.publish_chains(Stream::Events, vec![broken, Vec::new(), whole.clone()]).await;
    let came: Vec<_> = ends.iter().map(|end| (end.stored.len(), end.failed.is_some())).collect();
    assert_eq!(came, [(1, true), (0, false), (3, false)]);
    for (filter, expected) in [(&good_filter, &["a", "b", "c"][..]), (&bad_filter, &["d"])] {
        let read = all_of(log, Stream::Events, filter, expected.len()).await;
        let payloads: Vec<&[u8]> = read.iter().map(|record| &record.payload[..]).collect();
        assert_eq!(payloads, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    }

    let repeated = log.publish_chains(Stream::Events, vec![whole]).await;
    let sequences = |end: &ChainEnd| end.stored.iter().map(|stored| stored.sequence).collect::<Vec<_>>();
    assert_eq!(sequences(&repeated[0]), sequences(&ends[2]));
    assert!(repeated[0].stored.iter().all(|stored| stored.duplicate));
}

pub(crate) async fn sequences_rise(world: &impl LogWorld) {
    let (subject, filter) = event_subject(&unique());
    let sequences = publish(world.log(), Stream::Events, &subject, &["a", "b", "c"]).await;
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    assert!(sequences[0] >= 1);
    let read = all_of(world.log(), Stream::Events, &filter, 3).await;
    let read_sequences: Vec<u64> = read.iter().map(|record| record.sequence).collect();
    assert_eq!(read_sequences, sequences);
    assert!(read.is_sorted_by_key(|record| record.stored_at));
}

pub(crate) async fn what_cannot_stand_in_a_log_is_refused(world: &impl LogWorld) {
    let log = world.log();
    for subject in ["", "a..b", "a.*", "a.>", "a b"] {
        let refused = log.publish(Stream::Events, record(subject, "x")).await;
        assert!(matches!(refused, Err(PublishError::Unavailable { .. })), "{subject:?}: {refused:?}");
    }
    for filter in ["", "a..b", "a.>.b", "a b"] {
        assert!(
            log.replay(Stream::Events, filter.to_owned(), ReplayFrom::Start).await.is_err(),
            "{filter:?}"
        );
        assert!(log.consumer(spec(Stream::Events, filter)).await.is_err(), "{filter:?}");
    }
    let unnamed = ConsumerSpec { name: "a.b".to_owned(), ..spec(Stream::Events, "wharf.>") };
    assert!(log.consumer(unnamed).await.is_err());
}

pub(crate) async fn a_filter_takes_what_its_tokens_say(world: &impl LogWorld) {
    let (log, mine, other) = (world.log(), unique(), unique());
    for (subject, payload) in [
        (format!("wharf.files.v1.reserved.{mine}"), "1"),
        (format!("wharf.files.v1.processed.{other}"), "2"),
        (format!("wharf.files.v1.processed.{mine}"), "3"),
        (format!("wharf.usage.v1.threshold.{mine}"), "4"),
        (format!("wharf.links.v1.{mine}.created"), "5"),
    ] {
        publish(log, Stream::Events, &subject, &[payload]).await;
    }
    for (filter, wanted) in [
        (format!("wharf.*.v1.*.{mine}"), vec!["1", "3", "4"]),
        (format!("wharf.files.v1.*.{mine}"), vec!["1", "3"]),
        (format!("wharf.files.v1.processed.{mine}"), vec!["3"]),
        (format!("wharf.links.v1.{mine}.>"), vec!["5"]),
        (format!("wharf.links.v1.{mine}"), vec![]),
    ] {
        let read = all_of(log, Stream::Events, &filter, wanted.len()).await;
        let read: Vec<String> = read.iter().map(|record| text(&record.payload)).collect();
        assert_eq!(read, wanted, "{filter}");
        let mut consumer = log.consumer(spec(Stream::Events, &filter)).await.expect("consumer");
        assert_eq!(texts(&pull(&mut consumer, wanted.len()).await), wanted, "{filter}");
        nothing_comes(&mut consumer).await;
    }
}

pub(crate) async fn a_consumer_goes_on_where_it_was(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    publish(log, Stream::Events, &subject, &["a", "b", "c"]).await;
    let spec = spec(Stream::Events, &filter);
    let mut consumer = log.consumer(spec.clone()).await.expect("consumer");
    for delivery in pull(&mut consumer, 2).await {
        assert_eq!(delivery.deliveries, 1);
        consumer.ack(&delivery.token).await.expect("ack");
    }
    drop(consumer);
    let changed = ConsumerSpec { filter: "wharf.nothing.>".to_owned(), ..spec };
    let mut consumer = log.consumer(changed).await.expect("consumer");
    assert_eq!(texts(&pull(&mut consumer, 1).await), ["c"], "with the filter it was made with");
    nothing_comes(&mut consumer).await;
}

// proves: F29 F30
pub(crate) async fn what_is_not_acknowledged_in_time_comes_again(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    publish(log, Stream::Events, &subject, &["a", "b"]).await;
    let mut consumer = log.consumer(spec(Stream::Events, &filter)).await.expect("consumer");
    let first = pull(&mut consumer, 2).await;
    consumer.ack(&first[1].token).await.expect("ack");
    nothing_comes(&mut consumer).await;
    for deliveries in 2..=3 {
        world.pass(ACK_WAIT).await;
        let again = pull(&mut consumer, 1).await;
        assert_eq!((texts(&again), again[0].deliveries), (vec!["a".to_owned()], deliveries));
        assert_eq!(again[0].record, first[0].record);
    }
    nothing_comes(&mut consumer).await;
}

pub(crate) async fn a_refused_delivery_comes_again_after_its_delay(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    publish(log, Stream::Events, &subject, &["a"]).await;
    let mut consumer = log.consumer(spec(Stream::Events, &filter)).await.expect("consumer");
    let first = pull(&mut consumer, 1).await;
    consumer.nak(&first[0].token, Duration::from_secs(1)).await.expect("nak");
    nothing_comes(&mut consumer).await;
    world.pass(Duration::from_secs(1)).await;
    let second = pull(&mut consumer, 1).await;
    assert_eq!(second[0].deliveries, 2);
    consumer.nak(&second[0].token, NOW).await.expect("nak");
    let third = pull(&mut consumer, 1).await;
    assert_eq!(third[0].deliveries, 3);
}

// proves: F31
pub(crate) async fn a_late_or_repeated_acknowledgement_is_harmless(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    publish(log, Stream::Events, &subject, &["a", "b"]).await;
    let mut consumer = log.consumer(spec(Stream::Events, &filter)).await.expect("consumer");
    let first = pull(&mut consumer, 1).await;
    world.pass(ACK_WAIT).await;
    let second = pull(&mut consumer, 1).await;
    assert_eq!(second[0].record, first[0].record);
    for token in [&second[0].token, &first[0].token, &second[0].token] {
        consumer.ack(token).await.expect("ack");
    }
    assert_eq!(texts(&pull(&mut consumer, 1).await), ["b"], "only the first record is done");
    world.pass(ACK_WAIT).await;
    assert_eq!(texts(&pull(&mut consumer, 1).await), ["b"]);
}

pub(crate) async fn two_readers_share(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    let spec = spec(Stream::Events, &filter);
    let mut left = log.consumer(spec.clone()).await.expect("consumer");
    let mut right = log.consumer(spec.clone()).await.expect("consumer");
    publish(log, Stream::Events, &subject, &["a", "b", "c", "d"]).await;
    let mut shared = texts(&pull(&mut left, 2).await);
    let rest = pull(&mut right, 2).await;
    shared.extend(texts(&rest));
    shared.sort();
    assert_eq!(shared, ["a", "b", "c", "d"], "each goes to one of them");
    left.ack(&rest[0].token).await.expect("either may acknowledge");

    let other = ConsumerSpec { name: unique(), ..spec };
    let mut other = log.consumer(other).await.expect("consumer");
    assert_eq!(pull(&mut other, 4).await.len(), 4, "another name reads for itself");
}

pub(crate) async fn only_so_many_are_open(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    publish(log, Stream::Events, &subject, &["a", "b", "c"]).await;
    let spec = ConsumerSpec { ack_pending_max: 2, ack_wait: LONG, ..spec(Stream::Events, &filter) };
    let mut consumer = log.consumer(spec.clone()).await.expect("consumer");
    let mut other = log.consumer(spec).await.expect("consumer");
    let open = pull(&mut consumer, 2).await;
    nothing_comes(&mut consumer).await;
    let (next, acked) = tokio::join!(in_time(other.pull(5, LONG)), consumer.ack(&open[0].token));
    acked.expect("ack");
    assert_eq!(texts(&next.expect("pull")), ["c"], "an acknowledgement makes room at once");
}

pub(crate) async fn a_pull_waits_for_news(world: &impl LogWorld) {
    let log = world.log();
    let place = format!("wharf.links.v1.{}", unique());
    let subject = format!("{place}.created");
    for filter in [subject.clone(), format!("{place}.>")] {
        let spec = ConsumerSpec { ack_wait: LONG, ..spec(Stream::Events, &filter) };
        let mut consumer = log.consumer(spec).await.expect("consumer");
        while !consumer.pull(64, A_WHILE).await.expect("pull").is_empty() {}
        let (came, _) =
            tokio::join!(in_time(consumer.pull(1, LONG)), publish(log, Stream::Events, &subject, &["news"]));
        assert_eq!(texts(&came.expect("pull")), ["news"], "{filter}");
    }
}

pub(crate) async fn shards_see_their_own_records_only(world: &impl LogWorld) {
    let log = world.log();
    // A shard number that no other case uses; the filter is the one that feeds use.
    let shard = Uuid::now_v7().simple().to_string();
    let mut consumer =
        log.consumer(spec(Stream::Ingest, &format!("wharf.ingest.v1.{shard}.>"))).await.expect("consumer");
    for (shard, payload) in [(shard.clone(), "mine"), (format!("{shard}0"), "other"), (shard, "mine too")] {
        let subject = format!("wharf.ingest.v1.{shard}.{}", unique());
        publish(log, Stream::Ingest, &subject, &[payload]).await;
    }
    assert_eq!(texts(&pull(&mut consumer, 2).await), ["mine", "mine too"]);
    nothing_comes(&mut consumer).await;
}

pub(crate) async fn a_replay_starts_where_it_is_told(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    let any_user = "wharf.files.v1.processed.*";
    let mut sequences = Vec::new();
    for payload in ["a", "b", "c", "d"] {
        world.pass(Duration::from_millis(5)).await;
        sequences.extend(publish(log, Stream::Events, &subject, &[payload]).await);
    }
    let all = all_of(log, Stream::Events, &filter, 4).await;
    let one_ms_later = Timestamp::from_millis(all[1].stored_at.as_millis() + 1);
    for (from, wanted) in [
        (ReplayFrom::Start, "abcd"),
        (ReplayFrom::Sequence(0), "abcd"),
        (ReplayFrom::Sequence(sequences[1]), "bcd"),
        (ReplayFrom::Sequence(sequences[3] + 1), ""),
        (ReplayFrom::Sequence(u64::MAX), "abcd"),
        (ReplayFrom::Time(Timestamp::from_millis(0)), "abcd"),
        (ReplayFrom::Time(all[1].stored_at), "bcd"),
        (ReplayFrom::Time(one_ms_later), "cd"),
        (ReplayFrom::Time(all[3].stored_at.after(Duration::from_secs(3600))), ""),
        (ReplayFrom::New, ""),
    ] {
        for filter in [&filter[..], any_user] {
            let replay = log.replay(Stream::Events, filter.to_owned(), from).await.expect("replay");
            let read = found(replay, wanted.len(), |record| record.subject == subject).await;
            let mine = read.iter().filter(|record| record.subject == subject);
            let read: String = mine.map(|record| text(&record.payload)).collect();
            assert_eq!(read, wanted, "{from:?} with {filter}");
        }
    }
}

pub(crate) async fn a_replay_waits_for_news(world: &impl LogWorld) {
    let log = world.log();
    let (subject, filter) = event_subject(&unique());
    publish(log, Stream::Events, &subject, &["old"]).await;
    for filter in [filter, format!("wharf.files.v1.*.{}", subject.rsplit_once('.').expect("dots").1)] {
        let mut replay = log.replay(Stream::Events, filter, ReplayFrom::New).await.expect("replay");
        let (came, _) =
            tokio::join!(in_time(replay.next(LONG)), publish(log, Stream::Events, &subject, &["new"]));
        let came = came.expect("next").expect("it came");
        assert_eq!(text(&came.payload), "new");
        publish(log, Stream::Events, &subject, &["newer"]).await;
        let came = replay.next(SOON).await.expect("next").expect("it came");
        assert_eq!(text(&came.payload), "newer", "what came between two calls is not lost");
        assert_eq!(replay.next(A_WHILE).await, Ok(None));
    }
}

// proves: I21
pub(crate) async fn records_of_a_subject_stay_in_order(world: &impl LogWorld) {
    let (log, users) = (world.log(), [unique(), unique(), unique()]);
    let write = |user: String| async move {
        let (subject, _) = event_subject(&user);
        for n in 0..100_u32 {
            publish(log, Stream::Events, &subject, &[&format!("{n:03}")]).await;
        }
    };
    let [a, b, c] = users.clone().map(write);
    tokio::join!(a, b, c);
    for user in users {
        let (_, filter) = event_subject(&user);
        let read = all_of(log, Stream::Events, &filter, 100).await;
        let mut consumer = log.consumer(spec(Stream::Events, &filter)).await.expect("consumer");
        let pulled = pull(&mut consumer, 100).await;
        assert_eq!(read.len(), 100);
        assert!(read.is_sorted_by(|a, b| a.payload < b.payload && a.sequence < b.sequence));
        assert!(pulled.iter().map(|delivery| &delivery.record).eq(&read), "a consumer sees the same order");
    }
}

// proves: F22
pub(crate) async fn a_record_that_is_too_large_is_refused_with_the_limit_and_fits_once_it_is_cut(
    world: &impl LogWorld,
) {
    let (log, subject) = (world.log(), format!("wharf.dlq.v1.{}", unique()));
    let large = record(&subject, &"x".repeat(3 << 20));
    let refused = log.publish(Stream::Dlq, large.clone()).await;
    let Err(PublishError::TooLarge { bytes_max }) = refused else { panic!("{refused:?}") };
    let cut = dlq::cut_to(large, bytes_max).expect("it can be cut");
    log.publish(Stream::Dlq, cut.clone()).await.expect("it fits");
    let read = all_of(log, Stream::Dlq, &subject, 1).await;
    assert_eq!(read[0].payload, cut.payload);
    let header = ("Wharf-Truncated".to_owned(), "original length 3145728".to_owned());
    assert!(read[0].headers.contains(&header), "{:?}", read[0].headers);
}

pub(crate) async fn a_record_is_known_by_its_place_and_its_id(world: &impl LogWorld) {
    let log = world.log();
    let new = record(&event_subject(&unique()).0, "a");
    let stored = log.publish(Stream::Events, new.clone()).await.expect("publish");
    let holds = async |sequence, record: &NewRecord| {
        log.holds(Stream::Events, sequence, record).await.expect("an answer")
    };
    assert!(holds(stored.sequence, &new).await);
    assert!(!holds(stored.sequence + 1_000_000, &new).await, "no such place");
    assert!(!holds(stored.sequence, &NewRecord { id: unique(), ..new.clone() }).await, "another id");
    let (subject, _) = event_subject(&unique());
    assert!(!holds(stored.sequence, &NewRecord { subject, ..new }).await, "another subject");
}

/// Trims until so many records are gone: a server learns of acknowledgements a moment later.
async fn trimmed(log: &impl LogPort, consumers: &[ConsumerSpec], expected: u64) {
    let deadline = std::time::Instant::now() + SOON;
    let mut removed = 0;
    while removed < expected && std::time::Instant::now() < deadline {
        removed += log.trim(Stream::Ingest, consumers.to_vec(), TrimWhen::Now).await.expect("trim");
    }
    assert_eq!(removed, expected);
    assert_eq!(log.trim(Stream::Ingest, consumers.to_vec(), TrimWhen::Now).await, Ok(0), "repeating it");
}

// proves: I20 F25
pub(crate) async fn what_a_consumer_has_acknowledged_makes_room_and_nothing_else(world: &impl LogWorld) {
    let log = world.log();
    let subject_of = |shard: &str| format!("wharf.ingest.v1.{shard}.u");
    let spec_of = |shard: &str| spec(Stream::Ingest, &format!("wharf.ingest.v1.{shard}.>"));
    let left = async |shard: &str, count| {
        let read = all_of(log, Stream::Ingest, &subject_of(shard), count).await;
        read.iter().map(|record| text(&record.payload)).collect::<String>()
    };
    let (mine, idle, unknown) = (unique(), unique(), unique());
    let (mine_spec, idle_spec, unknown_spec) = (spec_of(&mine), spec_of(&idle), spec_of(&unknown));
    let other_filter = ConsumerSpec { filter: unknown_spec.filter.clone(), ..idle_spec.clone() };
    let all = [mine_spec.clone(), idle_spec.clone(), unknown_spec, other_filter];
    publish(log, Stream::Ingest, &subject_of(&mine), &["a", "b", "c", "d"]).await;
    publish(log, Stream::Ingest, &subject_of(&unknown), &["x"]).await;
    let mut consumer = log.consumer(mine_spec).await.expect("consumer");
    let mut idle_consumer = log.consumer(idle_spec).await.expect("consumer");
    trimmed(log, &all, 0).await;
    let came = pull(&mut consumer, 3).await;
    trimmed(log, &all, 0).await;
    consumer.ack(&came[0].token).await.expect("ack");
    consumer.ack(&came[2].token).await.expect("ack");
    trimmed(log, &all, 1).await;
    assert_eq!(left(&mine, 3).await, "bcd", "what follows an open record stays");
    consumer.ack(&came[1].token).await.expect("ack");
    trimmed(log, &all, 2).await;
    assert_eq!(left(&mine, 1).await, "d");
    let last = pull(&mut consumer, 1).await;
    assert_eq!(texts(&last), ["d"], "a consumer passes over what is gone");
    consumer.ack(&last[0].token).await.expect("ack");
    trimmed(log, &all, 1).await;
    assert_eq!(left(&unknown, 1).await, "x", "nobody has acknowledged it");
    publish(log, Stream::Ingest, &subject_of(&mine), &["e"]).await;
    publish(log, Stream::Ingest, &subject_of(&idle), &["y"]).await;
    assert_eq!(texts(&pull(&mut consumer, 1).await), ["e"]);
    let came = pull(&mut idle_consumer, 1).await;
    assert_eq!(texts(&came), ["y"]);
    idle_consumer.ack(&came[0].token).await.expect("ack");
    trimmed(log, &all, 1).await;
    assert_eq!(left(&mine, 1).await, "e", "it is open");
}
