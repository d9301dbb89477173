//! The sweeper: finds what nobody told us, in the two places where truth lives.
//!
//! Reservations past their time are settled or ended after the bucket has been asked; entries that never
//! reached the event log are published; objects of deleted files are removed.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
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
    /// Start a sweep; `done` is dropped at its end.
    Start { done: Done },
    /// Take its next step.
    GoOn { at: Place, done: Done },
}

/// Whoever waits for the end of a sweep.
pub(super) type Done = Option<oneshot::Sender<()>>;

/// How far a sweep has come.
pub(super) enum Place {
    /// Before the next accounts.
    Accounts(Option<ScanCursor>),
    /// Before the next objects.
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
        drop(myself.cast(SweeperMsg::Start { done: None }));
        myself.send_interval(PERIOD, || SweeperMsg::Start { done: None });
        Ok(SweeperState { parts, started: Instant::now() })
    }

    async fn handle(
        &self,
        myself: ActorRef<SweeperMsg>,
        msg: SweeperMsg,
        state: &mut SweeperState,
    ) -> Result<(), ActorProcessingErr> {
        let (next, done) = match msg {
            SweeperMsg::Start { done } => {
                state.started = Instant::now();
                (Some(Place::Accounts(None)), done)
            }
            SweeperMsg::GoOn { at: Place::Accounts(after), done } => {
                (Some(state.parts.accounts(after).await), done)
            }
            SweeperMsg::GoOn { at: Place::Objects(after), done } => (state.parts.objects(after).await, done),
        };
        match next {
            Some(at) => drop(myself.cast(SweeperMsg::GoOn { at, done })),
            None => metrics::histogram!(names::SWEEP_SECONDS).record(state.started.elapsed()),
        }
        Ok(())
    }
}

impl SweeperParts {
    /// One page of accounts; then the next, or the objects.
    async fn accounts(&self, after: Option<ScanCursor>) -> Place {
        let page = match self.ledger.scan(after, STEP_ACCOUNTS).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!("the sweep cannot read accounts: {error}");
                return Place::Objects(None);
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
        page.next.map_or(Place::Objects(None), |next| Place::Accounts(Some(next)))
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
    async fn objects(&self, after: Option<String>) -> Option<Place> {
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
                self.look_at_object(key).await;
            }
        }
        last.filter(|_| page.is_truncated).map(|last| Place::Objects(Some(last)))
    }

    /// Finds objects that came when nobody waited for them any more.
    async fn look_at_object(&self, key: ObjectKey) {
        match self.ledger.file(key.user, key.file).await {
            Ok(Some(row)) => match row.status {
                Status::Gone => {
                    found("object");
                    self.remover.remove(key);
                }
                Status::Expired => {
                    found("late_object");
                    self.settle_or_expire(key.user, key.file).await;
                }
                Status::Pending | Status::Processed | Status::Trashed | Status::Deleting => {}
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(file.id = %key.file, "the sweep cannot read a row: {error}"),
        }
    }
}

fn found(kind: &'static str) {
    metrics::counter!(names::SWEEP_FOUND_TOTAL, "kind" => kind).increment(1);
}
