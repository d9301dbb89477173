//! What a node may decide, from what it remembers and what the bucket says.

use super::protocol::{Bounds, Check, Protocol};
use super::state::{Account, Outside, Url, Write};
use super::status::Status;
use super::step::{Becomes, Why};

/// What a node decides with.
pub(super) struct Desk<'a> {
    pub(super) protocol: &'a Protocol,
    pub(super) bounds: &'a Bounds,
    /// What it remembers.
    pub(super) memory: &'a Account,
}

impl Desk<'_> {
    /// Whether a file fits, as far as the node knows.
    pub(super) fn fits(&self, file: usize) -> bool {
        let taken = i16::from(self.memory.used) + i16::from(self.memory.reserved);
        taken + i16::from(self.bounds.size(file)) <= i16::from(self.bounds.quota_of(self.memory.is_lowered))
    }

    /// Everything that it may decide about a file.
    pub(super) fn file(&self, file: usize, outside: &Outside, decides: &mut impl FnMut(Becomes)) {
        let Bounds { cancels, trashes, .. } = *self.bounds;
        let is_busy = self.memory.version < self.bounds.busy_below;
        let is_due = self.protocol.sweeps
            && (outside.url == Url::Dead || outside.url == Url::Closing && !self.protocol.waits_for_uploads);
        let mut becomes = |status, why| decides(Becomes::File { file, status, why });
        let heard = if is_due { Why::Sweep } else { Why::Event };
        match (self.memory.rows[file], outside.has_object) {
            (Status::Absent, _) => {
                if self.protocol.reserves_durably && self.fits(file) {
                    becomes(Status::Pending, Why::Asked);
                }
            }
            (Status::Pending, has_object) => {
                if has_object {
                    becomes(Status::Processed, heard);
                } else if is_due {
                    becomes(Status::Expired, Why::Sweep);
                }
                if cancels && self.protocol.holds_cancelled {
                    becomes(Status::Cancelled, Why::Asked);
                } else if cancels {
                    becomes(Status::ExpiredCancelled, Why::Asked);
                }
            }
            (Status::Cancelled, true) => becomes(Status::Deleting, heard),
            (Status::Cancelled, false) => {
                if is_due {
                    becomes(Status::ExpiredCancelled, Why::Sweep);
                }
            }
            (Status::Expired, true) => {
                if self.fits(file) {
                    becomes(Status::Processed, Why::Sweep);
                } else if self.protocol.marks_before_delete {
                    becomes(Status::Deleting, Why::Sweep);
                }
            }
            (Status::ExpiredCancelled, true) => becomes(Status::Deleting, Why::Sweep),
            (Status::Processed, _) => {
                becomes(Status::Deleting, Why::Asked);
                if trashes && is_busy {
                    becomes(Status::Trashed, Why::Asked);
                }
            }
            (Status::Trashed, _) => {
                becomes(Status::Deleting, Why::Asked);
                if is_busy {
                    becomes(Status::Processed, Why::Asked);
                }
            }
            (Status::Deleting, false) => becomes(Status::Gone, Why::Sweep),
            (Status::Deleting, true) | (Status::Gone, _) => {}
            (Status::Expired | Status::ExpiredCancelled, false) => {}
        }
    }

    /// Whether it may delete a file's object.
    pub(super) fn deletes_object(&self, file: usize) -> bool {
        let status = self.memory.rows[file];
        status.is_dead()
            || status == Status::Expired && !self.protocol.marks_before_delete && !self.fits(file)
    }

    /// The write of a decision.
    pub(super) fn write(&self, becomes: Becomes) -> Write {
        let Account { version, used, reserved, is_lowered, rows } = *self.memory;
        let mut write = Write { expects: version, used, reserved, is_lowered, row: None };
        match becomes {
            Becomes::Quota { is_lowered } => write.is_lowered = is_lowered,
            Becomes::File { file, status, .. } => {
                let size = i8::try_from(self.bounds.size(file)).expect("a small size");
                let weight = |counts: bool| if counts { size } else { 0 };
                write.used += weight(status.is_used()) - weight(rows[file].is_used());
                write.reserved += weight(status.is_reserved()) - weight(rows[file].is_reserved());
                write.row = Some((file, status));
            }
        }
        write
    }
}

impl Write {
    /// What a node remembers after its write has been applied.
    pub(super) fn remembered(&self, protocol: &Protocol, memory: &Account) -> Account {
        let Account { mut rows, .. } = *memory;
        if let Some((file, status)) = self.row {
            rows[file] = status;
        }
        let version = self.expects + u8::from(self.moves_version(protocol));
        Account { version, used: self.used, reserved: self.reserved, is_lowered: self.is_lowered, rows }
    }

    /// Whether it makes a new version.
    pub(super) fn moves_version(&self, protocol: &Protocol) -> bool {
        protocol.check == Check::Version && (self.row.is_some() || protocol.counts_quota_changes)
    }
}
