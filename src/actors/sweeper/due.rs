//! The quick pass: accounts only. What is past its time, never published, or still to be removed; and the totals.

use super::census::Census;
use super::deep;
use super::tools::{ROWS_PAGE, SweepError, SweepTools, failed, found, unreadable};
use crate::actors::requests::Expire;
use crate::domain::file::Status;
use crate::domain::ids::{FileId, ObjectKey, UserId};
use crate::limits::DEAD_ROWS_SOON;
use crate::ports::{Summary, Unreadable};

/// Looks at every account once. Returns whether it finished.
pub(super) async fn pass(mut tools: SweepTools) -> bool {
    let mut census = Census::begin(tools.now());
    let mut after = None;
    loop {
        let page = match tools.scan(after).await {
            Ok(page) => page,
            Err(error) => {
                failed("accounts", &error);
                return false;
            }
        };
        for Unreadable { user, error } in page.unreadable {
            census.unreadable += 1;
            unreadable(user, &error);
        }
        for account in &page.accounts {
            tools.take_account().await;
            census.add(account);
            look_at(&mut tools, account).await;
        }
        after = page.next;
        if after.is_none() {
            tools.parts.census.show(census);
            return true;
        }
    }
}

async fn look_at(tools: &mut SweepTools, account: &Summary) {
    if account.published < account.version {
        found("unpublished");
        tools.parts.publisher.wake(account.user, account.published);
    }
    let now = tools.now();
    if account.next_release_at.is_some_and(|release_at| now > release_at)
        && !tools.is_bucket_away()
        && let Err(error) = end_reservations(tools, account.user).await
    {
        failed("reservations", &error);
    }
    // Else a loop of presigns and deletes would fill its partition until the slow pass comes.
    if account.dead_rows >= DEAD_ROWS_SOON
        && !tools.is_bucket_away()
        && let Err(error) = deep::look_at(tools, account.user, &mut deep::Findings::default()).await
    {
        failed("an account", &error);
    }
    if account.deleting_count > 0
        && let Err(error) = remove_deleting(tools, account.user).await
    {
        failed("deleting", &error);
    }
}

/// Settles or ends the reservations of an account that are past their time.
async fn end_reservations(tools: &mut SweepTools, user: UserId) -> Result<(), SweepError> {
    let Some(account) = tools.load(user).await? else { return Ok(()) };
    let now = tools.now();
    for (file, _) in account.pending.into_iter().filter(|(_, open)| now > open.release_at) {
        if tools.is_bucket_away() {
            return Ok(());
        }
        found("reservation");
        if let Err(error) = settle_or_expire(tools, ObjectKey { user, file }).await {
            failed("a reservation", &error);
        }
    }
    Ok(())
}

/// The bucket decides: there, settle as if the news had come; not there, end the reservation.
async fn settle_or_expire(tools: &mut SweepTools, key: ObjectKey) -> Result<(), SweepError> {
    match tools.inspect(key).await? {
        Some(seen) => tools.settle(key, seen).await,
        None => {
            let expired = tools.parts.desks.ask(key.user, Expire { file: key.file }, None).await;
            expired.map_err(|error| SweepError::Desk(error.to_string()))
        }
    }
}

/// Removes what is being deleted and was forgotten, be its object there or not.
async fn remove_deleting(tools: &mut SweepTools, user: UserId) -> Result<(), SweepError> {
    let mut before: Option<FileId> = None;
    loop {
        let rows = tools.rows(user, before).await?;
        for row in rows.iter().filter(|row| row.status == Status::Deleting) {
            found("deleting");
            tools.parts.remover.remove(ObjectKey { user, file: row.file_id });
        }
        before = rows.last().map(|row| row.file_id);
        if rows.len() < ROWS_PAGE {
            return Ok(());
        }
    }
}
