//! The product's own audit of a data folder that nobody uses, and the rows in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use wharfinger::adapters::embedded::EmbeddedStore;
use wharfinger::adapters::embedded::bucket::{BucketOptions, EmbeddedBucket};
use wharfinger::adapters::{Ledger, Log, Objects};
use wharfinger::app::{AuditOptions, AuditSummary, Auditor, Deployment, Finding, FindingKind};
use wharfinger::domain::file::File;
use wharfinger::domain::ids::FileId;
use wharfinger::ports::{Clock, FilePage, LedgerPort};

/// What a data folder holds, read without the process that wrote it.
pub(crate) struct Audit {
    pub(crate) rows: BTreeMap<FileId, File>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) summary: AuditSummary,
}

impl Audit {
    /// Reads everything; what is still under way is a disagreement.
    pub(crate) async fn read(data: &Path) -> Self {
        let clock = Clock::System;
        let store = EmbeddedStore::open(&data.join("store"), clock.clone()).expect("the store opens");
        let bucket = EmbeddedBucket::open(&data.join("bucket"), BucketOptions::default(), clock.clone())
            .expect("the bucket opens");
        let ledger = Ledger::Embedded(store.ledger());
        let options = AuditOptions {
            user: None,
            grace: Duration::ZERO,
            deep_every: Duration::ZERO,
            trash_retention: wharfinger::limits::TRASH_RETENTION,
            quiet: Duration::ZERO,
            reads_per_sec: None,
        };
        let world = Deployment {
            ledger: ledger.clone(),
            log: Log::Embedded(store.log()),
            objects: Objects::Embedded(bucket),
            clock,
        };
        let mut findings = Vec::new();
        // A stop need not note what was published; a missing event is reported all the same.
        let mut tell = |finding: &Finding| {
            findings
                .extend(Some(finding).filter(|finding| finding.kind != FindingKind::Unpublished).cloned());
            Ok(())
        };
        let summary = Auditor::new(world, options).run(&mut tell).await.expect("all can be read");
        Self { rows: rows(&ledger).await, findings, summary }
    }
}

async fn rows(ledger: &Ledger) -> BTreeMap<FileId, File> {
    let (mut rows, mut next) = (BTreeMap::new(), None);
    loop {
        let page = ledger.scan(next, 1000).await.expect("a page");
        for account in page.accounts {
            let all = FilePage { before: None, limit: usize::MAX };
            let files = ledger.files(account.user, all).await.expect("rows");
            rows.extend(files.into_iter().map(|row| (row.file_id, row)));
        }
        next = page.next;
        if next.is_none() {
            return rows;
        }
    }
}
