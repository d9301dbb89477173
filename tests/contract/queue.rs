//! The suite of the queue. Every case gets a queue of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use wharfinger::ports::{QueueDelivery, QueuePort, Receipt};

/// A queue to be held to its contract.
pub(crate) trait QueueWorld {
    /// The backend.
    type Queue: QueuePort;
    /// The queue.
    fn queue(&self) -> &Self::Queue;
    /// How long a delivery stays hidden.
    fn visibility(&self) -> Duration;
    /// Deliveries of one notification before it goes to the dead letters; none: it has none to look at.
    fn deliveries_max(&self) -> Option<u32>;
    /// The bodies of the dead letters.
    async fn dead_letters(&self) -> Vec<String>;
    /// Lets this much time pass for the queue.
    async fn pass(&self, span: Duration);
}

macro_rules! queue_cases {
    ($($world:tt)*) => {
        cases! { queue, ($($world)*),
            what_is_sent_is_received
            an_empty_queue_gives_nothing
            a_receive_waits_for_news
            a_delivery_is_hidden_for_its_visibility
            a_delivery_can_be_kept_hidden_for_longer
            a_delivery_can_be_given_back_at_once
            what_is_deleted_does_not_come_again
            a_batch_is_at_most_ten
            two_receivers_share
            too_many_deliveries_end_in_the_dead_letters
        }
    };
}
pub(crate) use queue_cases;

/// Longer than any backend takes.
const SOON: Duration = Duration::from_secs(5);
/// A wait that must not be what ends a receive.
const LONG: Duration = Duration::from_secs(20);
/// How long nothing must come for "nothing comes".
const A_WHILE: Duration = Duration::from_millis(50);

async fn send(queue: &impl QueuePort, bodies: &[&str]) {
    for body in bodies {
        queue.send((*body).to_owned()).await.expect("send");
    }
}

/// Receives until `count` have come.
async fn receive(queue: &impl QueuePort, count: usize) -> Vec<QueueDelivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        let more = queue.receive(count - deliveries.len(), SOON).await.expect("receive");
        assert!(!more.is_empty(), "only {} of {count} came", deliveries.len());
        deliveries.extend(more);
    }
    deliveries
}

/// What news woke; a receiver that only finds them at the end of its wait is too late.
async fn in_time<T>(receive: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, receive).await.expect("news wake a receiver")
}

async fn nothing_comes(queue: &impl QueuePort) {
    assert_eq!(queue.receive(10, A_WHILE).await, Ok(Vec::new()));
}

fn bodies(deliveries: &[QueueDelivery]) -> BTreeSet<&str> {
    deliveries.iter().map(|delivery| &delivery.body[..]).collect()
}

pub(crate) async fn what_is_sent_is_received(world: &impl QueueWorld) {
    let queue = world.queue();
    let large = "x".repeat(60 << 10);
    send(queue, &["a", "Grüße 🦀 {\"k\": 1}\n", &large]).await;
    let came = receive(queue, 3).await;
    assert_eq!(bodies(&came), BTreeSet::from(["a", "Grüße 🦀 {\"k\": 1}\n", &large]));
    assert!(came.iter().all(|delivery| delivery.deliveries == 1));
    let ids: BTreeSet<&String> = came.iter().map(|delivery| &delivery.id).collect();
    assert_eq!(ids.len(), 3, "ids tell them apart");
}

pub(crate) async fn an_empty_queue_gives_nothing(world: &impl QueueWorld) {
    nothing_comes(world.queue()).await;
    assert_eq!(world.queue().receive(1, Duration::ZERO).await, Ok(Vec::new()));
}

pub(crate) async fn a_receive_waits_for_news(world: &impl QueueWorld) {
    let queue = world.queue();
    let (came, ()) = tokio::join!(in_time(queue.receive(10, LONG)), send(queue, &["news"]));
    assert_eq!(bodies(&came.expect("receive")), BTreeSet::from(["news"]));
}

// proves: F18
pub(crate) async fn a_delivery_is_hidden_for_its_visibility(world: &impl QueueWorld) {
    let queue = world.queue();
    send(queue, &["a"]).await;
    let first = receive(queue, 1).await;
    nothing_comes(queue).await;
    for deliveries in 2..=3 {
        world.pass(world.visibility()).await;
        let again = receive(queue, 1).await;
        assert_eq!((again[0].deliveries, &again[0].body), (deliveries, &first[0].body));
        assert_eq!(again[0].id, first[0].id);
    }
    nothing_comes(queue).await;
}

// proves: F21
pub(crate) async fn a_delivery_can_be_kept_hidden_for_longer(world: &impl QueueWorld) {
    let queue = world.queue();
    send(queue, &["a"]).await;
    let first = receive(queue, 1).await;
    queue.extend(&first[0].receipt, world.visibility() * 3).await.expect("extend");
    world.pass(world.visibility() * 2).await;
    nothing_comes(queue).await;
    world.pass(world.visibility()).await;
    assert_eq!(receive(queue, 1).await[0].deliveries, 2);
}

pub(crate) async fn a_delivery_can_be_given_back_at_once(world: &impl QueueWorld) {
    let queue = world.queue();
    send(queue, &["a"]).await;
    let first = receive(queue, 1).await;
    let (came, extended) =
        tokio::join!(in_time(queue.receive(1, LONG)), queue.extend(&first[0].receipt, Duration::ZERO));
    extended.expect("extend");
    assert_eq!(came.expect("receive")[0].deliveries, 2);
}

pub(crate) async fn what_is_deleted_does_not_come_again(world: &impl QueueWorld) {
    let queue = world.queue();
    send(queue, &["a", "b"]).await;
    let came = receive(queue, 2).await;
    let done = came.iter().find(|delivery| delivery.body == "a").expect("it came").receipt.clone();
    for _ in 0..2 {
        assert_eq!(queue.delete(vec![done.clone()]).await, Ok(Vec::new()), "repeating it is fine");
    }
    world.pass(world.visibility()).await;
    let again = receive(queue, 1).await;
    assert_eq!(bodies(&again), BTreeSet::from(["b"]));
    nothing_comes(queue).await;
    let receipts: Vec<Receipt> = vec![again[0].receipt.clone(), done];
    assert_eq!(queue.delete(receipts).await, Ok(Vec::new()));
    world.pass(world.visibility()).await;
    nothing_comes(queue).await;
}

pub(crate) async fn a_batch_is_at_most_ten(world: &impl QueueWorld) {
    let queue = world.queue();
    let sent: Vec<String> = (0..25).map(|n| format!("{n}")).collect();
    let sent: Vec<&str> = sent.iter().map(|body| &body[..]).collect();
    send(queue, &sent).await;
    let mut came = Vec::new();
    while came.len() < 25 {
        let batch = queue.receive(100, SOON).await.expect("receive");
        assert!((1..=10).contains(&batch.len()), "{}", batch.len());
        came.extend(batch);
    }
    assert_eq!(bodies(&came), sent.into_iter().collect());
    let receipts = came.into_iter().take(10).map(|delivery| delivery.receipt).collect();
    assert_eq!(queue.delete(receipts).await, Ok(Vec::new()));
}

pub(crate) async fn two_receivers_share(world: &impl QueueWorld) {
    let queue = world.queue();
    send(queue, &["a", "b", "c", "d"]).await;
    let (left, right) = tokio::join!(receive(queue, 2), receive(queue, 2));
    assert_eq!(bodies(&[left, right].concat()), BTreeSet::from(["a", "b", "c", "d"]));
}

pub(crate) async fn too_many_deliveries_end_in_the_dead_letters(world: &impl QueueWorld) {
    let Some(deliveries_max) = world.deliveries_max() else { return };
    let queue = world.queue();
    send(queue, &["poison"]).await;
    for deliveries in 1..=deliveries_max {
        assert_eq!(receive(queue, 1).await[0].deliveries, deliveries);
        world.pass(world.visibility()).await;
    }
    send(queue, &["good"]).await;
    assert_eq!(bodies(&receive(queue, 1).await), BTreeSet::from(["good"]), "only the good one comes");
    nothing_comes(queue).await;
    assert_eq!(world.dead_letters().await, ["poison"]);
}
