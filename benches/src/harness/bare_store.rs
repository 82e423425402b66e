//! The limit of durable scenarios: the same rows in the same store engine, with nothing around it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use redb::{Database, Durability, TableDefinition};

use crate::Result;
use crate::report::median;
use crate::workload::{KEY_BYTES, Row};

/// Two tables, as the replica's store has: the entries by key, and the log by dot. Raw rows, no checksums,
/// no merging. Every commit is on disk when it returns, in two phases as the replica's are.
pub struct BareStore {
    database: Database,
    next_seq: u64,
}

impl BareStore {
    /// A new one in a new folder.
    pub fn create(folder: &Path, cache_bytes: usize) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let database =
            redb::Builder::new().set_cache_size(cache_bytes).create(folder.join("bare.redb"))?;
        Ok(Self { database, next_seq: 1 })
    }

    /// Inserts all rows, so many to a commit.
    pub fn insert(&mut self, rows: &[Row], rows_per_commit: usize) -> Result<()> {
        rows.chunks(rows_per_commit).try_for_each(|rows| self.commit(rows))
    }

    /// Inserts rows in one commit, sorted, table by table.
    pub fn commit(&mut self, rows: &[Row]) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.set_durability(Durability::Immediate)?;
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_unstable_by_key(|row| row.key);
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            for row in sorted {
                entries.insert(&row.key[..], &row.value[..])?;
            }
            let mut log = transaction.open_table(LOG)?;
            for row in rows {
                let mut dot = [0; DOT_BYTES];
                dot[KEY_BYTES..].copy_from_slice(&self.next_seq.to_be_bytes());
                log.insert(&dot[..], &row.key[..])?;
                self.next_seq += 1;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The median time of appending 4 KiB to a file and syncing it, in microseconds.
pub fn fsync_p50_us(folder: &Path) -> Result<f64> {
    let path = folder.join("fsync");
    let mut file = File::create(&path)?;
    let mut times_us = Vec::with_capacity(FSYNCS);
    for _ in 0..FSYNCS {
        let start = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times_us.push(start.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(path)?;
    Ok(median(&times_us))
}

const ENTRIES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("entries");
const LOG: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("log");
/// An incarnation and a seq.
const DOT_BYTES: usize = 24;
/// Enough for a median that moves little; some milliseconds on a quiet machine.
const FSYNCS: usize = 40;
