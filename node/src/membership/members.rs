//! The members of a domain, as the system namespace tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::types::lww;
use millpond_core::{Closed, Incarnation, NodeKey, Path, Payload, PayloadKind};
use serde::Serialize;

use super::keys::{KeyChecks, Keys};
use super::logs::{self, Log, Promoted, readable};
use super::records::{Record, Records};
use super::{Role, closings};
use crate::state::{View, WriteError, WriteTx};
use crate::store::StoreError;

/// The members of the domain and whose each incarnation is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Members {
    members: BTreeMap<NodeKey, Member>,
    owners: BTreeMap<Incarnation, NodeKey>,
    closed: Arc<Closed>,
    promoted: Option<Promoted>,
    keys: Keys,
    removals: BTreeMap<NodeKey, u32>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// What it calls itself; empty until it has said.
    pub(crate) name: String,
    /// Where it can be dialled.
    pub(crate) addresses: Vec<String>,
    /// Where it says it is.
    pub(crate) region: Option<String>,
    /// What it says it costs to receive from it, beside the way to it.
    pub(crate) cost: u32,
    /// How long it waits before it shows what it has received; zero unless it is a delayed replica.
    pub(crate) apply_after_ms: u64,
    /// What it may do.
    pub(crate) role: Role,
}

/// What a member records of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnRecord {
    pub(crate) name: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) region: Option<String>,
    pub(crate) cost: u32,
    pub(crate) apply_after_ms: u64,
}

impl Members {
    /// Reads the members from the system namespace, each known by its first key only.
    #[cfg(any(test, feature = "backup"))]
    pub(crate) fn read(view: &View) -> Result<Self, StoreError> {
        Ok(Self::new(&Records::read(view)?, None))
    }

    /// Reads the members from the system namespace, and their later keys.
    pub(crate) fn read_with_keys(view: &View, checks: &KeyChecks<'_>) -> Result<Self, StoreError> {
        Ok(Self::of(&Records::read(view)?, checks))
    }

    /// The members that the records of the system namespace tell of, and their later keys.
    pub(crate) fn of(records: &Records, checks: &KeyChecks<'_>) -> Self {
        Self::new(records, Some(checks))
    }

    fn new(records: &Records, checks: Option<&KeyChecks<'_>>) -> Self {
        let mut keys = Keys::default();
        let mut names = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut regions = BTreeMap::new();
        let mut costs = BTreeMap::new();
        let mut delays = BTreeMap::new();
        let mut owners = BTreeMap::new();
        let mut closed = BTreeMap::new();
        let (mut grants, mut promotions) = (Log::new(), Log::new());
        for record in records.iter() {
            match record {
                Record::Name(key, name) => {
                    names.insert(*key, name);
                }
                Record::Addresses(key, told) => {
                    addresses.insert(*key, told);
                }
                Record::Region(key, region) => {
                    regions.insert(*key, region);
                }
                Record::Cost(key, cost) => {
                    costs.insert(*key, *cost);
                }
                Record::ApplyAfterMs(key, ms) => {
                    delays.insert(*key, *ms);
                }
                Record::Succession(of, recorded) => keys.hear_succession(*of, *recorded),
                Record::Retired(old, by) => keys.hear_retired(*old, *by),
                Record::Incarnation(key, id) => {
                    owners.insert(*id, *key);
                }
                Record::Closed(key, id, finals) => {
                    owners.extend(key.map(|key| (*id, key)));
                    closed.insert(*id, finals);
                }
                Record::Roles(log) => grants.extend(readable(log)),
                Record::Primaries(log) => promotions.extend(readable(log)),
            }
        }
        let promoted = logs::promoted(&promotions, &grants);
        let mut removals: BTreeMap<NodeKey, u32> = BTreeMap::new();
        for (_, grant) in grants.iter().filter(|(_, grant)| grant.role == Role::Removed) {
            *removals.entry(grant.subject).or_default() += 1;
        }
        let roles = logs::roles(&grants);
        let first: BTreeSet<NodeKey> = roles.keys().copied().collect();
        let members: BTreeMap<NodeKey, Member> = roles
            .into_iter()
            .filter(|(_, role)| role.is_node())
            .map(|(key, role)| {
                let name = names.get(&key).copied().cloned().unwrap_or_default();
                let addresses = addresses.get(&key).copied().cloned().unwrap_or_default();
                let region = regions.get(&key).copied().cloned();
                let cost = costs.get(&key).copied().unwrap_or_default();
                let apply_after_ms = delays.get(&key).copied().unwrap_or_default();
                (key, Member { name, addresses, region, cost, apply_after_ms, role })
            })
            .collect();
        let closed = closed.into_iter().map(|(id, finals)| (id, finals.clone()));
        let closed = Arc::new(closings::table(closed));
        match checks {
            Some(checks) => keys.settle(&first, &members, checks),
            None => keys = Keys::default(),
        }
        Self { members, owners, closed, promoted, keys, removals }
    }

    /// The member of this key.
    pub(crate) fn get(&self, key: NodeKey) -> Option<&Member> {
        self.members.get(&key)
    }

    /// The keys of members that have had more than one.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The member that shows this key, if it may.
    pub(crate) fn member_of(&self, shown: NodeKey) -> Option<NodeKey> {
        let first = self.members.contains_key(&shown).then_some(shown);
        self.keys.owner(shown).or(first).filter(|_| !self.is_retired(shown))
    }

    /// The member that shows this key, or did before it was retired; the key itself, if nothing is known of it.
    pub(crate) fn whose(&self, key: NodeKey) -> NodeKey {
        self.keys.owner(key).unwrap_or(key)
    }

    /// Whether this key is refused, since another one took its place.
    pub(crate) fn is_retired(&self, key: NodeKey) -> bool {
        self.keys.is_retired(key)
    }

    /// All members, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeKey, &Member)> {
        self.members.iter().map(|(&key, member)| (key, member))
    }

    /// How often a key has been removed.
    pub(crate) fn removals(&self, key: NodeKey) -> u32 {
        self.removals.get(&key).copied().unwrap_or_default()
    }

    /// A domain that knows of nobody but who was removed from it.
    #[cfg(test)]
    pub(crate) fn of_removed(key: NodeKey) -> Self {
        Self { removals: BTreeMap::from([(key, 1)]), ..Self::default() }
    }

    /// The incarnations that a member has recorded as its own.
    pub(crate) fn incarnations_of(&self, key: NodeKey) -> impl Iterator<Item = Incarnation> + '_ {
        self.owners
            .iter()
            .filter(move |(_, owner)| **owner == key)
            .map(|(&incarnation, _)| incarnation)
    }

    /// Who takes writes, as the last promotion says: one member, or everybody; nothing while there was none.
    pub(crate) fn promoted(&self) -> Option<Option<NodeKey>> {
        self.promoted.map(|(_, primary)| primary)
    }

    /// The order of the next promotion.
    pub(crate) fn next_promotion(&self) -> u64 {
        self.promoted.map_or(0, |(order, _)| order.saturating_add(1))
    }

    /// The incarnations whose owner is no member any more, and that owner.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = (Incarnation, NodeKey)> + '_ {
        let owners = self.owners.iter().map(|(&incarnation, &owner)| (incarnation, owner));
        owners.filter(|(_, owner)| !self.members.contains_key(owner))
    }

    /// The table of closed incarnations.
    pub(crate) fn closed(&self) -> &Arc<Closed> {
        &self.closed
    }

    /// Whose an incarnation is, as its owner has recorded.
    pub(crate) fn owner(&self, incarnation: Incarnation) -> Option<NodeKey> {
        self.owners.get(&incarnation).copied()
    }
}

/// Records that `incarnation` is `key`'s.
pub(crate) fn record_incarnation(
    tx: &mut WriteTx<'_>,
    key: NodeKey,
    incarnation: Incarnation,
) -> Result<(), WriteError> {
    let path = Path::new([&b"member"[..], key.as_bytes(), b"incarnation", incarnation.as_bytes()])?;
    tx.put(path, register(Bytes::from_static(b"open")))
}

impl OwnRecord {
    /// Whether this is what is recorded.
    pub(crate) fn is_told(&self, member: &Member) -> bool {
        let Member { name, addresses, region, cost, apply_after_ms, role: _ } = member;
        (&self.name, &self.addresses, &self.region) == (name, addresses, region)
            && (&self.cost, &self.apply_after_ms) == (cost, apply_after_ms)
    }
}

/// Records what a node says of itself, where that differs from what is recorded. A member that never had a
/// region or a cost gets no record of them.
pub(crate) fn record_self(
    tx: &mut WriteTx<'_>,
    key: NodeKey,
    own: &OwnRecord,
) -> Result<(), WriteError> {
    let mut record = |field: &[u8], value: Vec<u8>, unrecorded: Option<Vec<u8>>| {
        let path = Path::new([&b"member"[..], key.as_bytes(), field])?;
        let held = tx.entry(&path)?;
        let recorded = lww::read(&held).map(|live| live.payload.bytes.to_vec()).or(unrecorded);
        if recorded.as_ref() == Some(&value) {
            return Ok(());
        }
        tx.put(path, register(value.into()))
    };
    record(b"name", own.name.as_bytes().to_vec(), None)?;
    record(b"addresses", encode(&own.addresses), None)?;
    record(b"region", own.region.clone().unwrap_or_default().into_bytes(), Some(Vec::new()))?;
    record(b"cost", encode(&own.cost), Some(encode(&0_u32)))?;
    record(b"apply-after", encode(&own.apply_after_ms), Some(encode(&0_u64)))
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain values always encode")
}

fn register(bytes: Bytes) -> Payload {
    Payload { kind: PayloadKind::LWW, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::domain::{Domain, KEY};

    fn tell(domain: &mut Domain, own: OwnRecord) {
        domain.write(Box::new(move |tx| record_self(tx, KEY, &own)));
    }

    fn member(domain: &Domain) -> Member {
        Members::read(&domain.view()).unwrap().get(KEY).unwrap().clone()
    }

    fn own(region: Option<&str>, cost: u32) -> OwnRecord {
        let (name, addresses) = ("paris-1".into(), vec!["127.0.0.1:1".into()]);
        let region = region.map(Into::into);
        OwnRecord { name, addresses, region, cost, apply_after_ms: u64::from(cost) * 1000 }
    }

    #[test]
    fn what_a_member_says_of_itself_is_read_back_and_can_be_taken_back() {
        let mut domain = Domain::founded();
        for told in [own(None, 0), own(Some("eu"), 3), own(Some("us"), 3), own(None, 0)] {
            assert!(!told.is_told(&member(&domain)), "{told:?}");
            tell(&mut domain, told.clone());
            assert!(told.is_told(&member(&domain)), "{told:?} but {:?}", member(&domain));
        }
    }

    #[test]
    fn a_record_without_region_and_cost_is_of_no_region_and_costs_nothing() {
        let mut domain = Domain::founded();
        tell(&mut domain, own(None, 0));
        for field in [&b"region"[..], b"cost"] {
            let path = Path::new([&b"member"[..], KEY.as_bytes(), field]).unwrap();
            assert!(domain.view().entry(&path).unwrap().is_absent(), "written without need");
        }
        let member = member(&domain);
        assert_eq!((member.region, member.cost), (None, 0));
    }

    #[test]
    fn what_says_nothing_new_is_not_written_again() {
        let mut domain = Domain::founded();
        tell(&mut domain, own(Some("eu"), 3));
        let before = domain.view().vv().clone();
        tell(&mut domain, own(Some("eu"), 3));
        assert_eq!(*domain.view().vv(), before);
    }
}
