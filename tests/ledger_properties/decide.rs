//! A command, decided by the real thing.

use uuid::Uuid;
use wharfinger::domain::account::{Change, Remembered, Transition};
use wharfinger::domain::decide::{
    IdempotencyKey, NewUpload, Observed, Reservable, Reserve, ReserveRefusal, Rules, Settlement,
};
use wharfinger::domain::draft::Draft;
use wharfinger::domain::file::{File, Reason, Sha256, Status, Visibility};
use wharfinger::domain::ids::FileId;
use wharfinger::domain::time::Timestamp;
use wharfinger::domain::transitions::{FilePatch, FileRefusal};

use crate::script::{Command, FILES, Seen};
use crate::world::{FILES_MAX, QUOTA_BYTES, RETENTION};

/// The outcome of a command.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) transitions: Vec<Transition>,
    pub(crate) remember: Option<Remembered>,
    /// In a word.
    pub(crate) word: &'static str,
}

impl Decision {
    pub(crate) fn changes_nothing(&self) -> bool {
        self.transitions.is_empty() && self.remember.is_none()
    }

    fn nothing(word: &'static str) -> Self {
        Self { transitions: Vec::new(), remember: None, word }
    }

    fn of(transition: Option<Transition>) -> Self {
        let word = transition.as_ref().map_or("nothing to do", word_of);
        Self { transitions: transition.into_iter().collect(), remember: None, word }
    }

    fn or_refusal(outcome: Result<Option<Transition>, FileRefusal>) -> Self {
        outcome.map_or_else(|_| Self::nothing("not with this file"), Self::of)
    }
}

/// What a transition is called: why a file failed, or that it was late.
fn word_of(transition: &Transition) -> &'static str {
    match &transition.change {
        Change::File { after, .. } if after.status == Status::Deleting => {
            after.reason.map_or("deleting", Reason::as_str)
        }
        Change::File { .. } | Change::Quota(_) | Change::State(_) => "moved",
    }
}

pub(crate) fn rules() -> Rules {
    Rules { quota_bytes_default: QUOTA_BYTES, files_max: FILES_MAX, ..Rules::default() }
}

pub(crate) fn file_id(n: u8) -> FileId {
    FileId::from_uuid(Uuid::from_u128(0x100 + u128::from(n % FILES)))
}

/// The files that a reservation asks for.
pub(crate) fn file_ids(first: u8, sizes: &[u64]) -> Vec<FileId> {
    (first..).zip(sizes).map(|(n, _)| file_id(n)).collect()
}

pub(crate) fn reserve_of(first: u8, sizes: &[u64], key: Option<u8>) -> Reserve {
    let upload = |(file_id, size_bytes): (FileId, &u64)| NewUpload {
        file_id,
        filename: "f".to_owned(),
        content_type: "text/plain".to_owned(),
        size_bytes: *size_bytes,
        checksum_sha256: (file_id.uuid().as_u128() % 2 == 0).then_some(Sha256([0; 32])),
        visibility: Visibility::Private,
        multipart: None,
        traceparent: None,
    };
    let body = sizes.iter().fold(u64::from(first), |hash, size| hash.wrapping_mul(31).wrapping_add(*size));
    Reserve {
        uploads: file_ids(first, sizes).into_iter().zip(sizes).map(upload).collect(),
        idempotency: key.map(|key| IdempotencyKey { key: u64::from(key), body }),
        subject: None,
    }
}

fn observed(seen: Seen, now: Timestamp) -> Observed {
    Observed {
        size_bytes: seen.size_bytes,
        etag: "e".to_owned(),
        checksum_sha256: seen.checksum.map(|byte| Sha256([byte; 32])),
        content_type: Some(if seen.is_html { "text/html" } else { "Text/Plain" }.to_owned()),
        landed_at: now,
        seen_at: now,
        inspected_at: now,
        rejected: seen.is_malware.then_some(Reason::Malware),
    }
}

pub(crate) fn decide(draft: &Draft, command: &Command, now: Timestamp) -> Decision {
    let account = draft.account();
    let on = |file: &u8, decide: &dyn Fn(&File) -> Decision| {
        draft.row(file_id(*file)).map_or(Decision::nothing("no such file"), decide)
    };
    match command {
        Command::Reserve { first, sizes, key } => reserve(draft, &reserve_of(*first, sizes, *key), now),
        Command::Settle { file, seen } => {
            on(file, &|row| match account.settle(row, &observed(*seen, now), &rules(), now) {
                Settlement::Transition(transition) => Decision::of(Some(*transition)),
                Settlement::Done => Decision::nothing("settled before"),
                Settlement::Remove => Decision::nothing("an object to remove"),
            })
        }
        Command::Expire { file } => on(file, &|row| Decision::of(account.expire(row, now))),
        Command::Remove { file, how } => on(file, &|row| Decision::of(row.remove(*how, now))),
        Command::Restore { file } => on(file, &|row| Decision::or_refusal(row.restore(now))),
        Command::Update { file, team } => {
            let visibility = Some(if *team { Visibility::Team } else { Visibility::Private });
            let patch = FilePatch { visibility, ..FilePatch::default() };
            on(file, &|row| Decision::or_refusal(row.update(&patch, now)))
        }
        Command::EndRetention { file } => on(file, &|row| Decision::of(row.end_retention(RETENTION, now))),
        Command::Purged { file } => on(file, &|row| Decision::of(row.purged(now))),
        Command::Quota(quota) => Decision::of(account.set_quota(*quota, now)),
        Command::State(state) => Decision::of(account.set_state(*state, now)),
        Command::Forget { .. } | Command::Publish(_) | Command::Wait(_) | Command::Again(_) => {
            Decision::nothing("nothing to decide")
        }
    }
}

fn reserve(draft: &Draft, asked: &Reserve, now: Timestamp) -> Decision {
    let known = asked.idempotency.and_then(|id| draft.request(id.key));
    match draft.account().reserve(asked, known, &rules(), now) {
        Ok(Reservable::New { transitions, remember }) => Decision { transitions, remember, word: "reserved" },
        Ok(Reservable::Repeat(_)) => Decision::nothing("repeated"),
        Err(ReserveRefusal::QuotaExceeded { .. }) => Decision::nothing("over the quota"),
        Err(ReserveRefusal::TooManyFiles { .. }) => Decision::nothing("too many files"),
        Err(ReserveRefusal::TooManyPending { .. }) => Decision::nothing("too many open"),
        Err(ReserveRefusal::Suspended) => Decision::nothing("suspended"),
        Err(ReserveRefusal::IdempotencyReused) => Decision::nothing("key reused"),
    }
}
