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
    /// What it may do.
    pub(crate) role: Role,
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
                (key, Member { name, addresses, role })
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

/// Records a node's own name and addresses, where they differ from what is recorded.
pub(crate) fn record_self(
    tx: &mut WriteTx<'_>,
    key: NodeKey,
    name: &str,
    addresses: &[String],
) -> Result<(), WriteError> {
    let addresses = postcard::to_allocvec(addresses).expect("strings always encode");
    let fields = [(&b"name"[..], name.as_bytes().to_vec()), (b"addresses", addresses)];
    for (field, value) in fields {
        let path = Path::new([&b"member"[..], key.as_bytes(), field])?;
        let held = tx.entry(&path)?;
        if lww::read(&held).is_none_or(|live| live.payload.bytes != value) {
            tx.put(path, register(value.into()))?;
        }
    }
    Ok(())
}

/// Grants `subject` a role, on the word of `author`.
pub(crate) fn grant_role(
    tx: &mut WriteTx<'_>,
    subject: NodeKey,
    role: Role,
    author: NodeKey,
) -> Result<(), WriteError> {
    let grant = RoleGrant { subject, role, author, author_vv: tx.vv().clone() };
    let bytes = postcard::to_allocvec(&grant).expect("plain values always encode");
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
}
