//! Notifications that the queue receives.

use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::ports::{Clock, ObjectsPort as _};

use crate::world::{Heard, World, eventually, new_key, open};

fn names(news: &[serde_json::Value]) -> Vec<String> {
    news.iter().map(|one| one["eventName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_upload_and_a_removal_are_told_in_order() {
    let world = World::new().await;
    let key = new_key();
    world.put(key, b"hello").await;
    world.heard.wait_for(1).await;
    world.bucket.delete(key).await.unwrap();
    let news = world.heard.wait_for(2).await;
    assert_eq!(names(&news), ["ObjectCreated:Put", "ObjectRemoved:Delete"]);
    let object = &news[0]["s3"]["object"];
    assert_eq!(object["key"], key.to_string());
    assert_eq!(object["size"], 5);
    assert_eq!(object["eTag"], "5d41402abc4b2a76b9719d911017c592");
    let sequencer = |at: usize| news[at]["s3"]["object"]["sequencer"].as_str().unwrap().to_owned();
    assert!(sequencer(0) < sequencer(1));
    assert_eq!(sequencer(0).len(), 16);
    eventually("an empty outbox", || (world.files("outbox") == 0).then_some(())).await;
}

#[tokio::test]
async fn removing_what_is_not_there_is_no_news() {
    let world = World::new().await;
    world.bucket.delete(new_key()).await.unwrap();
    world.put(new_key(), b"x").await;
    assert_eq!(names(&world.heard.wait_for(1).await), ["ObjectCreated:Put"]);
}

#[tokio::test]
async fn news_wait_while_the_queue_is_away() {
    let world = World::new().await;
    world.heard.set_away(true);
    for _ in 0..3 {
        assert_eq!(world.put(new_key(), b"hello").await.status, 200, "uploads go on");
    }
    assert_eq!((world.heard.records().len(), world.files("outbox")), (0, 3));
    world.heard.set_away(false);
    assert_eq!(world.heard.wait_for(3).await.len(), 3);
    eventually("an empty outbox", || (world.files("outbox") == 0).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_the_outbox_starts_again_and_sends_what_is_on_disk() {
    let world = World::new().await;
    world.heard.panic_once();
    world.put(new_key(), b"first").await;
    eventually("the panic", || (!world.heard.will_panic()).then_some(())).await;
    world.put(new_key(), b"second").await;
    assert_eq!(names(&world.heard.wait_for(2).await), ["ObjectCreated:Put", "ObjectCreated:Put"]);
    eventually("an empty outbox", || (world.files("outbox") == 0).then_some(())).await;
}

#[tokio::test]
async fn news_that_were_not_told_are_told_after_a_restart() {
    let world = World::new().await;
    world.heard.set_away(true);
    let (kept, removed) = (new_key(), new_key());
    world.put(kept, b"kept").await;
    world.put(removed, b"removed").await;
    world.bucket.delete(removed).await.unwrap();
    let dir = world.stop().await;

    let world = World::start(dir, BucketOptions::default(), Heard::default()).await;
    let mut told = names(&world.heard.wait_for(3).await);
    told.sort();
    assert_eq!(told, ["ObjectCreated:Put", "ObjectCreated:Put", "ObjectRemoved:Delete"]);
    let sequencers: std::collections::BTreeSet<_> =
        world.heard.records().iter().map(|one| one["s3"]["object"]["sequencer"].to_string()).collect();
    assert_eq!(sequencers.len(), 3);
    world.put(new_key(), b"later").await;
    let last = world.heard.wait_for(4).await[3]["s3"]["object"]["sequencer"].to_string();
    assert!(sequencers.iter().all(|one| *one < last), "the sequence rises over a restart");
}

#[tokio::test]
async fn one_folder_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), BucketOptions::default()).await;
    let second = wharfinger::adapters::embedded::bucket::EmbeddedBucket::open(
        dir.path(),
        BucketOptions::default(),
        Clock::System,
    );
    let refused = second.unwrap_err().to_string();
    assert!(refused.contains("open in another process"), "{refused}");
    drop(first);
    drop(open(dir.path(), BucketOptions::default()).await);
}
