//! The identity of a store's ledger: made with the store, and never changed.

use uuid::Uuid;

use super::tables::Tables;

/// Its row in the table of what must last.
const KEY: &str = "identity";

/// The identity of the ledger in these tables; made and written at the first call.
pub(super) fn of(tables: &Tables) -> fjall::Result<Uuid> {
    let found = tables.meta.get(KEY)?.and_then(|row| Uuid::from_slice(&row).ok());
    if let Some(found) = found {
        return Ok(found);
    }
    let made = Uuid::new_v4();
    let mut rows = tables.db.batch().durability(Some(fjall::PersistMode::SyncAll));
    rows.insert(&tables.meta, KEY, made.as_bytes());
    rows.commit()?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use crate::adapters::embedded::EmbeddedStore;
    use crate::ports::Clock;

    #[test]
    fn an_identity_is_made_once_and_is_its_own() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let identity =
            |dir: &tempfile::TempDir| EmbeddedStore::open(dir.path(), Clock::System).unwrap().identity();
        let first = identity(&one);
        assert_eq!(identity(&one), first, "it is read back after a restart");
        assert_ne!(identity(&other), first);
    }
}
