//! The outcome of a conditional statement.
//!
//! Cassandra answers with `[applied]` alone when it applied, and with the values that were there when it did
//! not; ScyllaDB always with all columns. So a column is found by its name, never by its place.

use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::value::{CqlValue, Row};

/// The column that says whether it was applied.
const APPLIED: &str = "[applied]";

/// The answer to a conditional statement, or to a batch with exactly one condition.
#[derive(Debug)]
pub(super) struct ConditionalResult {
    names: Vec<String>,
    row: Row,
}

impl ConditionalResult {
    /// Reads an answer. The error is text for the log; then it is unknown whether the statement was applied.
    pub(super) fn of(result: QueryResult) -> Result<Self, String> {
        let rows: QueryRowsResult = result.into_rows_result().map_err(|error| error.to_string())?;
        let names = rows.column_specs().iter().map(|column| column.name().to_owned()).collect();
        let row = rows.first_row::<Row>().map_err(|error| error.to_string())?;
        Ok(Self { names, row })
    }

    /// Whether it was applied.
    pub(super) fn is_applied(&self) -> Result<bool, String> {
        let applied = self.column(APPLIED).and_then(CqlValue::as_boolean);
        applied.ok_or_else(|| format!("an answer without {APPLIED}: {:?}", self.names))
    }

    /// A value that was there before, where the server tells it.
    pub(super) fn column(&self, name: &str) -> Option<&CqlValue> {
        let place = self.names.iter().position(|known| known == name)?;
        self.row.columns.get(place)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(columns: &[(&str, Option<CqlValue>)]) -> ConditionalResult {
        ConditionalResult {
            names: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
            row: Row { columns: columns.iter().map(|(_, value)| value.clone()).collect() },
        }
    }

    fn check(columns: &[(&str, Option<CqlValue>)], applied: Option<bool>) {
        assert_eq!(outcome(columns).is_applied().ok(), applied, "{columns:?}");
    }

    #[test]
    fn both_servers_are_understood() {
        let version = Some(CqlValue::BigInt(4));
        let is = |applied| ("[applied]", Some(CqlValue::Boolean(applied)));
        check(&[is(true)], Some(true)); // Cassandra, applied
        check(&[is(false), ("user_id", None), ("version", version.clone())], Some(false)); // Cassandra, refused
        check(&[is(true), ("version", None)], Some(true)); // ScyllaDB, applied on an absent partition
        check(&[("version", version), is(false)], Some(false)); // the place does not matter
    }

    #[test]
    fn an_answer_that_says_nothing_is_not_taken_for_a_yes() {
        check(&[], None);
        check(&[("[applied]", None)], None);
        check(&[("applied", Some(CqlValue::Boolean(true)))], None);
        check(&[("[applied]", Some(CqlValue::Int(1)))], None);
    }
}
