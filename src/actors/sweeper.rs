//! The sweeper: finds what nobody told us, in the two places where truth lives.
//!
//! Reservations past their time are settled or ended after the bucket has been asked; entries that never
//! reached the event log are published; objects of deleted files are removed.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use super::desks::Desks;
use super::inspector::Inspector;
use super::publisher::Publisher;
use super::remover::Remover;
use super::requests::{Expire, Settle, Settled};
use crate::adapters::{Ledger, Objects};
use crate::domain::file::Status;
use crate::domain::ids::{FileId, ObjectKey, UserId};
use crate::ports::{Clock, FilePage, LedgerError, LedgerPort, ObjectsPort, ScanCursor, Summary};
use crate::telemetry::names;

/// Between two sweeps.
pub(super) const PERIOD: Duration = Duration::from_secs(15 * 60);
/// Accounts read in one step. A step is one handler run, so it must end well inside the drain deadline.
const STEP_ACCOUNTS: usize = 256;
/// File rows read at once.
const STEP_ROWS: usize = 1000;

/// What the sweeper gets.
pub(super) enum SweeperMsg {
    /// Start a sweep.
    Start,
    /// Look at the next accounts.
    Accounts(Option<ScanCursor>),
    /// Look at the next objects.
    Objects(Option<String>),
}

/// What the sweeper works with. Cheap to clone.
#[derive(Clone)]
pub(super) struct SweeperParts {
    pub(super) ledger: Ledger,
    pub(super) objects: Objects,
    pub(super) desks: Desks,
    pub(super) inspector: Inspector,
    pub(super) publisher: Publisher,
    pub(super) remover: Remover,
    pub(super) clock: Clock,
}

/// The sweeper's behaviour.
pub(super) struct SweeperActor;

/// The sweeper's memory.
pub(super) struct SweeperState {
    parts: SweeperParts,
    started: Instant,
}

impl Actor for SweeperActor {
    type Msg = SweeperMsg;
    type State = SweeperState;
    type Arguments = SweeperParts;

    async fn pre_start(
        &self,
        myself: ActorRef<SweeperMsg>,
        parts: SweeperParts,
    ) -> Result<SweeperState, ActorProcessingErr> {
        drop(myself.cast(SweeperMsg::Start));
        myself.send_interval(PERIOD, || SweeperMsg::Start);
        Ok(SweeperState { parts, started: Instant::now() })
    }

    async fn handle(
        &self,
        myself: ActorRef<SweeperMsg>,
        msg: SweeperMsg,
        state: &mut SweeperState,
    ) -> Result<(), ActorProcessingErr> {
        let next = match msg {
            SweeperMsg::Start => {
                state.started = Instant::now();
                Some(SweeperMsg::Accounts(None))
            }
            SweeperMsg::Accounts(after) => Some(state.parts.accounts(after).await),
            SweeperMsg::Objects(after) => state.parts.objects(after).await,
        };
        match next {
            Some(msg) => drop(myself.cast(msg)),
            None => metrics::histogram!(names::SWEEP_SECONDS).record(state.started.elapsed()),
        }
        Ok(())
    }
}

impl SweeperParts {
    /// One page of accounts; then the next, or the objects.
    async fn accounts(&self, after: Option<ScanCursor>) -> SweeperMsg {
        let page = match self.ledger.scan(after, STEP_ACCOUNTS).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!("the sweep cannot read accounts: {error}");
                return SweeperMsg::Objects(None);
            }
        };
        for account in page.accounts {
            if account.published < account.version {
                found("unpublished");
                self.publisher.wake(account.user, account.published);
            }
            if let Err(error) = self.look_at(&account).await {
                tracing::warn!(user.id = %account.user, "the sweep cannot read an account: {error}");
            }
        }
        page.next.map_or(SweeperMsg::Objects(None), |next| SweeperMsg::Accounts(Some(next)))
    }

    async fn look_at(&self, account: &Summary) -> Result<(), LedgerError> {
        self.due(account).await?;
        if account.deleting_count > 0 { self.remove_deleting(account.user).await } else { Ok(()) }
    }

    /// Removes what is being deleted and was forgotten, be its object there or not.
    async fn remove_deleting(&self, user: UserId) -> Result<(), LedgerError> {
        let mut before = None;
        loop {
            let rows = self.ledger.files(user, FilePage { before, limit: STEP_ROWS }).await?;
            for row in rows.iter().filter(|row| row.status == Status::Deleting) {
                found("deleting");
                self.remover.remove(ObjectKey { user, file: row.file_id });
            }
            before = rows.last().map(|row| row.file_id);
            if rows.len() < STEP_ROWS {
                return Ok(());
            }
        }
    }

    /// Settles or ends the reservations of an account that are past their time.
    async fn due(&self, account: &Summary) -> Result<(), LedgerError> {
        let now = self.clock.now();
        if account.next_release_at.is_none_or(|release_at| now <= release_at) {
            return Ok(());
        }
        let Some(account) = self.ledger.load(account.user).await? else { return Ok(()) };
        for (file, reservation) in account.pending {
            if now > reservation.release_at {
                found("reservation");
                self.settle_or_expire(account.user, file).await;
            }
        }
        Ok(())
    }

    /// The bucket decides: there, settle as if the news had come; not there, end the reservation.
    async fn settle_or_expire(&self, user: UserId, file: FileId) {
        let key = ObjectKey { user, file };
        match self.inspector.inspect(key, self.clock.now()).await {
            Ok(Some(seen)) => {
                if let Ok(Settled::Remove(_)) = self.desks.ask(user, Settle { file, seen }, None).await {
                    self.remover.remove(key);
                }
            }
            Ok(None) => {
                if self.desks.ask(user, Expire { file }, None).await.is_err() {
                    tracing::warn!(file.id = %file, "a reservation could not be ended; the next sweep tries again");
                }
            }
            Err(error) => tracing::warn!(file.id = %file, "a reservation could not be checked: {error}"),
        }
    }

    /// One page of objects; then the next, if there is one.
    async fn objects(&self, after: Option<String>) -> Option<SweeperMsg> {
        let page = match self.objects.list(ObjectKey::PREFIX.to_owned(), after).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!("the sweep cannot list objects: {error}");
                return None;
            }
        };
        let last = page.objects.last().map(|object| object.key.clone());
        for object in page.objects {
            if let Ok(key) = ObjectKey::parse(&object.key) {
                self.remove_if_gone(key).await;
            }
        }
        last.filter(|_| page.is_truncated).map(|last| SweeperMsg::Objects(Some(last)))
    }

    async fn remove_if_gone(&self, key: ObjectKey) {
        match self.ledger.file(key.user, key.file).await {
            Ok(Some(row)) if row.status == Status::Gone => {
                found("object");
                self.remover.remove(key);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(file.id = %key.file, "the sweep cannot read a row: {error}"),
        }
    }
}

fn found(kind: &'static str) {
    metrics::counter!(names::SWEEP_FOUND_TOTAL, "kind" => kind).increment(1);
}
