//! The model: what was written, by whom, over what. No entry, no log, no join.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millpond_core::{Dot, Incarnation, Path, Payload, PayloadKind, Seq, VersionVector};

/// How many nodes there are.
pub(super) const NODES: usize = 3;

/// The paths, in their order: two fields of one record.
pub(super) const PATHS: [&str; 2] = ["a", "b"];

/// A node, by number.
pub(super) type NodeId = usize;

/// The name of one write: which node wrote it, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) node: NodeId,
    pub(super) seq: u8,
}

/// How many writes of each node are known somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Covered([u8; NODES]);

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Writes the first path.
    Put,
    /// Writes the second.
    PutOther,
    /// Writes both.
    PutBoth,
    /// Deletes what is seen at the first.
    Delete,
    /// Deletes what is seen at both: removes the record.
    DeleteBoth,
}

/// One write of the past.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Write {
    pub(super) path: usize,
    /// What was written; nothing if it deletes.
    pub(super) value: Option<u8>,
    /// The writes that it has replaced: those that were live at its path, where and when it was written.
    pub(super) overwritten: BTreeSet<Name>,
    /// All that was known there: its causes.
    pub(super) causes: Covered,
    /// The first and the last write of its transaction.
    pub(super) transaction: (u8, u8),
}

/// All that was ever written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct History(BTreeMap<Name, Write>);

impl Name {
    pub(super) fn dot(self) -> Dot {
        Dot::new(incarnation(self.node), Seq::new(self.seq.into()).expect("names begin at one"))
    }
}

impl Covered {
    pub(super) fn covers(self, name: Name) -> bool {
        self.0[name.node] >= name.seq
    }

    pub(super) fn covers_all(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| *mine >= theirs)
    }

    pub(super) fn count(self, node: NodeId) -> u8 {
        self.0[node]
    }

    pub(super) fn advance(&mut self, name: Name) {
        self.0[name.node] = self.0[name.node].max(name.seq);
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine = theirs.max(*mine));
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Whether no node has writes in both.
    pub(super) fn is_apart(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| *mine == 0 || theirs == 0)
    }

    pub(super) fn vector(self) -> VersionVector {
        let names = self.0.into_iter().enumerate().map(|(node, seq)| Name { node, seq });
        names.filter(|name| name.seq > 0).map(Name::dot).collect()
    }

    pub(super) fn of(vv: &VersionVector) -> Self {
        Self(std::array::from_fn(|node| vv.seq(incarnation(node)).try_into().unwrap_or(u8::MAX)))
    }
}

impl Kind {
    /// The paths that it touches, and whether it writes there.
    pub(super) fn touches(self) -> &'static [(usize, bool)] {
        match self {
            Self::Put => &[(0, true)],
            Self::PutOther => &[(1, true)],
            Self::PutBoth => &[(0, true), (1, true)],
            Self::Delete => &[(0, false)],
            Self::DeleteBoth => &[(0, false), (1, false)],
        }
    }
}

impl History {
    /// A node that knows so much carries out a transaction. `None` when there is nothing to delete.
    pub(super) fn write(
        &mut self,
        node: NodeId,
        causes: Covered,
        kind: Kind,
        value: u8,
    ) -> Option<(Name, Name)> {
        let live = |path| self.live(causes, path);
        let touched = kind.touches().iter().map(|&(path, puts)| (path, puts, live(path)));
        let touched: Vec<_> = touched.filter(|(_, puts, live)| *puts || !live.is_empty()).collect();
        let first = causes.count(node) + 1;
        let last = causes.count(node) + u8::try_from(touched.len()).ok()?;
        for (seq, (path, puts, overwritten)) in (first..).zip(touched) {
            let value = puts.then_some(value);
            let write = Write { path, value, overwritten, causes, transaction: (first, last) };
            self.0.insert(Name { node, seq }, write);
        }
        (first <= last).then_some((Name { node, seq: first }, Name { node, seq: last }))
    }

    /// What is live at a path for whoever knows so much: what was written there, and not overwritten.
    pub(super) fn live(&self, covered: Covered, path: usize) -> BTreeSet<Name> {
        let known = || self.known(covered).filter(|(_, write)| write.path == path);
        let gone: BTreeSet<Name> =
            known().flat_map(|(_, write)| write.overwritten.iter().copied()).collect();
        let written = known().filter(|(_, write)| write.value.is_some()).map(|(name, _)| name);
        written.filter(|name| !gone.contains(name)).collect()
    }

    /// The writes that whoever knows so much has.
    pub(super) fn known(&self, covered: Covered) -> impl Iterator<Item = (Name, &Write)> {
        let all = self.0.iter().map(|(name, write)| (*name, write));
        all.filter(move |(name, _)| covered.covers(*name))
    }

    pub(super) fn get(&self, name: Name) -> Option<&Write> {
        self.0.get(&name)
    }

    /// What whoever knows everything knows.
    pub(super) fn all(&self) -> Covered {
        let mut all = Covered::default();
        self.0.keys().for_each(|name| all.advance(*name));
        all
    }
}

pub(super) fn incarnation(node: NodeId) -> Incarnation {
    Incarnation::from_bytes([node as u8 + 1; 16])
}

pub(super) fn path(index: usize) -> Path {
    Path::new(["c", "k", PATHS[index]]).expect("short names make a path")
}

pub(super) fn payload(value: u8) -> Payload {
    Payload { kind: PayloadKind::LWW, bytes: Bytes::copy_from_slice(&[value]) }
}
