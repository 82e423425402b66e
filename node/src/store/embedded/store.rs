//! Opening the file, and committing to it.

use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, TableDefinition, TableError,
    WriteTransaction,
};

use super::error::failed;
use super::folder::{Folder, in_use};
use super::fuse::{Blown, Fuse};
use super::sealed::TableName;
use super::snapshot::EmbeddedSnapshot;
use super::space::{Space, needed};
use super::{entries_table, log_table, plain_tables};
use crate::store::{Changes, Durability, Snapshot, Store, StoreError};

/// How to open an [`EmbeddedStore`].
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Bytes of memory for pages: half of it at most for pages not yet written.
    pub cache_bytes: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        // The inner pages of a store of some ten million entries, and a commit of a hundred thousand.
        Self { cache_bytes: 128 << 20 }
    }
}

/// The durable store: `millpond.redb` in a folder, locked while it is open.
///
/// Every synced commit is written in two phases, each with its own sync, so that no crash and no choice of
/// bytes by a peer can leave a part of it.
pub struct EmbeddedStore {
    database: Arc<Database>,
    _folder: Option<Folder>,
    space: Box<dyn Fn() -> Space + Send + Sync>,
    /// What the unsynced commits may still write.
    unsynced_bytes: AtomicU64,
    /// The first failure of the disk, or of a commit: it is the end.
    poison: Blown,
}

impl EmbeddedStore {
    /// Opens the store in `folder`; makes folder and store when they are missing. After an unclean stop it
    /// first checks every page that is in use: half a second for each GiB, or what the disk takes to read it.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Format`], [`StoreError::Corrupt`] and [`StoreError::Io`].
    pub fn open(folder: &Path, options: &EmbeddedOptions) -> Result<Self, StoreError> {
        let folder = Folder::lock(folder)?;
        let mut builder = Builder::new();
        builder.set_cache_size(options.cache_bytes);
        let not_opened = |error| open_failed(error, folder.path());
        let file = folder
            .file(|new_file| create_tables(&builder.create(new_file).map_err(not_opened)?))?;
        let poison = Blown::default();
        let database = outlive(|| open_file(&builder, &file, poison.clone()))?;
        let database = database.map_err(not_opened)?;
        let store = Self::with_database(database, move || Space::of_file(&file), poison)?;
        Ok(Self { _folder: Some(folder), ..store })
    }

    /// Opens the store over any storage, which says how much space there is.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn open_backend(
        backend: impl redb::StorageBackend,
        space: impl Fn() -> Space + Send + Sync + 'static,
        options: &EmbeddedOptions,
    ) -> Result<Self, StoreError> {
        let poison = Blown::default();
        let mut builder = Builder::new();
        builder.set_cache_size(options.cache_bytes);
        let storage = Fuse::new(backend, poison.clone());
        let database = outlive(|| builder.create_with_backend(storage))?;
        let database = database.map_err(|error| open_failed(error, Path::new("the storage")))?;
        let transaction = database.begin_read().map_err(failed)?;
        if transaction.list_tables().map_err(failed)?.next().is_none() {
            create_tables(&database)?;
        }
        Self::with_database(database, space, poison)
    }

    fn with_database(
        database: Database,
        space: impl Fn() -> Space + Send + Sync + 'static,
        poison: Blown,
    ) -> Result<Self, StoreError> {
        check_format(&database)?;
        Ok(Self {
            _folder: None,
            database: Arc::new(database),
            space: Box::new(space),
            unsynced_bytes: AtomicU64::new(0),
            poison,
        })
    }

    /// Flips a bit of one of the stored values of a namespace behind the store's back.
    #[cfg(test)]
    pub(crate) fn tamper(
        &self,
        namespace: millpond_core::Namespace,
        name: TableName,
        pick: u64,
        bit: u64,
    ) {
        let of = namespace.number().to_be_bytes();
        let mut rows = Vec::new();
        {
            let read = self.database.begin_read().expect("it opens");
            let table = read.open_table(definition(name)).expect("it has the table");
            for row in table.range(&of[..]..).expect("it reads") {
                let (key, value) = row.expect("it reads");
                if key.value().starts_with(&of) {
                    rows.push((key.value().to_vec(), value.value().to_vec()));
                }
            }
        }
        let picked = (pick % rows.len() as u64) as usize;
        let (key, mut value) = rows.swap_remove(picked);
        let bit = (bit % (value.len() as u64 * 8)) as usize;
        value[bit / 8] ^= 1 << (bit % 8);
        let transaction = self.database.begin_write().expect("it opens");
        let mut table = transaction.open_table(definition(name)).expect("it has the table");
        table.insert(&key[..], &value[..]).expect("it writes");
        drop(table);
        transaction.commit().expect("it commits");
    }

    /// Writes and commits; the error says whether the store is as it was.
    fn write(&self, changes: &Changes, durability: Durability) -> Result<(), Failure> {
        let mut transaction = self.database.begin_write().map_err(|e| poisoning(failed(e)))?;
        transaction.set_two_phase_commit(true);
        let of_redb = match durability {
            Durability::Synced => redb::Durability::Immediate,
            Durability::Buffered => redb::Durability::None,
        };
        transaction.set_durability(of_redb).map_err(|e| poisoning(failed(e)))?;
        if let Err(error) = apply(&transaction, changes) {
            return Err(match transaction.abort() {
                Ok(()) if matches!(error, StoreError::Corrupt { .. }) => Failure::Harmless(error),
                _ => poisoning(error),
            });
        }
        transaction.commit().map_err(|error| poisoning(failed(error)))
    }
}

impl Store for EmbeddedStore {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        Ok(Arc::new(EmbeddedSnapshot::begin(&self.database)?))
    }

    fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        if let Some(reason) = self.poison.reason() {
            return Err(StoreError::Poisoned { reason: reason.to_owned() });
        }
        let Space { used, free } = (self.space)();
        let bytes = needed(changes, used) + self.unsynced_bytes.load(Ordering::Relaxed);
        // Syncing what was promised room already is always tried.
        if !changes.is_empty() && free.is_some_and(|free| free < bytes) {
            return Err(StoreError::Full);
        }
        match (self.write(changes, durability), self.poison.reason()) {
            (Ok(()), None) => {
                let unsynced = if durability == Durability::Synced { 0 } else { bytes };
                self.unsynced_bytes.store(unsynced, Ordering::Relaxed);
                Ok(())
            }
            (Err(Failure::Harmless(error)), None) => Err(error),
            // redb gets over some failures of the disk. We do not.
            (Ok(()) | Err(Failure::Harmless(_)), Some(reason)) => {
                Err(StoreError::Io { reason: reason.to_owned() })
            }
            (Err(Failure::Poisoning(error)), _) => {
                self.poison.blow(&error);
                Err(match error {
                    // Space ran out under our feet: that is no longer harmless.
                    StoreError::Full => StoreError::Io { reason: error.to_string() },
                    error => error,
                })
            }
        }
    }

    fn size_bytes(&self) -> u64 {
        (self.space)().used
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("poison", &self.poison).finish_non_exhaustive()
    }
}

/// The table of this name in the file.
pub(super) const fn definition(
    name: TableName,
) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(name.name())
}

/// A failed commit.
enum Failure {
    /// Nothing has happened.
    Harmless(StoreError),
    /// Nobody knows what has happened.
    Poisoning(StoreError),
}

fn poisoning(error: StoreError) -> Failure {
    Failure::Poisoning(error)
}

fn apply(transaction: &WriteTransaction, changes: &Changes) -> Result<(), StoreError> {
    let table = |name| transaction.open_table(definition(name)).map_err(failed);
    if !changes.entries.is_empty() || !changes.damaged_entries.is_empty() {
        let mut entries = table(TableName::Entries)?;
        entries_table::drop_damaged(&mut entries, &changes.damaged_entries)?;
        entries_table::write(&mut entries, &changes.entries)?;
    }
    if !changes.log.is_empty() || !changes.damaged_log.is_empty() {
        let mut log = table(TableName::Log)?;
        log_table::drop_damaged(&mut log, &changes.damaged_log)?;
        log_table::write(&mut log, &changes.log)?;
    }
    if !changes.unstaged.is_empty() || !changes.staged.is_empty() {
        let mut staged = table(TableName::Staged)?;
        plain_tables::unstage(&mut staged, &changes.unstaged)?;
        plain_tables::write_staged(&mut staged, &changes.staged)?;
    }
    if !changes.meta.is_empty() {
        plain_tables::write_meta(&mut table(TableName::Meta)?, &changes.meta)?;
    }
    Ok(())
}

/// Reads the format version.
fn check_format(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_read().map_err(failed)?;
    let found = match transaction.open_table(FORMAT_TABLE) {
        Ok(table) => table.get(FORMAT_KEY).map_err(failed)?.map_or(0, |version| version.value()),
        Err(TableError::Storage(error)) => return Err(failed(error)),
        // A redb file of somebody else.
        Err(_) => 0,
    };
    if found == FORMAT { Ok(()) } else { Err(StoreError::Format { found, known: FORMAT }) }
}

/// Opens the file, behind a fuse.
fn open_file(builder: &Builder, file: &Path, blown: Blown) -> Result<Database, DatabaseError> {
    let opened = File::options().read(true).write(true).open(file)?;
    if opened.metadata()?.len() == 0 {
        // redb would make a store of it.
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty").into());
    }
    builder.create_with_backend(Fuse::new(FileBackend::new(opened)?, blown))
}

/// Writes the empty tables and the format version to a new file.
fn create_tables(database: &Database) -> Result<(), StoreError> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_two_phase_commit(true);
    for name in TableName::ALL {
        transaction.open_table(definition(name)).map_err(failed)?;
    }
    let mut format = transaction.open_table(FORMAT_TABLE).map_err(failed)?;
    format.insert(FORMAT_KEY, FORMAT).map_err(failed)?;
    drop(format);
    transaction.commit().map_err(failed)
}

/// redb panics over some kinds of damage.
fn outlive<T>(open: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(open)).map_err(|_| damaged())
}

fn damaged() -> StoreError {
    StoreError::Corrupt { what: "the file".to_owned() }
}

fn open_failed(error: DatabaseError, folder: &Path) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => in_use(folder),
        error => failed(error),
    }
}

/// The version of everything below the name of the file. It grows when a reader of the previous one could
/// misread the file.
const FORMAT: u32 = 1;

const FORMAT_TABLE: TableDefinition<'static, &'static str, u32> = TableDefinition::new("millpond");
const FORMAT_KEY: &str = "format";
