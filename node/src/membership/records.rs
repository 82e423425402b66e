//! The records of the system namespace, read once and kept as they change.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use millpond_core::types::lww;
use millpond_core::{DotRange, Entry, Incarnation, NodeKey, Path, VersionVector};
use serde::de::DeserializeOwned;

use super::closings::Finals;
use super::keys::{self, Recorded};
use super::logs::{LogAuthors, Logged, RoleGrant, read_log};
use super::primary::Promotion;
use crate::planted::planted;
use crate::state::View;
use crate::store::StoreError;

/// What the system namespace says, as of a vector. Roles and primaries are logs that only grow, so a node reads what is
/// new of them, not all of them at each change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Records {
    /// Nothing before the first reading.
    upto: Option<VersionVector>,
    /// Whether all is to be read again.
    is_stale: bool,
    records: BTreeMap<Path, Record>,
}

/// One entry of the system namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Name(NodeKey, String),
    Addresses(NodeKey, Vec<String>),
    Region(NodeKey, String),
    Cost(NodeKey, u32),
    ApplyAfterMs(NodeKey, u64),
    /// An old key's word for a new one.
    Succession((NodeKey, NodeKey), Recorded),
    /// A key that is refused, and the one that took its place.
    Retired(NodeKey, NodeKey),
    Incarnation(NodeKey, Incarnation),
    /// By whoever it is: that it is closed counts.
    Closed(Option<NodeKey>, Incarnation, Finals),
    /// Entries of logs; without a value where a later version wrote what this one cannot read.
    Roles(Vec<Logged<Option<RoleGrant>>>),
    Primaries(Vec<Logged<Option<Promotion>>>),
}

impl Records {
    /// Reads all of them.
    ///
    /// # Errors
    /// As [`View::entries`].
    pub(crate) fn read(view: &View) -> Result<Self, StoreError> {
        let mut records = Self::default();
        view.entries(None, None, &mut |path, entry| {
            records.hear(path, &entry);
            ControlFlow::Continue(())
        })?;
        records.upto = Some(view.vv().clone());
        Ok(records)
    }

    /// Reads what has changed since: the log tells where, of all that has a dot of its own. Where all is to be read, and
    /// some of it is damaged, what is new is read still.
    ///
    /// # Errors
    /// As [`View::entries`], of what is new. The next time all is read.
    pub(crate) fn advance(&mut self, view: &View) -> Result<(), StoreError> {
        let upto = self.upto.clone().filter(|upto| view.vv().covers_all(upto));
        let upto = match (upto, self.is_stale) {
            (Some(upto), false) => upto,
            (upto, _) => match (Self::read(view), upto) {
                (Ok(read), _) => {
                    *self = read;
                    return Ok(());
                }
                (Err(error), Some(upto)) if !planted!("damage keeps no change of members back") => {
                    tracing::error!(%error, "not all of the system namespace can be read");
                    upto
                }
                (Err(error), _) => return Err(error),
            },
        };
        let mut changed = BTreeSet::new();
        for DotRange { incarnation, after, upto } in view.vv().beyond(&upto) {
            view.log(incarnation, after, upto.get(), &mut |_, row| {
                changed.insert(row.path);
                ControlFlow::Continue(())
            })?;
        }
        // Before the first of them: what is read in part is read again.
        let was_stale = std::mem::replace(&mut self.is_stale, true);
        for path in changed {
            let entry = view.entry(&path)?;
            self.hear(path, &entry);
        }
        self.is_stale = was_stale;
        self.upto = Some(view.vv().clone());
        Ok(())
    }

    /// All is to be read again, since something may have gone of which no dot tells.
    pub(crate) fn forget(&mut self) {
        self.is_stale = true;
    }

    /// Whoever has written in the logs, as far as they were read.
    pub(crate) fn log_authors(&self) -> LogAuthors {
        let upto = self.upto.clone().unwrap_or_default();
        let mut authors = BTreeSet::new();
        for record in self.records.values() {
            match record {
                Record::Roles(log) => authors.extend(log.iter().map(author)),
                Record::Primaries(log) => authors.extend(log.iter().map(author)),
                _ => {}
            }
        }
        LogAuthors { upto, authors }
    }

    /// All of them, by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    fn hear(&mut self, path: Path, entry: &Entry) {
        match Record::read(&path, entry) {
            Some(record) => drop(self.records.insert(path, record)),
            None => drop(self.records.remove(&path)),
        }
    }
}

impl Record {
    /// `None` for what says nothing here.
    fn read(path: &Path, entry: &Entry) -> Option<Self> {
        if entry.is_absent() {
            return None;
        }
        let components: Vec<Vec<u8>> = path.components().collect();
        let parts: Vec<&[u8]> = components.iter().map(Vec::as_slice).collect();
        Some(match parts[..] {
            [b"member", key, b"name"] => Self::Name(node_key(key)?, text(entry)?),
            [b"member", key, b"addresses"] => Self::Addresses(node_key(key)?, value(entry)?),
            [b"member", key, b"region"] => {
                Self::Region(node_key(key)?, text(entry).filter(|it| !it.is_empty())?)
            }
            [b"member", key, b"cost"] => Self::Cost(node_key(key)?, value(entry)?),
            [b"member", key, b"apply-after"] => Self::ApplyAfterMs(node_key(key)?, value(entry)?),
            [b"member", _, b"successor", old, new] => {
                Self::Succession((node_key(old)?, node_key(new)?), keys::read_succession(entry)?)
            }
            [b"member", _, b"retired", old] => {
                Self::Retired(node_key(old)?, keys::read_retired(entry)?)
            }
            [b"member", key, b"incarnation", of] => {
                Self::Incarnation(node_key(key)?, incarnation(of)?)
            }
            [b"member", key, b"closed", of] => {
                Self::Closed(node_key(key), incarnation(of)?, Finals::read(entry))
            }
            [b"role", _] => Self::Roles(read_log(entry)),
            [b"primary", _] => Self::Primaries(read_log(entry)),
            _ => return None,
        })
    }
}

fn author<T>((at, _): &Logged<T>) -> Incarnation {
    at.1.incarnation
}

pub(super) fn node_key(bytes: &[u8]) -> Option<NodeKey> {
    bytes.try_into().ok().map(NodeKey::from_bytes)
}

fn incarnation(bytes: &[u8]) -> Option<Incarnation> {
    bytes.try_into().ok().map(Incarnation::from_bytes)
}

fn text(entry: &Entry) -> Option<String> {
    let live = lww::read(entry)?;
    String::from_utf8(live.payload.bytes.to_vec()).ok()
}

fn value<T: DeserializeOwned>(entry: &Entry) -> Option<T> {
    postcard::from_bytes(&lww::read(entry)?.payload.bytes).ok()
}

#[cfg(test)]
mod tests {
    use millpond_core::Succession;
    use proptest::prelude::*;

    use super::*;
    use crate::membership::domain::{Domain, KEY};
    use crate::membership::{
        Finals, OwnRecord, Role, grant_role, promote, record_closed, record_incarnation,
        record_retired, record_self, record_succession, remove_member,
    };
    use crate::state::LocalClosure;

    /// Something that a domain can be told, of one of a few subjects.
    fn told(what: u8, of: u8) -> LocalClosure {
        let (key, id) = (NodeKey::from_bytes([of; 32]), Incarnation::from_bytes([of; 16]));
        let authors = LogAuthors::default();
        let own = OwnRecord {
            name: format!("{what}"),
            addresses: vec![format!("127.0.0.1:{of}")],
            region: (what > 3).then(|| "eu".into()),
            cost: what.into(),
            apply_after_ms: what.into(),
        };
        let finals = Finals::covered(id, std::iter::empty());
        let next = NodeKey::from_bytes([of + 100; 32]);
        let word = Succession { old: key, new: next, signature: [what; 64] };
        match what {
            0 => Box::new(move |tx| grant_role(tx, key, Role::Writer, KEY, &authors)),
            1 => Box::new(move |tx| promote(tx, 1, Some(key), KEY, &authors)),
            2 => Box::new(move |tx| record_incarnation(tx, key, id)),
            3 => Box::new(move |tx| record_closed(tx, key, id, &finals)),
            4 => Box::new(move |tx| remove_member(tx, key, KEY, &[(id, finals)], &authors)),
            5 => Box::new(move |tx| record_succession(tx, key, &word, 1)),
            6 => Box::new(move |tx| record_retired(tx, key, key, next)),
            _ => Box::new(move |tx| record_self(tx, key, &own)),
        }
    }

    proptest! {
        #[test]
        fn reading_what_is_new_is_reading_all(
            steps in prop::collection::vec((0..12_u8, 1..4_u8, any::<bool>()), 1..40),
        ) {
            let mut domain = Domain::founded();
            let mut records = Records::read(&domain.view()).unwrap();
            for (what, of, is_read) in steps {
                domain.write(told(what, of));
                if is_read {
                    records.advance(&domain.view()).unwrap();
                    prop_assert_eq!(&records, &Records::read(&domain.view()).unwrap());
                }
            }
        }
    }

    #[test]
    fn what_is_forgotten_is_read_again() {
        let mut domain = Domain::founded();
        let mut records = Records::read(&domain.view()).unwrap();
        records.records.clear();
        domain.write(told(2, 1));
        records.advance(&domain.view()).unwrap();
        assert_eq!(records.records.len(), 1, "what is new");
        records.forget();
        records.advance(&domain.view()).unwrap();
        assert_eq!(records, Records::read(&domain.view()).unwrap());
    }

    /// What the author of the last role had seen.
    fn last_seen(domain: &Domain) -> VersionVector {
        let records = Records::read(&domain.view()).unwrap();
        let grants = records.iter().filter_map(|record| match record {
            Record::Roles(log) => Some(log.clone()),
            _ => None,
        });
        let last = grants.flatten().max_by_key(|(at, _)| *at).unwrap();
        last.1.unwrap().author_vv
    }

    #[test]
    fn an_author_tells_of_whoever_writes_in_the_logs_and_of_nobody_else() {
        let mut domain = Domain::founded();
        let founded = domain.view().vv().clone();
        domain.be(9);
        domain.write(told(2, 1));
        let mut records = Records::read(&domain.view()).unwrap();
        records.forget();
        let authors = records.log_authors();
        domain.be(7);
        domain.write(Box::new(move |tx| grant_role(tx, KEY, Role::Admin, KEY, &authors)));
        assert_eq!(last_seen(&domain), founded);
    }

    #[test]
    fn an_author_has_seen_what_came_after_it_last_read() {
        let mut domain = Domain::founded();
        let authors = Records::read(&domain.view()).unwrap().log_authors();
        domain.be(9);
        domain.write(told(0, 2));
        let upto = domain.view().vv().clone();
        domain.be(7);
        domain.write(Box::new(move |tx| grant_role(tx, KEY, Role::Admin, KEY, &authors)));
        assert_eq!(last_seen(&domain), upto);
    }
}
