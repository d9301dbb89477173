//! Whether the folder of the embedded bucket is the one that the ledger's files are in.
//!
//! The folder has a stamp with the identity of its ledger, and the data folder remembers that it was given. A bucket
//! that was deleted, or is of another backup than the ledger, would answer "no such object" for every file, so the start
//! is refused until an operator says how to go on.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::note;
use super::ports::Embedded;
use crate::config::{BucketKind, Config, LedgerKind};

/// The stamp in the bucket's folder.
const STAMP: &str = "ledger-id";
/// The same identity in the data folder, once a bucket has it.
const REMEMBERED: &str = "bucket-ledger-id";
/// A file that an operator creates in the bucket's folder to accept the bucket as it is.
const ADOPT: &str = "adopt";

/// Why the bucket is not used.
#[derive(Debug, thiserror::Error)]
pub enum BucketStampError {
    /// It was deleted, or another folder is in its place.
    #[error(
        "{} is not the bucket that the ledger's files are in: it was deleted or replaced; bring it back from a backup, or go \
         on without those files: {}", bucket.display(), advice(bucket)
    )]
    Missing {
        /// The folder.
        bucket: PathBuf,
    },
    /// Store and bucket are of two deployments, or of two backups.
    #[error(
        "{} belongs to another ledger ({theirs}, this one is {ours}): bring store and bucket back from one backup, or go on \
         with this bucket: {}", bucket.display(), advice(bucket)
    )]
    Foreign {
        /// The folder.
        bucket: PathBuf,
        /// The ledger in its stamp.
        theirs: Uuid,
        /// The ledger of this deployment.
        ours: Uuid,
    },
    /// A stamp cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn advice(bucket: &Path) -> String {
    let bucket = bucket.display();
    format!("`mkdir -p {bucket} && touch {bucket}/{ADOPT}`, then start again")
}

/// The bucket that a deployment may use, with the stamp that it is to have.
#[derive(Debug)]
pub(super) struct BucketStamp {
    data_dir: PathBuf,
    bucket: PathBuf,
    expected: Option<Uuid>,
}

impl BucketStamp {
    /// Of these settings; none if the bucket is elsewhere. `ledger` is the identity of an embedded ledger.
    pub(super) fn of(config: &Config, ledger: Option<Uuid>) -> Option<Self> {
        let data_dir = config.data_dir.clone();
        let ours = ledger.filter(|_| config.ledger.kind == LedgerKind::Embedded);
        let stamp = Self { bucket: data_dir.join("bucket"), data_dir, expected: ours };
        (config.objects.kind == BucketKind::Embedded).then_some(stamp)
    }

    /// Refuses a bucket that is not the one of this ledger. Makes nothing.
    pub(super) fn check(&self) -> Result<(), BucketStampError> {
        let remembered = read(&self.data_dir.join(REMEMBERED))?;
        let found = read(&self.bucket.join(STAMP))?;
        if self.is_adopted()? {
            return Ok(());
        }
        match (found, self.expected.or(remembered)) {
            (Some(theirs), Some(ours)) if theirs != ours => {
                Err(BucketStampError::Foreign { bucket: self.bucket.clone(), theirs, ours })
            }
            (None, _) if remembered.is_some() => {
                Err(BucketStampError::Missing { bucket: self.bucket.clone() })
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Puts the stamp on a bucket that was checked and is open, and remembers it.
    pub(super) fn put(&self) -> Result<(), BucketStampError> {
        let (stamp, remembered) = (self.bucket.join(STAMP), self.data_dir.join(REMEMBERED));
        let known = read(&remembered)?;
        let found = read(&stamp)?;
        let id = self.expected.or(known).or(found).unwrap_or_else(Uuid::new_v4);
        // The bucket first: what is remembered without a stamp would count as deleted.
        if found != Some(id) {
            write(&stamp, id)?;
        }
        if known != Some(id) {
            write(&remembered, id)?;
        }
        if self.is_adopted()? {
            let adopt = self.bucket.join(ADOPT);
            fs::remove_file(&adopt).map_err(|source| BucketStampError::Io { path: adopt, source })?;
            tracing::warn!(
                "{} belongs to this ledger from now on; files without an object in it cannot be read",
                self.bucket.display()
            );
        }
        Ok(())
    }

    fn is_adopted(&self) -> Result<bool, BucketStampError> {
        let path = self.bucket.join(ADOPT);
        match fs::exists(&path) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
            asked => asked.map_err(|source| BucketStampError::Io { path, source }),
        }
    }
}

impl Embedded {
    /// The stamp of the bucket in these settings.
    pub(super) fn bucket_stamp(&self, config: &Config) -> Option<BucketStamp> {
        BucketStamp::of(config, self.store.as_ref().map(crate::adapters::embedded::EmbeddedStore::identity))
    }
}

fn read(path: &Path) -> Result<Option<Uuid>, BucketStampError> {
    note::read(path).map_err(|source| BucketStampError::Io { path: path.to_owned(), source })
}

fn write(path: &Path, id: Uuid) -> Result<(), BucketStampError> {
    note::write(path, id).map_err(|source| BucketStampError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site {
        folder: tempfile::TempDir,
        ledger: Option<Uuid>,
    }

    impl Site {
        fn new(ledger: Option<Uuid>) -> Self {
            let site = Self { folder: tempfile::tempdir().unwrap(), ledger };
            site.make_bucket();
            site
        }

        fn bucket(&self) -> PathBuf {
            self.folder.path().join("bucket")
        }

        fn make_bucket(&self) {
            fs::create_dir_all(self.bucket()).unwrap();
        }

        fn start(&self) -> Result<(), BucketStampError> {
            let data_dir = self.folder.path().to_owned();
            let stamp = BucketStamp { bucket: self.bucket(), data_dir, expected: self.ledger };
            stamp.check()?;
            stamp.put()
        }
    }

    fn check_deleted(ledger: Option<Uuid>) {
        let site = Site::new(ledger);
        site.start().unwrap();
        site.start().unwrap();
        fs::remove_dir_all(site.bucket()).unwrap();
        assert!(matches!(site.start(), Err(BucketStampError::Missing { .. })));
        assert!(!site.bucket().exists(), "it is not made again");
        site.make_bucket();
        let refused = site.start().unwrap_err();
        assert!(
            matches!(refused, BucketStampError::Missing { .. }),
            "an empty folder is another one: {refused}"
        );
        fs::write(site.bucket().join(ADOPT), "").unwrap();
        site.start().unwrap();
        assert!(!site.bucket().join(ADOPT).exists());
        site.start().unwrap();
    }

    #[test]
    fn a_deleted_bucket_is_refused_until_it_is_adopted() {
        check_deleted(Some(Uuid::new_v4()));
        check_deleted(None);
    }

    #[test]
    fn a_bucket_of_another_ledger_is_refused() {
        let mut site = Site::new(Some(Uuid::new_v4()));
        site.start().unwrap();
        site.ledger = Some(Uuid::new_v4());
        assert!(matches!(site.start(), Err(BucketStampError::Foreign { .. })));
        fs::write(site.bucket().join(ADOPT), "").unwrap();
        site.start().unwrap();
        site.start().unwrap();
    }

    #[test]
    fn a_crash_between_the_two_files_is_no_deletion() {
        let site = Site::new(None);
        site.start().unwrap();
        fs::remove_file(site.folder.path().join(REMEMBERED)).unwrap();
        site.start().unwrap();
        fs::remove_dir_all(site.bucket()).unwrap();
        assert!(site.start().is_err(), "it is remembered again");
    }
}
