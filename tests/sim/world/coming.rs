//! What is on its way and happens at its time, whatever the nodes do.

use wharfinger::domain::draft::Write;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::ports::{NewRecord, Part, Stream};

use super::bucket::Url;
use super::state::State;
use super::uploads::PartUrl;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Coming {
    /// A write whose outcome nobody waits for any more.
    Write(Box<Write>),
    /// A record, likewise.
    Record(Stream, NewRecord),
    /// A removal of an object, likewise.
    Delete(ObjectKey),
    /// A notification reaches the queue.
    News(String),
    /// The last byte of an upload arrives.
    Put { url: Box<Url>, started_at: u64, size_bytes: u64 },
    /// The last byte of a chunk arrives.
    Chunk { url: Box<PartUrl>, started_at: u64, size_bytes: u64 },
    /// Chunks become one object, and nobody waits for it any more.
    Join { key: ObjectKey, upload_id: String, parts: Vec<Part> },
    /// An upload in chunks is given up, likewise.
    GiveUp { key: ObjectKey, upload_id: String },
}

impl State {
    /// Lets this happen in so many ms.
    pub(crate) fn later(&mut self, ms: u64, what: Coming) {
        self.comings += 1;
        self.coming.insert((self.now + ms, self.comings), what);
    }

    /// Lets everything happen whose time has come.
    pub(crate) fn happen(&mut self) {
        let until = self.now;
        while let Some(((at, nth), _)) = self.coming.first_key_value()
            && *at <= until
        {
            let what = self.coming.remove(&(*at, *nth));
            if let Some(what) = what {
                self.happens(what);
            }
        }
    }

    fn happens(&mut self, what: Coming) {
        match what {
            Coming::Write(write) => {
                let user = self.trace.name('u', write.account.user.uuid());
                self.note(format_args!("a late write of {user} lands"));
                let outcome = self.commit(&write);
                self.note(format_args!("  and ends {outcome:?}"));
            }
            Coming::Record(stream, record) => {
                let stored = self.publish(stream, record);
                self.note(format_args!("a late record lands in {}: {stored:?}", stream.name()));
            }
            Coming::Delete(key) => {
                self.note(format_args!("a late removal arrives"));
                self.delete_object(key);
            }
            Coming::News(body) => self.send(body),
            Coming::Put { url, started_at, size_bytes } => {
                self.put(&url, started_at, size_bytes);
            }
            Coming::Chunk { url, started_at, size_bytes } => {
                self.put_part(&url, started_at, size_bytes);
            }
            Coming::Join { key, upload_id, parts } => {
                let outcome = self.complete_upload(key, &upload_id, &parts);
                self.note(format_args!("a late join of {upload_id} ends {outcome:?}"));
            }
            Coming::GiveUp { key, upload_id } => self.abort_upload(key, &upload_id),
        }
    }
}
