//! Filling an empty store from a backup, as a catch-up fills an empty replica.

use std::io::Read;

use millpond_core::wire::RowsFrame;
use millpond_core::{Domain, HybridClock, Incarnation, Namespace, NodeKey, VersionVector};

use super::error::Fault;
use super::format::Header;
use super::info::BackupProgress;
use super::reader::{BackupReader, rows_expected};
use super::restore::Restore;
use super::writer::OnProgress;
use crate::membership::{
    CheckSignature, Invite, KeyChecks, LogAuthors, Members, Role, grant_role, record_incarnation,
};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::replication::Beginning;
use crate::state::{
    Cut, CutMark, Heads, Identity as StoreIdentity, Job, Local, LocalClosure, Takeover, View,
    commit_group, meta_key, write_meta,
};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store};

/// A store with all rows, and no owner so far: nobody opens it.
pub(super) struct Filled {
    header: Header,
    heads: Heads,
    /// What a domain that is left behind said of whose each incarnation is.
    left: Option<Members>,
}

/// Whose the store becomes.
pub(super) struct Identity<'a> {
    pub(super) key: NodeKey,
    pub(super) domain: Domain,
    pub(super) store: [u8; 16],
    /// What checks the signatures of keys.
    pub(super) check: CheckSignature,
    /// The key of an admin that is no node, for a new domain.
    pub(super) recovery: Option<NodeKey>,
    /// The invite to redeem first.
    pub(super) invite: Option<&'a Invite>,
    /// The incarnation that founds a new domain.
    pub(super) fresh: Incarnation,
    /// The wall clock.
    pub(super) now_ms: u64,
}

/// Reads a backup to its end into a store that is empty.
pub(super) fn fill(
    store: &dyn Store,
    reader: &mut BackupReader<impl Read>,
    how: &Restore,
    on_progress: OnProgress<'_>,
) -> Result<Filled, Fault> {
    let header = reader.header().clone();
    let rows_expected = rows_expected(&header);
    // What a domain knows of itself is small, and a fork only looks something up in it.
    let aside = matches!(how, Restore::AsFork).then(MemoryStore::new);
    let mut kept = Cuts::new(store, &header);
    let mut left = aside.as_ref().map(|store| Cuts::new(store, &header));
    while let Some((namespace, rows)) = reader.next()? {
        match &mut left {
            Some(left) if namespace == Namespace::SYSTEM => left.push(namespace, rows)?,
            _ => kept.push(namespace, rows)?,
        }
        let (rows, bytes) = (reader.rows(), reader.bytes());
        if on_progress(BackupProgress { rows, rows_expected, bytes }).is_break() {
            return Err(Fault::Stopped);
        }
    }
    let left = match (left, &aside) {
        (Some(left), Some(store)) => {
            left.finish(&[Namespace::SYSTEM])?;
            Some(Members::read(&View::new(store.snapshot()?, Namespace::SYSTEM)?)?)
        }
        _ => None,
    };
    let kept_namespaces: Vec<Namespace> = header.namespaces.iter().map(|it| it.namespace).collect();
    let kept_namespaces = match left {
        Some(_) => &[Namespace::MAIN][..],
        None => &kept_namespaces,
    };
    let heads = kept.finish(kept_namespaces)?;
    Ok(Filled { header, heads, left })
}

impl Filled {
    /// Makes the store somebody's, as the last thing: until then it is nothing that can be opened. Says by which key
    /// that is known, and whether it is a member's.
    pub(super) fn finish(
        self,
        store: &dyn Store,
        identity: &Identity<'_>,
    ) -> Result<(NodeKey, bool), Fault> {
        let Self { header, mut heads, left } = self;
        heads.ceiling = header.ceiling;
        heads.clock = HybridClock::starting_above(header.ceiling);
        if let Some(left) = left {
            found(store, &mut heads, &header, &left, identity)?;
        }
        let checks = KeyChecks { domain: identity.domain, check: identity.check, known: None };
        let view = View::new(store.snapshot()?, Namespace::SYSTEM)?;
        let members = Members::read_with_keys(&view, &checks)?;
        // A node is known by its first key, whichever it comes with.
        let key = members.whose(identity.key);
        let before = heads.clone();
        if identity.recovery.is_none() {
            // Its own, so that nobody takes them for somebody else's. None of them is open: what the original wrote
            // after the backup may be known to others (R5).
            heads.incarnations = match key == header.key {
                true => header.incarnations.clone(),
                false => members.incarnations_of(key).collect(),
            };
            if planted!("a restored replica continues no incarnation") {
                heads.open = heads.incarnations.last().copied();
            }
        }
        let mut changes = Changes::default();
        heads.save(&before, &mut changes);
        let about = StoreIdentity { store: identity.store, domain: identity.domain, key };
        write_meta(&mut changes, meta_key::identity(), Some(&about));
        write_meta(&mut changes, meta_key::ceiling(), Some(&heads.ceiling));
        if identity.recovery.is_none() {
            write_meta(&mut changes, meta_key::rehab(), Some(&Beginning::Restored));
        }
        if let Some(invite) = identity.invite {
            write_meta(&mut changes, meta_key::pending_invite(), Some(invite));
        }
        store.commit(&changes, Durability::Synced)?;
        sometimes!(RestoredFromBackup);
        Ok((key, members.get(key).is_some()))
    }
}

/// Founds a domain over data that is there: its admin, and whose the incarnations of the data were.
fn found(
    store: &dyn Store,
    heads: &mut Heads,
    header: &Header,
    left: &Members,
    identity: &Identity<'_>,
) -> Result<(), Fault> {
    let (key, recovery) = (identity.key, identity.recovery);
    let own = |incarnation| header.incarnations.contains(&incarnation).then_some(header.key);
    let owners: Vec<(Incarnation, NodeKey)> = heads
        .vv(Namespace::MAIN)
        .iter()
        .map(|dot| dot.incarnation)
        // Of one whose owner's record had not come, nobody will ever know more.
        .map(|it| (it, left.owner(it).or_else(|| own(it)).unwrap_or(key)))
        .collect();
    let closure: LocalClosure = Box::new(move |tx| {
        grant_role(tx, key, Role::Admin, key, &LogAuthors::default())?;
        if let Some(recovery) = recovery {
            grant_role(tx, recovery, Role::Recovery, key, &LogAuthors::default())?;
        }
        owners
            .iter()
            .try_for_each(|(incarnation, owner)| record_incarnation(tx, *owner, *incarnation))
    });
    let job = Job::Local(Local {
        namespace: Namespace::SYSTEM,
        closure,
        now_ms: identity.now_ms,
        ended: None,
        fresh: identity.fresh,
        key,
    });
    run(store, heads, job)
}

/// The cuts that fill a store, a namespace after the other.
struct Cuts<'a> {
    store: &'a dyn Store,
    header: &'a Header,
    heads: Heads,
    gathered: Option<Gathered>,
}

/// Rows of a namespace that are not in the store yet.
struct Gathered {
    namespace: Namespace,
    rows: Vec<RowsFrame>,
    bytes: usize,
}

impl<'a> Cuts<'a> {
    fn new(store: &'a dyn Store, header: &'a Header) -> Self {
        Self { store, header, heads: Heads::default(), gathered: None }
    }

    fn push(&mut self, namespace: Namespace, rows: RowsFrame) -> Result<(), Fault> {
        if self.gathered.as_ref().is_some_and(|it| it.namespace != namespace) {
            self.slice()?;
        }
        let gathered = self.gathered.get_or_insert_with(|| {
            let (rows, bytes) = (Vec::new(), 0);
            Gathered { namespace, rows, bytes }
        });
        gathered.bytes += rows.encoded_bytes();
        gathered.rows.push(rows);
        match gathered.bytes >= SLICE_BYTES {
            true => self.slice(),
            false => Ok(()),
        }
    }

    /// Shows these namespaces: all of their rows are there.
    fn finish(mut self, namespaces: &[Namespace]) -> Result<Heads, Fault> {
        self.slice()?;
        for &namespace in namespaces {
            // Of a namespace in which everything was deleted, and that collected, there may be no row.
            if !self.heads.cuts.contains_key(&namespace) {
                self.cut(namespace, Vec::new())?;
            }
            let mark = self.mark(namespace);
            run(self.store, &mut self.heads, Job::Flip { namespace, mark, rows_max: 0 })?;
        }
        Ok(self.heads)
    }

    fn slice(&mut self) -> Result<(), Fault> {
        match self.gathered.take() {
            Some(Gathered { namespace, rows, .. }) => self.cut(namespace, rows),
            None => Ok(()),
        }
    }

    fn cut(&mut self, namespace: Namespace, rows: Vec<RowsFrame>) -> Result<(), Fault> {
        let begins = !self.heads.cuts.contains_key(&namespace);
        let (mark, takes) = (self.mark(namespace), Takeover::default());
        run(self.store, &mut self.heads, Job::Cut(Cut { namespace, mark, begins, rows, takes }))
    }

    /// The cut is the backup's store's, from nothing: so its rows go straight to the final tables.
    fn mark(&self, namespace: Namespace) -> CutMark {
        let held = self.header.of(namespace);
        let (upto, floor) =
            held.map(|held| (held.vv.clone(), held.floor.clone())).unwrap_or_default();
        CutMark {
            supplier: self.header.key,
            boot: self.header.boot,
            from: VersionVector::new(),
            since: upto.clone(),
            upto,
            floor,
            rows: 0,
            cursor: None,
            direct: true,
            compared: None,
        }
    }
}

fn run(store: &dyn Store, heads: &mut Heads, job: Job) -> Result<(), Fault> {
    for result in commit_group(store, heads, vec![job])? {
        result?;
    }
    Ok(())
}

/// Rows of a commit: large ones are several times faster, and this is some ten thousand rows.
const SLICE_BYTES: usize = 4 << 20;
