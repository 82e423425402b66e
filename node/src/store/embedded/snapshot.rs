//! Snapshots of the file.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::{Dot, Entry, Incarnation, Namespace, Path};
use redb::{Database, ReadOnlyTable, ReadableDatabase};

use super::error::failed;
use super::keys::path_key;
use super::sealed::TableName;
use super::store::definition;
use super::{entries_table, log_table, plain_tables};
use crate::store::{DamagedEntries, DamagedLog, LogRow, MetaKey, Snapshot, StoreError};

type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// One read transaction. Its pages are not reused before it is dropped.
pub(super) struct EmbeddedSnapshot {
    entries: Rows,
    log: Rows,
    staged: Rows,
    meta: Rows,
    /// A snapshot may outlive the store.
    _database: Arc<Database>,
}

impl EmbeddedSnapshot {
    pub(super) fn begin(database: &Arc<Database>) -> Result<Self, StoreError> {
        let transaction = database.begin_read().map_err(failed)?;
        let table = |name| transaction.open_table(definition(name)).map_err(failed);
        Ok(Self {
            entries: table(TableName::Entries)?,
            log: table(TableName::Log)?,
            staged: table(TableName::Staged)?,
            meta: table(TableName::Meta)?,
            _database: Arc::clone(database),
        })
    }
}

impl Snapshot for EmbeddedSnapshot {
    fn entry(&self, namespace: Namespace, path: &Path) -> Result<Entry, StoreError> {
        entries_table::read(&self.entries, namespace, path)
    }

    fn entries(
        &self,
        namespace: Namespace,
        within: Option<&Path>,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Entry) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        entries_table::scan(&self.entries, namespace, within, after, visit)
    }

    fn sound_entries(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Result<(Path, Entry), DamagedEntries>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        entries_table::scan_sound(&self.entries, namespace, after, visit)
    }

    fn log_row(&self, namespace: Namespace, dot: Dot) -> Result<Option<LogRow>, StoreError> {
        log_table::read(&self.log, namespace, dot)
    }

    fn log(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Dot, LogRow) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        log_table::scan(&self.log, namespace, incarnation, after, upto, visit)
    }

    fn sound_log(
        &self,
        namespace: Namespace,
        incarnation: Incarnation,
        after: u64,
        upto: u64,
        visit: &mut dyn FnMut(Result<(Dot, LogRow), DamagedLog>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        log_table::scan_sound(&self.log, namespace, incarnation, after, upto, visit)
    }

    fn staged_row(&self, namespace: Namespace, path: &Path) -> Result<Option<Bytes>, StoreError> {
        let key = path_key(namespace, path.as_bytes());
        plain_tables::read(&self.staged, TableName::Staged, &key)
    }

    fn staged(
        &self,
        namespace: Namespace,
        after: Option<&Path>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        plain_tables::scan_staged(&self.staged, namespace, after, visit)
    }

    fn staged_back(
        &self,
        namespace: Namespace,
        below: Option<&[u8]>,
        visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        plain_tables::scan_staged_back(&self.staged, namespace, below, visit)
    }

    fn meta(&self, key: &MetaKey) -> Result<Option<Bytes>, StoreError> {
        plain_tables::read(&self.meta, TableName::Meta, key.0.as_bytes())
    }
}
