//! Many at once.

use std::time::Duration;

use futures_util::future::join_all;
use wharfinger::ports::{Clock, ObjectsPort as _, PartGrant, SignerPort as _};

use crate::world::{World, grant, new_key};

// proves: I16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_uploads_of_one_key_exactly_one_wins_and_is_kept_whole() {
    let world = World::new().await;
    for round in 0..4_usize {
        let key = new_key();
        let bodies: Vec<Vec<u8>> = (0..32_u8).map(|at| vec![at; 300_000]).collect();
        let signed = world.upload(&grant(key, &bodies[0])).await;
        let answers = join_all(bodies.iter().map(|body| world.http.follow(&signed, body))).await;
        let won: Vec<usize> = (0..bodies.len()).filter(|at| answers[*at].status == 200).collect();
        assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409 | 412)));
        let winner = won[0];
        assert!(world.get(key).await.body[..] == bodies[winner][..]);
        let etag = world.bucket.head(key).await.unwrap().unwrap().etag;
        assert_eq!(answers[winner].header("etag"), format!("\"{etag}\""));
        assert_eq!((world.files("objects"), world.files("tmp")), (round + 1, 0));
        let news = world.heard.wait_for(round + 1).await;
        assert_eq!(news.len(), round + 1, "only the winner is news");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_that_are_completed_many_times_at_once_are_one_object() {
    let world = World::new().await;
    for round in 1..=4 {
        let key = new_key();
        let upload_id = world.bucket.create_multipart(key, "video/x", Vec::new()).await.unwrap();
        let body = vec![1_u8; 200_000];
        let grant = PartGrant {
            key,
            upload_id: upload_id.clone(),
            number: 1,
            size_bytes: 200_000,
            now: Clock::System.now(),
            ttl: Duration::from_secs(60),
        };
        let signed = world.signer.part(&grant).await.unwrap();
        assert_eq!(world.http.follow(&signed, &body).await.status, 200);
        let parts = world.bucket.list_parts(key, &upload_id).await.unwrap();
        let completes = (0..16).map(|_| world.bucket.complete_multipart(key, &upload_id, parts.clone()));
        let outcomes = join_all(completes).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert!(world.get(key).await.body[..] == body[..]);
        assert_eq!(world.heard.wait_for(round).await.len(), round, "it is news once");
        assert_eq!((world.files("uploads"), world.files("tmp")), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_of_other_keys_do_not_disturb_each_other() {
    let world = World::new().await;
    let keys: Vec<_> = (0..64).map(|_| new_key()).collect();
    let bodies: Vec<Vec<u8>> = keys.iter().map(|key| key.to_string().into_bytes()).collect();
    let answers = join_all(keys.iter().zip(&bodies).map(|(key, body)| world.put(*key, body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    for (key, body) in keys.iter().zip(&bodies) {
        assert_eq!(world.get(*key).await.body[..], body[..]);
    }
    let news = world.heard.wait_for(64).await;
    let mut told: Vec<_> =
        news.iter().map(|one| one["s3"]["object"]["key"].as_str().unwrap().to_owned()).collect();
    told.sort();
    let mut wanted: Vec<_> = keys.iter().map(ToString::to_string).collect();
    wanted.sort();
    assert_eq!(told, wanted);
}
