//! Pinned facts: how servers answer conditional batches and static rows. An upgrade that changes them fails here.

use scylla::client::session::Session;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::batch::{Batch, BatchType};
use scylla::value::{CqlValue, Row};
use uuid::Uuid;

use crate::world::{ledger, nodes, session};

const PUT: &str = "UPDATE user_ledger SET version = :version WHERE user_id = :user_id IF version = :expected";
const ADD: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id) VALUES (?, 0, 0, ?)";

/// One condition with a file's row beside it, as a commit has.
async fn put(session: &Session, user: Uuid, version: i64, expected: Option<i64>) -> QueryRowsResult {
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.append_statement(session.prepare(PUT).await.expect("prepare"));
    batch.append_statement(session.prepare(ADD).await.expect("prepare"));
    let values = ((version, user, expected), (user, Uuid::now_v7()));
    session.batch(&batch, values).await.expect("the server answers").into_rows_result().expect("rows")
}

fn names(answer: &QueryRowsResult) -> Vec<&str> {
    answer.column_specs().iter().map(|column| column.name()).collect()
}

fn values(answer: &QueryRowsResult) -> Vec<Option<CqlValue>> {
    answer.single_row::<Row>().expect("one row: there is one condition").columns
}

fn is_scylla(session: &Session) -> bool {
    session.get_cluster_state().get_nodes_info().iter().any(|node| node.sharder().is_some())
}

#[tokio::test]
async fn c5_the_answer_to_an_applied_write() {
    let Some(nodes) = nodes() else { return };
    drop(ledger(&nodes).await);
    let session = session(&nodes).await;
    let answer = put(&session, Uuid::new_v4(), 1, None).await;
    if is_scylla(&session) {
        assert!(names(&answer).contains(&"[applied]") && names(&answer).len() > 1, "{:?}", names(&answer));
    } else {
        assert_eq!(names(&answer), ["[applied]"]);
        assert_eq!(values(&answer), [Some(CqlValue::Boolean(true))]);
    }
}

#[tokio::test]
async fn c5_the_answer_to_a_refused_write() {
    let Some(nodes) = nodes() else { return };
    drop(ledger(&nodes).await);
    let session = session(&nodes).await;
    let user = Uuid::new_v4();
    put(&session, user, 1, None).await;
    let answer = put(&session, user, 9, Some(8)).await;
    let names = names(&answer);
    let at = |name: &str| values(&answer)[names.iter().position(|n| *n == name).expect(name)].clone();
    assert_eq!(at("[applied]"), Some(CqlValue::Boolean(false)));
    assert_eq!(at("version"), Some(CqlValue::BigInt(1)), "what was there");
    if !is_scylla(&session) {
        assert_eq!(names, ["[applied]", "user_id", "kind", "seq", "file_id", "version"]);
    }
}

#[tokio::test]
async fn c6_null_is_the_version_of_an_absent_partition_and_of_no_other() {
    let Some(nodes) = nodes() else { return };
    drop(ledger(&nodes).await);
    let session = session(&nodes).await;
    let user = Uuid::new_v4();
    let applied = |answer: QueryRowsResult| {
        let place = names(&answer).iter().position(|name| *name == "[applied]").expect("[applied]");
        values(&answer)[place] == Some(CqlValue::Boolean(true))
    };
    assert!(applied(put(&session, user, 1, None).await), "the partition was absent");
    assert!(!applied(put(&session, user, 1, None).await), "it is not any more");
    assert!(applied(put(&session, user, 2, Some(1)).await));
    let alone = session.prepare(PUT).await.expect("prepare");
    let answer = session.execute_unpaged(&alone, (3_i64, Uuid::new_v4(), None::<i64>)).await.expect("answer");
    assert!(
        applied(answer.into_rows_result().expect("rows")),
        "static columns alone, on an absent partition"
    );
}

#[tokio::test]
async fn static_columns_are_hidden_where_the_rest_of_the_key_matches_nothing() {
    let Some(nodes) = nodes() else { return };
    drop(ledger(&nodes).await);
    let session = session(&nodes).await;
    let user = Uuid::new_v4();
    let alone = session.prepare(PUT).await.expect("prepare");
    session.execute_unpaged(&alone, (1_i64, user, None::<i64>)).await.expect("answer");
    let count = async |text: &str| {
        let answer = session.query_unpaged(text, (user,)).await.expect("answer");
        answer.into_rows_result().expect("rows").rows_num()
    };
    assert_eq!(count("SELECT version, filename FROM user_ledger WHERE user_id = ? LIMIT 1").await, 1);
    assert_eq!(count("SELECT version, filename FROM user_ledger WHERE user_id = ? AND kind = 0").await, 0);
}
