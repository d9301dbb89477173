//! The queue on SQS is held to the contract, on the server that `WHARFDEV_TEST_SQS` names.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use wharfinger::adapters::sqs::{QueueName, SqsOptions, SqsQueue};
use wharfinger::ports::{QueuePort, Receipt};

use crate::canned::{Canned, Said};
use crate::queue::{QueueWorld, queue_cases};
use crate::servers::{self, Server, new_name};

/// Longer than the longest wait for nothing.
const VISIBILITY: Duration = Duration::from_secs(2);
const DELIVERIES_MAX: u32 = 3;
/// Longer than the server takes.
const SOON: Duration = Duration::from_secs(10);

/// A queue of its own, with dead letters.
struct World {
    server: Server,
    name: String,
    queue: SqsQueue,
}

impl World {
    async fn new() -> Option<Self> {
        let server = servers::server(servers::SQS)?;
        let (name, sqs) = (new_name(), server.sqs());
        let dead = sqs.create_queue().queue_name(format!("{name}-dlq")).send().await.expect("a queue");
        let dead_url = dead.queue_url().expect("a URL");
        let arn =
            sqs.get_queue_attributes().queue_url(dead_url).attribute_names(QueueAttributeName::QueueArn);
        let arn = arn.send().await.expect("attributes").attributes.expect("one")
            [&QueueAttributeName::QueueArn]
            .clone();
        let redrive =
            serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": DELIVERIES_MAX}).to_string();
        let create =
            sqs.create_queue().queue_name(&name).attributes(QueueAttributeName::RedrivePolicy, redrive);
        create.send().await.expect("a queue");
        let queue = open(&server, QueueName::Name(name.clone())).await;
        Some(Self { server, name, queue })
    }
}

async fn open(server: &Server, queue: QueueName) -> SqsQueue {
    SqsQueue::open(&SqsOptions { access: server.access(), queue, visibility: VISIBILITY }).await
}

impl QueueWorld for World {
    type Queue = SqsQueue;

    fn queue(&self) -> &SqsQueue {
        &self.queue
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }

    fn deliveries_max(&self) -> Option<u32> {
        Some(DELIVERIES_MAX)
    }

    async fn dead_letters(&self) -> Vec<String> {
        let dead = open(&self.server, QueueName::Name(format!("{}-dlq", self.name))).await;
        let letters = dead.receive(10, SOON).await.expect("receive");
        letters.into_iter().map(|letter| letter.body).collect()
    }

    /// The server's clock is its own.
    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span + Duration::from_millis(100)).await;
    }
}

mod holds_the_queue_contract {
    use super::*;
    queue_cases!(where World::new().await);
}

#[tokio::test]
async fn a_queue_can_be_named_by_its_url() {
    let Some(world) = World::new().await else { return };
    let url = world.server.sqs().get_queue_url().queue_name(&world.name).send().await.expect("it is there");
    let by_url = open(&world.server, QueueName::Url(url.queue_url.expect("a URL"))).await;
    by_url.send("a".to_owned()).await.expect("send");
    assert_eq!(world.queue.receive(1, SOON).await.expect("receive")[0].body, "a");
}

#[tokio::test]
async fn a_queue_that_is_not_there_says_so_and_is_found_once_it_is() {
    let Some(server) = servers::server(servers::SQS) else { return };
    let name = new_name();
    let queue = open(&server, QueueName::Name(name.clone())).await;
    let refused = queue.receive(1, Duration::ZERO).await.expect_err("no queue");
    assert_eq!(refused.reason, format!("there is no queue {name}"));
    assert_eq!(queue.send("a".to_owned()).await.expect_err("no queue"), refused);
    server.sqs().create_queue().queue_name(&name).send().await.expect("a queue");
    queue.send("a".to_owned()).await.expect("it is there now");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_within_seconds() {
    let Some(server) = servers::server(servers::SQS) else { return };
    let nowhere = Server { url: "http://127.0.0.1:1".to_owned(), ..server };
    let queue = open(&nowhere, QueueName::Name("any".to_owned())).await;
    let begun = Instant::now();
    let refused = queue.receive(1, Duration::from_secs(1)).await.expect_err("nobody is there");
    assert!(refused.reason.starts_with("no connection: "), "{refused}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_receive_that_nobody_waits_for_gives_back_what_it_took() {
    let Some(world) = World::new().await else { return };
    let hidden_for_long = SqsOptions {
        access: world.server.access(),
        queue: QueueName::Name(world.name.clone()),
        visibility: Duration::from_secs(600),
    };
    let impatient = SqsQueue::open(&hidden_for_long).await;
    let given_up =
        tokio::time::timeout(Duration::from_millis(300), impatient.receive(1, Duration::from_secs(5))).await;
    assert!(given_up.is_err(), "nothing was there");
    world.queue.send("a".to_owned()).await.expect("send");
    let deadline = Instant::now() + SOON;
    loop {
        let came = world.queue.receive(1, Duration::from_secs(1)).await.expect("receive");
        if let [delivery] = came.as_slice() {
            assert_eq!((delivery.body.as_str(), delivery.deliveries), ("a", 2), "it had been taken");
            return;
        }
        assert!(Instant::now() < deadline, "it stays hidden");
    }
}

#[tokio::test]
async fn a_receipt_of_nothing_is_neither_an_error_nor_tried_again() {
    let Some(world) = World::new().await else { return };
    world.queue.send("a".to_owned()).await.expect("send");
    let mut receipts: Vec<Receipt> =
        world.queue.receive(1, SOON).await.expect("receive").into_iter().map(|d| d.receipt).collect();
    receipts.push(Receipt("no such receipt".to_owned()));
    assert_eq!(
        world.queue.delete(receipts).await,
        Ok(Vec::new()),
        "the good one goes, the bad one does not matter"
    );
    world.pass(VISIBILITY).await;
    assert_eq!(world.queue.receive(1, Duration::ZERO).await, Ok(Vec::new()));
}

#[tokio::test]
async fn more_than_a_batch_can_be_deleted_at_once() {
    let Some(world) = World::new().await else { return };
    for n in 0..12 {
        world.queue.send(n.to_string()).await.expect("send");
    }
    let mut receipts = Vec::new();
    while receipts.len() < 12 {
        receipts.extend(world.queue.receive(10, SOON).await.expect("receive").into_iter().map(|d| d.receipt));
    }
    assert_eq!(world.queue.delete(receipts).await, Ok(Vec::new()));
    world.pass(VISIBILITY).await;
    assert_eq!(world.queue.receive(10, Duration::ZERO).await, Ok(Vec::new()));
}

// proves: F23
#[tokio::test]
async fn the_depth_counts_what_waits_and_what_is_in_flight() {
    let Some(world) = World::new().await else { return };
    for n in 0..3 {
        world.queue.send(n.to_string()).await.expect("send");
    }
    let mut taken = Vec::new();
    while taken.is_empty() {
        taken = world.queue.receive(1, SOON).await.expect("receive");
    }
    let depth = world.queue.depth().await.expect("depth");
    assert_eq!((depth.waiting, depth.in_flight), (2, 1));
    assert!(!depth.is_alarming());
}

#[tokio::test]
async fn what_was_delivered_too_often_is_counted() {
    let Some(world) = World::new().await else { return };
    assert_eq!(world.queue.dead_letters().await, Ok(Some(0)));
    world.queue.send("a".to_owned()).await.expect("send");
    let deadline = Instant::now() + SOON * 2;
    while world.queue.dead_letters().await != Ok(Some(1)) {
        assert!(Instant::now() < deadline, "it is not counted");
        for delivery in world.queue.receive(1, Duration::from_secs(1)).await.expect("receive") {
            world.queue.extend(&delivery.receipt, Duration::ZERO).await.expect("given back");
        }
    }
}

#[tokio::test]
async fn dead_letters_are_counted_where_the_policy_says() {
    const POLICY: Said = (
        200,
        r#"{"Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-west-1:7:gone\"}"}}"#,
    );
    const URL: Said = (200, r#"{"QueueUrl":"http://sqs/7/gone"}"#);
    const COUNT: Said = (200, r#"{"Attributes":{"ApproximateNumberOfMessages":"3"}}"#);
    assert_eq!(told(&[POLICY, URL, COUNT]).await.dead_letters().await, Ok(Some(3)));
    assert_eq!(told(&[(200, "{}")]).await.dead_letters().await, Ok(None), "no policy, no such queue");
}

/// A queue whose server says this.
async fn told(answers: &'static [Said]) -> SqsQueue {
    let access = Canned::new(answers).await.access;
    let queue = QueueName::Url("http://sqs/1/wharf".to_owned());
    SqsQueue::open(&SqsOptions { access, queue, visibility: VISIBILITY }).await
}

async fn check_refused(status: u16, word: &'static str, expected: &str) {
    let body: &'static str = format!(r#"{{"__type":"com.amazonaws.sqs#{word}","message":"words"}}"#).leak();
    let queue = told(vec![(status, body)].leak()).await;
    let refused = queue.receive(1, Duration::ZERO).await.expect_err("an error");
    assert_eq!(refused.reason, expected);
    assert_eq!(queue.send("a".to_owned()).await.expect_err("an error").reason, expected);
}

#[tokio::test]
async fn what_sqs_refuses_is_said_so_that_an_operator_knows_what_to_do() {
    check_refused(400, "QueueDoesNotExist", "there is no queue wharf").await;
    let over = "the queue wharf has handed out as many deliveries as it may; they must be deleted first";
    check_refused(400, "OverLimit", over).await;
    let slow = "it slows us down: 400 ThrottlingException: words";
    check_refused(400, "ThrottlingException", slow).await;
    check_refused(403, "InvalidClientTokenId", "it does not know our keys: 403 InvalidClientTokenId: words")
        .await;
    check_refused(400, "ExpiredToken", "our credentials ended: 400 ExpiredToken: words").await;
    check_refused(500, "InternalError", "500 InternalError: words").await;
}

/// SQS answers a batch delete with 200 although some entries failed.
// proves: F20
#[tokio::test]
async fn of_a_batch_that_was_deleted_in_part_the_rest_may_be_tried_again() {
    let queue = told(&[(
        200,
        r#"{"Successful":[{"Id":"0"}],"Failed":[
            {"Id":"1","SenderFault":false,"Code":"InternalError"},
            {"Id":"2","SenderFault":true,"Code":"ReceiptHandleIsInvalid"}]}"#,
    )])
    .await;
    let receipts = ["a", "b", "c"].map(|receipt| Receipt(receipt.to_owned())).to_vec();
    assert_eq!(queue.delete(receipts).await, Ok(vec![Receipt("b".to_owned())]));
}

#[tokio::test]
async fn a_receive_is_tried_once_and_a_send_more_often() {
    let canned = Canned::new(&[(503, "{}")]).await;
    let queue = QueueName::Url("http://sqs/1/wharf".to_owned());
    let queue =
        SqsQueue::open(&SqsOptions { access: canned.access.clone(), queue, visibility: VISIBILITY }).await;
    queue.receive(1, Duration::ZERO).await.expect_err("503");
    assert_eq!(canned.asked().len(), 1);
    queue.send("a".to_owned()).await.expect_err("503");
    assert_eq!(canned.asked().len(), 4);
}

#[tokio::test]
async fn a_receive_that_hangs_ends_a_little_after_its_wait() {
    let queue = told(&[]).await;
    let begun = Instant::now();
    let refused = queue.receive(1, Duration::from_secs(1)).await.expect_err("silence");
    assert_eq!(refused.reason, "no answer in time");
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(2) && took < SOON, "not before its wait is over: {took:?}");
}
