//! Rows that count for nothing leave: neighbours as a range, the others one by one.

use super::requests::{FILES_PER_REQUEST, Forget, ForgetRange};
use super::tools::{SweepError, SweepTools, found};
use crate::domain::draft::RowRange;
use crate::domain::ids::{FileId, OpId, UserId};
use crate::limits::FORGOTTEN_RANGE_MAX;

/// Fewer neighbours are deleted one by one.
const RANGE_MIN: usize = 2;

/// Forgets rows, each with its place among all rows, as they were read at `read_at`; none: something was written while
/// they were read, and nothing is known of neighbours.
pub(super) async fn forget(
    tools: &SweepTools,
    user: UserId,
    mut rows: Vec<(FileId, usize)>,
    read_at: Option<OpId>,
) -> Result<(), SweepError> {
    rows.iter().for_each(|_| found("forgettable"));
    rows.sort_unstable();
    let (mut single, mut read_at) = (Vec::new(), read_at);
    for run in runs(&rows) {
        match read_at.filter(|_| run.len() >= RANGE_MIN) {
            Some(at) => {
                // After the first write of another writer the rest goes one by one.
                read_at = forget_range(tools, user, &run, at).await?;
                if read_at.is_none() {
                    single.extend(run);
                }
            }
            None => single.extend(run),
        }
    }
    for files in single.chunks(FILES_PER_REQUEST) {
        let forgotten = tools.parts.desks.ask(user, Forget { files: files.to_vec() }, None).await;
        forgotten.map_err(|error| SweepError::Desk(error.to_string()))?;
    }
    Ok(())
}

async fn forget_range(
    tools: &SweepTools,
    user: UserId,
    run: &[FileId],
    read_at: OpId,
) -> Result<Option<OpId>, SweepError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(Some(read_at)) };
    let range = RowRange { first: *first, last: *last };
    let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
    let forgotten = tools.parts.desks.ask(user, ForgetRange { range, count, read_at }, None).await;
    forgotten.map_err(|error| SweepError::Desk(error.to_string()))
}

/// Neighbours together, lowest id first. Places fall while ids rise.
fn runs(rows: &[(FileId, usize)]) -> Vec<Vec<FileId>> {
    let mut runs: Vec<Vec<FileId>> = Vec::new();
    let mut last_place = None;
    for (file, place) in rows {
        let is_neighbour = last_place.is_some_and(|last| place + 1 == last);
        match runs.last_mut().filter(|run| is_neighbour && run.len() < FORGOTTEN_RANGE_MAX) {
            Some(run) => run.push(*file),
            None => runs.push(vec![*file]),
        }
        last_place = Some(*place);
    }
    runs
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn file(n: u128) -> FileId {
        FileId::from_uuid(Uuid::from_u128(n))
    }

    fn check(rows: &[(u128, usize)], expected: &[&[u128]]) {
        let rows: Vec<(FileId, usize)> = rows.iter().map(|(id, place)| (file(*id), *place)).collect();
        let expected: Vec<Vec<FileId>> =
            expected.iter().map(|run| run.iter().map(|id| file(*id)).collect()).collect();
        assert_eq!(runs(&rows), expected);
    }

    #[test]
    fn neighbours_are_those_with_no_row_between_them() {
        check(&[], &[]);
        check(&[(5, 3)], &[&[5]]);
        check(&[(1, 9), (2, 8), (3, 7)], &[&[1, 2, 3]]);
        check(&[(1, 9), (2, 8), (4, 6), (5, 5)], &[&[1, 2], &[4, 5]]);
        check(&[(1, 9), (3, 7), (5, 5)], &[&[1], &[3], &[5]]);
    }

    #[test]
    fn a_range_has_a_bound() {
        let many = u128::try_from(FORGOTTEN_RANGE_MAX).unwrap() + 1;
        let rows: Vec<(FileId, usize)> =
            (0..many).zip((0..=FORGOTTEN_RANGE_MAX).rev()).map(|(n, place)| (file(n), place)).collect();
        assert_eq!(runs(&rows).iter().map(Vec::len).collect::<Vec<_>>(), [FORGOTTEN_RANGE_MAX, 1]);
    }
}
