//! The remover: deletes the objects of files that can never be processed again, then says so in the ledger.
//!
//! It is called only after the row's state is durable (invariant 15). What it forgets, the sweeper finds.

use std::collections::VecDeque;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::directory::ActorRegistry;
use super::errand;
use super::requests::MarkPurged;
use super::shard::ShardMsg;
use super::ticket::TypedCommand;
use crate::adapters::Objects;
use crate::domain::ids::ObjectKey;
use crate::ports::{Clock, ObjectsPort};
use crate::telemetry::health::{Health, Part};
use crate::telemetry::{STORY, names};

/// Objects that wait to be removed; what comes on top is left to the sweeper.
const WAITING_MAX: usize = 4096;
/// Objects that are being removed at the same time.
const RUNNING_MAX: usize = 16;
/// How long one removal may take.
const REMOVE_WITHIN: Duration = Duration::from_secs(30);
/// Tries for one object before it is left to the sweeper.
const TRIES_MAX: u32 = 5;

/// The way to the remover. Cheap to clone.
#[derive(Clone)]
pub(super) struct Remover(pub(super) ActorRegistry);

impl Remover {
    /// Removes an object, some time soon.
    pub(super) fn remove(&self, key: ObjectKey) {
        self.0.to_remover(RemoverMsg::Remove { what: Removable::Object(key), tries: 0 });
    }

    /// Gives up an upload in chunks of which no object may come, some time soon. What is forgotten, the sweep finds.
    pub(super) fn give_up(&self, key: ObjectKey, upload_id: String) {
        let what = Removable::Chunks { key, upload_id };
        self.0.to_remover(RemoverMsg::Remove { what, tries: 0 });
    }
}

/// What can be removed.
#[derive(Clone, Debug)]
pub(super) enum Removable {
    /// An object.
    Object(ObjectKey),
    /// The chunks of an upload.
    Chunks { key: ObjectKey, upload_id: String },
}

impl Removable {
    const fn key(&self) -> ObjectKey {
        match self {
            Self::Object(key) | Self::Chunks { key, .. } => *key,
        }
    }
}

/// What the remover gets.
pub(super) enum RemoverMsg {
    /// Remove this.
    Remove { what: Removable, tries: u32 },
    /// A removal ended.
    Ended { what: Removable, tries: u32, is_gone: bool },
}

/// What the remover works with. Cheap to clone.
#[derive(Clone)]
pub(super) struct RemoverParts {
    pub(super) objects: Objects,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) directory: ActorRegistry,
}

/// The remover's behaviour.
pub(super) struct RemoverActor;

/// The remover's memory.
pub(super) struct RemoverState {
    parts: RemoverParts,
    waiting: VecDeque<(Removable, u32)>,
    running: usize,
}

impl Actor for RemoverActor {
    type Msg = RemoverMsg;
    type State = RemoverState;
    type Arguments = RemoverParts;

    async fn pre_start(
        &self,
        _myself: ActorRef<RemoverMsg>,
        parts: RemoverParts,
    ) -> Result<RemoverState, ActorProcessingErr> {
        Ok(RemoverState { parts, waiting: VecDeque::new(), running: 0 })
    }

    async fn handle(
        &self,
        myself: ActorRef<RemoverMsg>,
        msg: RemoverMsg,
        state: &mut RemoverState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            RemoverMsg::Remove { what, tries } => state.take(what, tries),
            RemoverMsg::Ended { what, tries, is_gone } => state.ended(&myself, what, tries, is_gone),
        }
        state.start_waiting(&myself);
        Ok(())
    }
}

impl RemoverState {
    fn take(&mut self, what: Removable, tries: u32) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((what, tries));
        }
    }

    fn ended(&mut self, myself: &ActorRef<RemoverMsg>, what: Removable, tries: u32, is_gone: bool) {
        self.running -= 1;
        let key = what.key();
        if is_gone {
            let Removable::Object(_) = what else { return };
            let purged = TypedCommand::unattended(MarkPurged { file: key.file });
            self.parts.directory.to_shard_of(key.user, ShardMsg::Command { user: key.user, ticket: purged });
            metrics::counter!(names::OBJECTS_REMOVED_TOTAL).increment(1);
        } else if tries < TRIES_MAX {
            let pause = Duration::from_millis(100 << tries);
            myself.send_after(pause, move || RemoverMsg::Remove { what, tries: tries + 1 });
        } else {
            tracing::warn!(user_id = %key.user, file_id = %key.file, "cannot remove an object; the sweeper will try again");
        }
    }

    fn start_waiting(&mut self, myself: &ActorRef<RemoverMsg>) {
        while self.running < RUNNING_MAX
            && let Some((what, tries)) = self.waiting.pop_front()
        {
            self.running += 1;
            let parts = self.parts.clone();
            let lost = RemoverMsg::Ended { what: what.clone(), tries, is_gone: false };
            errand::send(myself, REMOVE_WITHIN, lost, async move {
                let is_gone = remove(&parts, &what).await;
                RemoverMsg::Ended { what, tries, is_gone }
            });
        }
    }
}

async fn remove(parts: &RemoverParts, what: &Removable) -> bool {
    let (removed, told) = match what {
        Removable::Object(key) => (parts.objects.delete(*key).await, "object removed"),
        Removable::Chunks { key, upload_id } => {
            (parts.objects.abort_multipart(*key, upload_id).await, "chunks removed")
        }
    };
    parts.health.record(Part::Objects, &removed, parts.clock.now());
    if removed.is_ok() {
        tracing::info!(target: STORY, { user_id = %what.key().user, file_id = %what.key().file }, "{told}");
    }
    removed.is_ok()
}
