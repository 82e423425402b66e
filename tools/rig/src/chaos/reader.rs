//! A client that reads at one node all the while: it sees whole transactions, and never goes back.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::Value;

use super::bank::{self, ACCOUNTS};
use super::shared::Shared;
use super::writer::{
    OWN, SHARED, SHARED_GROUPS, SHARED_MEMBERS, TALLIES, TOTAL, members_of, tally_at, whole,
};
use crate::client::Connection;
use crate::random::Random;

pub(super) struct Reader<'a> {
    shared: &'a Shared,
    random: Random,
    node: usize,
    connection: Option<Connection>,
    /// The last value of each own key that this node has shown.
    shown: BTreeMap<String, u64>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(node: usize, shared: &'a Shared, random: Random) -> Self {
        Self { shared, random, node, connection: None, shown: BTreeMap::new() }
    }

    /// Reads until the run is over.
    pub(super) fn run(mut self) {
        while !self.shared.is_over() {
            let read = match self.random.below(4) {
                0 => self.read_own(),
                1 => self.read_shared(),
                2 => self.read_tally(),
                _ => self.read_accounts(),
            };
            match read {
                Ok(()) => drop(self.shared.reads.fetch_add(1, Relaxed)),
                Err(error) => {
                    self.connection = None;
                    if error.kind() == io::ErrorKind::Other {
                        // It was there.
                        self.violated(&format!("a reader is refused: {error}"));
                    }
                }
            }
            self.shared.rest();
        }
    }

    fn read_own(&mut self) -> io::Result<()> {
        let writer = self.random.below(self.shared.begun.len() as u64);
        let begun = self.shared.begun[writer as usize].load(Relaxed);
        let serial = self.random.below(begun.max(1));
        let key = format!("{writer}-{serial}");
        let page = self.page(OWN, &key)?;
        match whole(&page, members_of(serial)) {
            Err(shown) => self.violated(&format!("half of a transaction: {OWN}/{key}: {shown}")),
            Ok(None) => {}
            Ok(Some(n)) => {
                let before = self.shown.insert(key.clone(), n);
                if before.is_some_and(|before| before > n) {
                    self.violated(&format!("{OWN}/{key} went back from {before:?} to {n}"));
                }
            }
        }
        Ok(())
    }

    fn read_shared(&mut self) -> io::Result<()> {
        let group = self.random.below(SHARED_GROUPS).to_string();
        let page = self.page(SHARED, &group)?;
        if let Err(shown) = whole(&page, SHARED_MEMBERS) {
            self.violated(&format!("half of a transaction: {SHARED}/{group}: {shown}"));
        }
        Ok(())
    }

    fn read_tally(&mut self) -> io::Result<()> {
        let latest = tally_at(self.shared.start.elapsed());
        // Mostly those that are being counted in, or have just been.
        let tally = latest.saturating_sub(self.random.below(RECENT_TALLIES)).to_string();
        let page = self.page(TALLIES, &tally)?;
        if page["next"].is_null()
            && let Err(shown) = is_sum(page["records"].as_array().map_or(&[], Vec::as_slice))
        {
            self.violated(&format!("half of a transaction: {TALLIES}/{tally}: {shown}"));
        }
        Ok(())
    }

    fn read_accounts(&mut self) -> io::Result<()> {
        let page = self.page(ACCOUNTS, bank::KEY)?;
        let records = page["records"].as_array().map_or(&[][..], Vec::as_slice);
        if let Err(shown) = bank::audit(records.iter().map(|it| &it["fields"])) {
            self.violated(&format!("half of a transaction: {shown}"));
        }
        Ok(())
    }

    /// All records whose keys begin with this, from one snapshot.
    fn page(&mut self, collection: &str, key: &str) -> io::Result<Value> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.shared.places[self.node].connect()?),
        };
        let path = format!("/api/v1/c/{collection}?prefix={key}-&limit=1000");
        serde_json::from_str(&connection.request("GET", &path, "")?).map_err(io::Error::other)
    }

    fn violated(&self, what: &str) {
        self.shared.violated(format!("{}: {what}", self.shared.places[self.node].name));
    }
}

/// Whether the counter of a tally is what its records add up to.
fn is_sum(records: &[Value]) -> Result<(), String> {
    let (mut sum, mut total) = (0, 0);
    for record in records {
        let is_total = record["key"].as_str().is_some_and(|key| key.ends_with(TOTAL));
        match is_total {
            true => total = record["fields"]["n"].as_i64().unwrap_or(0),
            false => sum += record["fields"]["delta"].as_i64().unwrap_or(0),
        }
    }
    let count = records.len();
    if sum == total { Ok(()) } else { Err(format!("{count} records add up to {sum}, not {total}")) }
}

const RECENT_TALLIES: u64 = 4;
