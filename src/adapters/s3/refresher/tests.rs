//! Credentials that come, end, stay away and come again.

use std::sync::{Mutex, PoisonError};

use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_sdk_s3::config::{Credentials as Found, SharedCredentialsProvider};

use super::*;
use crate::ports::ManualClock;
use crate::telemetry::health::PartState;

/// What is given: an access key and the minute of its end, if it has one. Nothing: no answer.
type Given = Arc<Mutex<Option<(&'static str, Option<u64>)>>>;

struct World {
    given: Given,
    held: Arc<Held>,
    clock: Arc<ManualClock>,
    health: Health,
    refresher: CredentialsRefresher,
}

fn minute(minute: u64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}

impl World {
    fn new() -> Self {
        let given = Given::default();
        let desk = Arc::clone(&given);
        let provider = provide_credentials_fn(move || {
            let given = *desk.lock().unwrap_or_else(PoisonError::into_inner);
            async move {
                let Some((key, end)) = given else { return std::future::pending().await };
                let end = end.map(|end| UNIX_EPOCH + Duration::from_secs(end * 60));
                Ok(Found::new(key, "secret", Some("token".to_owned()), end, "desk"))
            }
        });
        let held = Arc::new(Held::default());
        let (clock, hand) = Clock::manual(minute(0));
        let health = Health::default();
        let provider = SharedCredentialsProvider::new(provider);
        let refresher = CredentialsRefresher::new(provider, Arc::clone(&held), clock, health.clone());
        Self { given, held, clock: hand, health, refresher }
    }

    /// At this minute, asks while this is given; what is held then, and the seconds until the next time.
    async fn ask(&mut self, at: u64, given: Option<(&'static str, Option<u64>)>) -> (String, u64) {
        self.clock.set(minute(at));
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = given;
        let pause = self.refresher.refresh().await;
        let held = self.held.get().map_or_else(|reason| reason, |held| held.access_key().to_owned());
        (held, pause.as_secs())
    }

    fn is_up(&self) -> bool {
        self.health.state(Part::Signer) == PartState::Up
    }
}

#[tokio::test(start_paused = true)]
async fn new_ones_are_asked_for_before_the_old_ones_end() {
    let mut world = World::new();
    let mut check = async |at, given, held: &str, next_secs| {
        assert_eq!(world.ask(at, given).await, (held.to_owned(), next_secs));
        assert!(world.is_up());
    };
    check(0, Some(("first", Some(60))), "first", 40 * 60).await;
    check(40, Some(("first", Some(60))), "first", 30).await;
    check(41, Some(("second", Some(101))), "second", 40 * 60).await;
    check(81, Some(("endless", None)), "endless", 300).await;
}

#[tokio::test(start_paused = true)]
async fn old_ones_count_to_their_end_while_nobody_answers() {
    let mut world = World::new();
    let away = "no answer within 10s";
    assert_eq!(world.ask(0, None).await, (away.to_owned(), 1));
    assert!(!world.is_up(), "no keys, no signatures");
    assert_eq!(world.ask(1, Some(("first", Some(30)))).await.0, "first");
    assert!(world.is_up());
    for (at, pause) in [(29, 1), (29, 2), (29, 4)] {
        assert_eq!(world.ask(at, None).await, ("first".to_owned(), pause));
        assert!(world.is_up());
    }
    assert_eq!(world.ask(30, None).await, (away.to_owned(), 8));
    assert!(!world.is_up());
    for _ in 0..3 {
        world.ask(31, None).await;
    }
    assert_eq!(world.ask(31, None).await.1, 30, "the longest pause");
    assert_eq!(world.ask(32, Some(("second", None))).await.0, "second");
    assert!(world.is_up());
}

#[tokio::test(start_paused = true)]
async fn the_same_keys_stay_the_same_value() {
    let mut world = World::new();
    world.ask(0, Some(("first", Some(60)))).await;
    let first = world.held.get().unwrap();
    world.ask(1, Some(("first", Some(60)))).await;
    assert!(Arc::ptr_eq(&first, &world.held.get().unwrap()), "the key of the day is kept");
    world.ask(2, Some(("first", Some(61)))).await;
    assert!(!Arc::ptr_eq(&first, &world.held.get().unwrap()), "another end is another value");
}

#[tokio::test(start_paused = true)]
async fn the_keeper_asks_again_and_again() {
    let World { given, held, refresher, .. } = World::new();
    let running = tokio::spawn(refresher.run());
    for key in ["first", "second"] {
        *given.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, None));
        while held.get().ok().is_none_or(|held| held.access_key() != key) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    running.abort();
}
