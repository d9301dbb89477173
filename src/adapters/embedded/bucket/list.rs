//! Listing: the tree of folders, walked in the order of the keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{self, Element};
use super::record::{self, Record};
use super::store::Store;

/// What to list.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// What keys start with.
    pub(super) prefix: String,
    /// Keys are above this; with `folded`, so are folders.
    pub(super) after: Option<String>,
    /// Whether keys below a slash after the prefix are listed as one folder.
    pub(super) is_folded: bool,
    /// How many items at most.
    pub(super) items_max: usize,
}

/// One item of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// An object.
    Object(Box<Record>),
    /// Keys that go on after a slash; with the slash.
    Folder(String),
}

impl Item {
    /// What the next page starts above.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Object(record) => &record.key,
            Self::Folder(name) => name,
        }
    }
}

/// Some items, in order.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) is_truncated: bool,
}

impl Store {
    /// Lists keys in the order of their bytes.
    pub(super) fn list(&self, listing: &Listing) -> io::Result<Page> {
        let mut page = Page::default();
        if listing.items_max == 0 {
            // Nothing was asked for, so nothing is missing.
            return Ok(page);
        }
        self.expect_in_place()?;
        walk(listing, self.layout.objects(), "", &mut page)?;
        Ok(page)
    }
}

/// A name in a folder: the whole key, or what the keys below it start with.
struct FoundEntry {
    name: String,
    is_folder: bool,
    path: PathBuf,
}

/// Adds what lies below `folder`, whose keys start with `base`. Returns whether the page is full.
fn walk(listing: &Listing, folder: &Path, base: &str, page: &mut Page) -> io::Result<bool> {
    for found in wanted(listing, folder, base)? {
        let item = if !found.is_folder {
            // It may have been removed since the folder was read.
            match record::open(&found.path) {
                Ok(Some((_, record))) => Item::Object(Box::new(record)),
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!("left out of a list of the bucket: {}: {error}", found.path.display());
                    continue;
                }
                Err(error) => return Err(error),
            }
        } else if listing.is_folded && found.name.len() > listing.prefix.len() {
            if !has_objects(&found.path)? {
                continue;
            }
            Item::Folder(found.name)
        } else if walk(listing, &found.path, &found.name, page)? {
            return Ok(true);
        } else {
            continue;
        };
        if page.items.len() == listing.items_max {
            page.is_truncated = true;
            return Ok(true);
        }
        page.items.push(item);
    }
    Ok(false)
}

/// The names in a folder that may matter, in the order of their keys.
fn wanted(listing: &Listing, folder: &Path, base: &str) -> io::Result<Vec<FoundEntry>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(element) = entry.file_name().to_str().and_then(layout::element) else { continue };
        let (name, is_folder) = match element {
            Element::Object(name) => (format!("{base}{name}"), false),
            Element::Folder(name) => (format!("{base}{name}/"), true),
        };
        if is_wanted(listing, &name, is_folder) {
            all.push(FoundEntry { name, is_folder, path: entry.path() });
        }
    }
    // A folder's name ends with the slash that all keys below it have there: this is the order of the keys.
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

fn is_wanted(listing: &Listing, name: &str, is_folder: bool) -> bool {
    let prefix = listing.prefix.as_str();
    let matches = name.starts_with(prefix) || (is_folder && prefix.starts_with(name));
    let is_above = listing.after.as_deref().is_none_or(|after| {
        let is_folded = is_folder && listing.is_folded && name.len() > prefix.len();
        name > after || (is_folder && !is_folded && after.starts_with(name))
    });
    matches && is_above
}

fn has_objects(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || has_objects(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}
