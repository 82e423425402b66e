//! The members of a domain, as the system namespace tells.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::types::lww;
use millpond_core::{
    Dot, Entry, Hlc, Incarnation, NodeKey, Path, PathError, Payload, PayloadKind, VersionVector,
};
use serde::{Deserialize, Serialize};

use super::Role;
use crate::state::{View, WriteError, WriteTx};
use crate::store::StoreError;

/// The members of the domain and whose each incarnation is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Members {
    members: BTreeMap<NodeKey, Member>,
    owners: BTreeMap<Incarnation, NodeKey>,
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
}

/// An entry of the role log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RoleGrant {
    subject: NodeKey,
    role: Role,
    author: NodeKey,
    /// What the author had applied of the system namespace.
    author_vv: VersionVector,
}

impl Members {
    /// Reads the members from the system namespace.
    pub(crate) fn read(view: &View) -> Result<Self, StoreError> {
        let mut names = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut regions = BTreeMap::new();
        let mut costs = BTreeMap::new();
        let mut owners = BTreeMap::new();
        let mut grants = Vec::new();
        view.entries(None, None, &mut |path, entry| {
            let components: Vec<Vec<u8>> = path.components().collect();
            let parts: Vec<&[u8]> = components.iter().map(Vec::as_slice).collect();
            match parts[..] {
                [b"member", key, b"name"] => {
                    names.extend(node_key(key).zip(text(&entry)));
                }
                [b"member", key, b"addresses"] => {
                    addresses.extend(node_key(key).zip(value(&entry)));
                }
                [b"member", key, b"region"] => {
                    regions.extend(node_key(key).zip(text(&entry).filter(|it| !it.is_empty())));
                }
                [b"member", key, b"cost"] => {
                    costs.extend(node_key(key).zip(value::<u32>(&entry)));
                }
                [b"member", key, b"incarnation", incarnation] => {
                    let incarnation = incarnation.try_into().ok().map(Incarnation::from_bytes);
                    owners.extend(incarnation.zip(node_key(key)));
                }
                [b"role", _] => grants.extend(read_grants(&entry)),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;

        grants.sort_by_key(|(order, _)| *order);
        let members = effective_roles(grants.into_iter().map(|(_, grant)| grant))
            .into_iter()
            .filter(|(_, role)| role.is_node())
            .map(|(key, role)| {
                let name = names.remove(&key).unwrap_or_default();
                let addresses = addresses.remove(&key).unwrap_or_default();
                let region = regions.remove(&key);
                let cost = costs.remove(&key).unwrap_or_default();
                (key, Member { name, addresses, region, cost, role })
            })
            .collect();
        Ok(Self { members, owners })
    }

    /// The member of this key.
    pub(crate) fn get(&self, key: NodeKey) -> Option<&Member> {
        self.members.get(&key)
    }

    /// All members, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeKey, &Member)> {
        self.members.iter().map(|(&key, member)| (key, member))
    }

    /// The incarnations that a member has recorded as its own.
    #[cfg(feature = "backup")]
    pub(crate) fn incarnations_of(&self, key: NodeKey) -> impl Iterator<Item = Incarnation> + '_ {
        self.owners
            .iter()
            .filter(move |(_, owner)| **owner == key)
            .map(|(&incarnation, _)| incarnation)
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
        let Member { name, addresses, region, cost, role: _ } = member;
        (&self.name, &self.addresses, &self.region, &self.cost) == (name, addresses, region, cost)
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
    record(b"cost", encode(&own.cost), Some(encode(&0_u32)))
}

/// Grants `subject` a role, on the word of `author`.
pub(crate) fn grant_role(
    tx: &mut WriteTx<'_>,
    subject: NodeKey,
    role: Role,
    author: NodeKey,
) -> Result<(), WriteError> {
    let grant = RoleGrant { subject, role, author, author_vv: tx.vv().clone() };
    let bytes = encode(&grant);
    let path: Result<Path, PathError> = Path::new([&b"role"[..], &tx.unique_name()]);
    tx.put(path?, Payload { kind: PayloadKind::LOG, bytes: bytes.into() })
}

/// The roles that grants, in their order, amount to. The first one founds the domain: its author grants
/// itself. Each later one counts if its author was an admin by then.
fn effective_roles(grants: impl Iterator<Item = RoleGrant>) -> BTreeMap<NodeKey, Role> {
    let mut roles: BTreeMap<NodeKey, Role> = BTreeMap::new();
    for grant in grants {
        let founds = roles.is_empty() && grant.author == grant.subject && grant.role == Role::Admin;
        if founds || roles.get(&grant.author).is_some_and(|role| role.may_grant()) {
            roles.insert(grant.subject, grant.role);
        }
    }
    roles
}

fn read_grants(entry: &Entry) -> Vec<((Hlc, Dot), RoleGrant)> {
    let grants = entry.live().iter().filter(|live| live.payload.kind == PayloadKind::LOG);
    grants
        .filter_map(|live| {
            let grant = postcard::from_bytes(&live.payload.bytes).ok()?;
            Some(((live.hlc, live.dot), grant))
        })
        .collect()
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain values always encode")
}

fn register(bytes: Bytes) -> Payload {
    Payload { kind: PayloadKind::LWW, bytes }
}

fn node_key(bytes: &[u8]) -> Option<NodeKey> {
    bytes.try_into().ok().map(NodeKey::from_bytes)
}

fn text(entry: &Entry) -> Option<String> {
    let live = lww::read(entry)?;
    String::from_utf8(live.payload.bytes.to_vec()).ok()
}

fn value<T: serde::de::DeserializeOwned>(entry: &Entry) -> Option<T> {
    postcard::from_bytes(&lww::read(entry)?.payload.bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Heads, Job, Local, LocalClosure, commit_group};
    use crate::store::Store;
    use crate::store::memory::MemoryStore;
    use millpond_core::Namespace;

    fn grant(author: u8, subject: u8, role: Role) -> RoleGrant {
        let key = |number| NodeKey::from_bytes([number; 32]);
        let (author, subject) = (key(author), key(subject));
        RoleGrant { subject, role, author, author_vv: VersionVector::new() }
    }

    fn roles(grants: &[RoleGrant]) -> Vec<(u8, Role)> {
        let roles = effective_roles(grants.iter().cloned());
        roles.into_iter().map(|(key, role)| (key.as_bytes()[0], role)).collect()
    }

    #[test]
    fn the_first_grant_founds_and_later_ones_need_an_admin() {
        let grants = [
            grant(1, 1, Role::Admin),
            grant(1, 2, Role::Writer),
            grant(2, 3, Role::Writer),
            grant(4, 4, Role::Admin),
        ];
        assert_eq!(roles(&grants), [(1, Role::Admin), (2, Role::Writer)]);
    }

    #[test]
    fn a_role_outlives_the_demotion_of_who_granted_it() {
        let grants = [
            grant(1, 1, Role::Admin),
            grant(1, 2, Role::Admin),
            grant(2, 3, Role::Writer),
            grant(1, 2, Role::Reader),
        ];
        assert_eq!(roles(&grants), [(1, Role::Admin), (2, Role::Reader), (3, Role::Writer)]);
    }

    /// A store of the system namespace, and what one member says there.
    struct Records {
        store: MemoryStore,
        heads: Heads,
    }

    const KEY: NodeKey = NodeKey::from_bytes([1; 32]);

    impl Records {
        fn founded() -> Self {
            let mut records = Self { store: MemoryStore::new(), heads: Heads::default() };
            records.write(Box::new(|tx| grant_role(tx, KEY, Role::Admin, KEY)));
            records
        }

        fn write(&mut self, closure: LocalClosure) {
            let (fresh, namespace) = (Incarnation::from_bytes([7; 16]), Namespace::SYSTEM);
            let local = Local { namespace, closure, now_ms: 1, ended: None, fresh, key: KEY };
            let jobs = vec![Job::Local(local)];
            let results = commit_group(&self.store, &mut self.heads, jobs).unwrap();
            results.into_iter().for_each(|result| drop(result.unwrap()));
        }

        fn tell(&mut self, own: OwnRecord) {
            self.write(Box::new(move |tx| record_self(tx, KEY, &own)));
        }

        fn view(&self) -> View {
            View::new(self.store.snapshot().unwrap(), Namespace::SYSTEM).unwrap()
        }

        fn member(&self) -> Member {
            Members::read(&self.view()).unwrap().get(KEY).unwrap().clone()
        }
    }

    fn own(region: Option<&str>, cost: u32) -> OwnRecord {
        let (name, addresses) = ("paris-1".into(), vec!["127.0.0.1:1".into()]);
        OwnRecord { name, addresses, region: region.map(Into::into), cost }
    }

    #[test]
    fn what_a_member_says_of_itself_is_read_back_and_can_be_taken_back() {
        let mut records = Records::founded();
        for told in [own(None, 0), own(Some("eu"), 3), own(Some("us"), 3), own(None, 0)] {
            assert!(!told.is_told(&records.member()), "{told:?}");
            records.tell(told.clone());
            assert!(told.is_told(&records.member()), "{told:?} but {:?}", records.member());
        }
    }

    #[test]
    fn a_record_without_region_and_cost_is_of_no_region_and_costs_nothing() {
        let mut records = Records::founded();
        records.tell(own(None, 0));
        for field in [&b"region"[..], b"cost"] {
            let path = Path::new([&b"member"[..], KEY.as_bytes(), field]).unwrap();
            assert!(records.view().entry(&path).unwrap().is_absent(), "written without need");
        }
        let member = records.member();
        assert_eq!((member.region, member.cost), (None, 0));
    }

    #[test]
    fn what_says_nothing_new_is_not_written_again() {
        let mut records = Records::founded();
        records.tell(own(Some("eu"), 3));
        let before = records.view().vv().clone();
        records.tell(own(Some("eu"), 3));
        assert_eq!(*records.view().vv(), before);
    }
}
