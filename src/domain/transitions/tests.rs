//! What its owner may do to a file, in every status.

use super::*;
use crate::domain::decide::Settlement;
use crate::domain::samples::{NOW, observed, pending, row_of, rows, rules};

/// One line a status: `pending: …`.
fn table(word: impl Fn(&File) -> String) -> Vec<String> {
    rows().iter().map(|(name, row)| format!("{name}: {}", word(row))).collect()
}

fn moved_to(transition: Option<&Transition>) -> String {
    transition.map_or_else(
        || "nothing".to_owned(),
        |transition| {
            let after = row_of(transition);
            let reason = after.reason.map_or_else(String::new, |reason| format!("({})", reason.as_str()));
            format!("{:?} {:?}{reason}", transition.kind, after.status)
        },
    )
}

fn outcome(outcome: Result<Option<Transition>, FileRefusal>) -> String {
    match outcome {
        Ok(transition) => moved_to(transition.as_ref()),
        Err(refusal) => format!("{refusal:?}"),
    }
}

#[test]
fn removing_to_the_trash() {
    let expected = [
        "pending: Cancelled Pending(cancelled)",
        "cancelled: nothing",
        "processed: Trashed Trashed",
        "trashed: nothing",
        "deleting: nothing",
        "failed: nothing",
        "gone: nothing",
        "expired: nothing",
        "expired_cancelled: nothing",
    ];
    assert_eq!(table(|row| moved_to(row.remove(Removal::Trash, NOW).as_ref())), expected);
}

#[test]
fn removing_for_good() {
    let expected = [
        "pending: Cancelled Pending(cancelled)",
        "cancelled: Deleted Pending(user)",
        "processed: Deleted Deleting(user)",
        "trashed: Deleted Deleting(user)",
        "deleting: nothing",
        "failed: Deleted Deleting(user)",
        "gone: nothing",
        "expired: Deleted Expired(user)",
        "expired_cancelled: Deleted Expired(user)",
    ];
    assert_eq!(table(|row| moved_to(row.remove(Removal::Permanent, NOW).as_ref())), expected);
}

// proves: I8 I10
#[test]
fn a_failed_file_that_is_deleted_for_good_is_hidden_and_counts_for_what_it_did() {
    for (name, row) in rows() {
        let PublicStatus::Failed(_) = row.public_status() else { continue };
        let hidden = row_of(&row.remove(Removal::Permanent, NOW).expect("it moves"));
        assert_eq!(hidden.public_status(), PublicStatus::Hidden, "{name}");
        assert_eq!((hidden.status, hidden.weight()), (row.status, row.weight()), "{name}");
        assert_eq!(hidden.remove(Removal::Permanent, NOW), None, "{name}: once");
        let (account, _) = pending(10);
        if let Settlement::Transition(settled) = account.settle(&hidden, &observed(10), &rules(), NOW) {
            let settled = row_of(&settled);
            assert_eq!(
                (settled.status, settled.public_status()),
                (Status::Deleting, PublicStatus::Hidden),
                "{name}: its bytes come"
            );
        }
    }
}

#[test]
fn restoring() {
    let expected = [
        "pending: NotInTrash",
        "cancelled: NotInTrash",
        "processed: nothing",
        "trashed: Restored Processed",
        "deleting: NotFound",
        "failed: Failed { reason: \"size\" }",
        "gone: NotFound",
        "expired: Failed { reason: \"expired\" }",
        "expired_cancelled: Failed { reason: \"cancelled\" }",
    ];
    assert_eq!(table(|row| outcome(row.restore(NOW))), expected);
}

#[test]
fn renaming() {
    let patch = FilePatch { filename: Some("new".into()), ..FilePatch::default() };
    let expected = [
        "pending: Updated Pending",
        "cancelled: Failed { reason: \"cancelled\" }",
        "processed: Updated Processed",
        "trashed: Updated Trashed",
        "deleting: NotFound",
        "failed: Failed { reason: \"size\" }",
        "gone: NotFound",
        "expired: Failed { reason: \"expired\" }",
        "expired_cancelled: Failed { reason: \"cancelled\" }",
    ];
    assert_eq!(table(|row| outcome(row.update(&patch, NOW))), expected);
}

#[test]
fn downloading() {
    let expected = [
        "pending: Err(NotReady)",
        "cancelled: Err(Failed { reason: \"cancelled\" })",
        "processed: Ok(())",
        "trashed: Err(NotFound)",
        "deleting: Err(NotFound)",
        "failed: Err(Failed { reason: \"size\" })",
        "gone: Err(NotFound)",
        "expired: Err(Failed { reason: \"expired\" })",
        "expired_cancelled: Err(Failed { reason: \"cancelled\" })",
    ];
    assert_eq!(table(|row| format!("{:?}", row.downloadable())), expected);
}

#[test]
fn purging() {
    for (name, row) in rows() {
        let purges = row.purged(NOW).is_some();
        assert_eq!(purges, row.status == Status::Deleting, "{name}");
    }
}

// proves: I6
#[test]
fn every_move_is_an_edge_of_the_status_machine_and_counts_the_revision() {
    let patch = FilePatch { visibility: Some(Visibility::Team), ..FilePatch::default() };
    for (name, row) in rows() {
        let moves = [
            row.remove(Removal::Trash, NOW),
            row.remove(Removal::Permanent, NOW),
            row.restore(NOW).ok().flatten(),
            row.update(&patch, NOW).ok().flatten(),
            row.purged(NOW),
        ];
        for transition in moves.into_iter().flatten() {
            let after = row_of(&transition);
            let stays = after.status == row.status;
            assert!(stays || row.status.may_become(after.status), "{name}: {transition:?}");
            assert_eq!((after.revision, after.changed_at), (row.revision + 1, NOW), "{name}");
        }
    }
}

#[test]
fn the_time_in_the_trash_is_kept_only_while_it_is_there() {
    let (_, trashed) = rows().into_iter().find(|(name, _)| *name == "trashed").expect("there is one");
    assert_eq!(trashed.trashed_at, Some(NOW));
    let restored = row_of(&trashed.restore(NOW).expect("it is in the trash").expect("it moves"));
    let deleted = row_of(&trashed.remove(Removal::Permanent, NOW).expect("it moves"));
    assert_eq!((restored.trashed_at, deleted.trashed_at), (None, None));
}

#[test]
fn an_update_that_changes_nothing_is_none_and_a_stale_one_is_refused() {
    let (_, row) = rows().into_iter().find(|(name, _)| *name == "processed").expect("there is one");
    let patch = |filename: Option<&str>, if_revision| FilePatch {
        filename: filename.map(str::to_owned),
        visibility: Some(Visibility::Private),
        if_revision,
    };
    assert_eq!(row.update(&patch(None, None), NOW), Ok(None));
    assert_eq!(row.update(&patch(Some(&row.filename), Some(row.revision)), NOW), Ok(None));
    let stale = row.update(&patch(None, Some(row.revision - 1)), NOW);
    assert_eq!(stale, Err(FileRefusal::Changed { revision: row.revision }), "even if nothing would change");
    let transition =
        row.update(&patch(Some("b"), Some(row.revision)), NOW).expect("fresh").expect("it moves");
    assert_eq!(row_of(&transition).filename, "b");
}

#[test]
fn only_what_is_in_the_trash_long_enough_is_deleted_by_time() {
    let retention = Duration::from_secs(60);
    let at = |span| table(|row| moved_to(row.end_retention(retention, NOW.after(span)).as_ref()));
    assert!(at(retention).iter().all(|line| line.ends_with(": nothing")), "not before its time is over");
    let over = at(retention + Duration::from_millis(1));
    let changed: Vec<&String> = over.iter().filter(|line| !line.ends_with(": nothing")).collect();
    assert_eq!(changed, ["trashed: Deleted Deleting(user)"]);
}

// proves: I4 I18
#[test]
fn a_row_is_forgotten_when_its_uploads_have_ended_and_its_owner_could_see_why_it_failed() {
    let uploads_end = rules().release_at(NOW).after(limits::FORGET_MARGIN);
    let forgettable = |now: Timestamp| {
        let rows = rows().into_iter().filter(|(_, row)| row.is_forgettable(now));
        rows.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let milli = Duration::from_millis(1);
    assert_eq!(forgettable(uploads_end), Vec::<&str>::new());
    assert_eq!(forgettable(uploads_end.after(milli)), ["gone"], "who deleted it does not miss it");
    let (_, expired) = rows().into_iter().find(|(name, _)| *name == "expired").expect("there is one");
    let shown_until = expired.changed_at.after(limits::FAILED_RETENTION);
    assert!(!expired.is_forgettable(shown_until));
    assert!(expired.is_forgettable(shown_until.after(milli)));
    let all = forgettable(shown_until.after(Duration::from_secs(1)));
    assert_eq!(all, ["gone", "expired", "expired_cancelled"]);
}

// proves: I17
#[test]
fn an_upload_that_takes_an_hour_too_long_finds_the_row_of_the_file_that_was_deleted_meanwhile() {
    let (_, gone) = rows().into_iter().find(|(name, _)| *name == "gone").expect("there is one");
    let last_start = NOW.after(rules().upload_url_ttl);
    let arrives = last_start.after(limits::UPLOAD_DURATION_MAX + Duration::from_secs(3600));
    assert!(!gone.is_forgettable(arrives), "its object would be an orphan");
}

#[test]
fn a_row_that_does_not_know_when_its_uploads_end_is_kept_for_a_week() {
    let (_, gone) = rows().into_iter().find(|(name, _)| *name == "gone").expect("there is one");
    let gone = File { uploads_end_at: None, ..gone };
    let week = gone.changed_at.after(limits::GONE_RETENTION);
    assert!(!gone.is_forgettable(week));
    assert!(gone.is_forgettable(week.after(Duration::from_millis(1))));
}
