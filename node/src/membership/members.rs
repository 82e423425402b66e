//! The members of a domain, as the system namespace tells.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::types::lww;
use millpond_core::{
    Closed, Dot, Entry, Hlc, Incarnation, NodeKey, Path, PathError, Payload, PayloadKind,
    VersionVector,
};
use serde::{Deserialize, Serialize};

use super::Role;
use super::closings::{self, Finals};
use super::keys::{KeyChecks, Keys};
use super::primary::Promotion;
use super::removal::seen_in_logs;
use crate::planted::planted;
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

/// An entry of the role log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RoleGrant {
    subject: NodeKey,
    role: Role,
    author: NodeKey,
    /// What the author had applied of the system namespace, where roles and primaries are told.
    author_vv: VersionVector,
}

/// The promotion that holds: its order, and who takes writes: one member, or everybody.
type Promoted = (u64, Option<NodeKey>);

/// Entries of a log, by stamp and dot.
type Log<T> = Vec<((Hlc, Dot), T)>;

impl Members {
    /// Reads the members from the system namespace, each known by its first key only.
    #[cfg(any(test, feature = "backup"))]
    pub(crate) fn read(view: &View) -> Result<Self, StoreError> {
        Self::read_records(view, None)
    }

    /// Reads the members from the system namespace, and their later keys.
    pub(crate) fn read_with_keys(view: &View, checks: &KeyChecks<'_>) -> Result<Self, StoreError> {
        Self::read_records(view, Some(checks))
    }

    fn read_records(view: &View, checks: Option<&KeyChecks<'_>>) -> Result<Self, StoreError> {
        let mut keys = Keys::default();
        let mut names = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut regions = BTreeMap::new();
        let mut costs = BTreeMap::new();
        let mut delays = BTreeMap::new();
        let mut owners = BTreeMap::new();
        let mut closed = BTreeMap::new();
        let (mut grants, mut promotions) = (Log::new(), Log::new());
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
                [b"member", key, b"apply-after"] => {
                    delays.extend(node_key(key).zip(value::<u64>(&entry)));
                }
                [b"member", _, b"successor", old, new] => keys.hear_succession(old, new, &entry),
                [b"member", _, b"retired", old] => keys.hear_retired(old, &entry),
                [b"member", key, b"incarnation", incarnation] => {
                    let incarnation = incarnation.try_into().ok().map(Incarnation::from_bytes);
                    owners.extend(incarnation.zip(node_key(key)));
                }
                [b"member", key, b"closed", incarnation] => {
                    let incarnation = incarnation.try_into().ok().map(Incarnation::from_bytes);
                    owners.extend(incarnation.zip(node_key(key)));
                    closed.extend(incarnation.map(|it| (it, Finals::read(&entry))));
                }
                [b"role", _] => grants.extend(read_log(&entry)),
                [b"primary", _] => promotions.extend(read_log(&entry)),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;

        grants.sort_by_key(|(at, _)| *at);
        promotions.sort_by_key(|(at, _)| *at);
        let promoted = effective_promotion(&promotions, &grants);
        let mut removals: BTreeMap<NodeKey, u32> = BTreeMap::new();
        for (_, grant) in grants.iter().filter(|(_, grant)| grant.role == Role::Removed) {
            *removals.entry(grant.subject).or_default() += 1;
        }
        let roles = effective_roles(in_order(&grants));
        let first: BTreeSet<NodeKey> = roles.keys().copied().collect();
        let members: BTreeMap<NodeKey, Member> = roles
            .into_iter()
            .filter(|(_, role)| role.is_node())
            .map(|(key, role)| {
                let name = names.remove(&key).unwrap_or_default();
                let addresses = addresses.remove(&key).unwrap_or_default();
                let region = regions.remove(&key);
                let cost = costs.remove(&key).unwrap_or_default();
                let apply_after_ms = delays.remove(&key).unwrap_or_default();
                (key, Member { name, addresses, region, cost, apply_after_ms, role })
            })
            .collect();
        let closed = Arc::new(closings::table(closed.into_iter()));
        match checks {
            Some(checks) => keys.settle(&first, &members, checks),
            None => keys = Keys::default(),
        }
        Ok(Self { members, owners, closed, promoted, keys, removals })
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

/// Grants `subject` a role, on the word of `author`.
pub(crate) fn grant_role(
    tx: &mut WriteTx<'_>,
    subject: NodeKey,
    role: Role,
    author: NodeKey,
) -> Result<(), WriteError> {
    let grant = RoleGrant { subject, role, author, author_vv: seen_in_logs(tx)? };
    let bytes = encode(&grant);
    let path: Result<Path, PathError> = Path::new([&b"role"[..], &tx.unique_name()]);
    tx.put(path?, Payload { kind: PayloadKind::LOG, bytes: bytes.into() })
}

/// Grants by stamp and dot, but each after those that its author had seen: a node whose clock is behind is an
/// admin all the same. What an author had seen everybody who has its grant has too, so all agree on the order.
fn in_order(grants: &Log<RoleGrant>) -> Vec<&RoleGrant> {
    let mut stamps: Vec<Hlc> = grants.iter().map(|((hlc, _), _)| *hlc).collect();
    // Mostly one round: stamps agree with what was seen. A chain that bites its own tail ends too.
    for _ in 0..grants.len() {
        let latest = latest_stamps(grants, &stamps);
        let mut is_settled = true;
        for (stamp, (_, grant)) in stamps.iter_mut().zip(grants) {
            let seen = latest_seen(&latest, &grant.author_vv);
            let is_late = |seen: &Hlc| {
                seen >= stamp && !planted!("what an author has seen comes before its word")
            };
            if let Some(seen) = seen.filter(is_late) {
                (*stamp, is_settled) = (seen.next(), false);
            }
        }
        if is_settled {
            break;
        }
    }
    let mut ordered: Vec<(Hlc, Dot, &RoleGrant)> =
        stamps.into_iter().zip(grants).map(|(hlc, ((_, dot), grant))| (hlc, *dot, grant)).collect();
    ordered.sort_by_key(|(hlc, dot, _)| (*hlc, *dot));
    ordered.into_iter().map(|(_, _, grant)| grant).collect()
}

/// For each incarnation, by seq, the latest stamp of its grants so far.
type LatestStamps = BTreeMap<Incarnation, Vec<(u64, Hlc)>>;

fn latest_stamps(grants: &Log<RoleGrant>, stamps: &[Hlc]) -> LatestStamps {
    let mut by_dot: Vec<(Dot, Hlc)> =
        grants.iter().zip(stamps).map(|(((_, dot), _), hlc)| (*dot, *hlc)).collect();
    by_dot.sort_unstable();
    let mut latest = LatestStamps::new();
    for (dot, hlc) in by_dot {
        let of = latest.entry(dot.incarnation).or_default();
        let before = of.last().map_or(hlc, |(_, before)| *before);
        of.push((dot.seq.get(), hlc.max(before)));
    }
    latest
}

fn latest_seen(latest: &LatestStamps, vv: &VersionVector) -> Option<Hlc> {
    let seen = latest.iter().filter_map(|(incarnation, of)| {
        let count = of.partition_point(|(seq, _)| *seq <= vv.seq(*incarnation));
        Some(of.get(count.checked_sub(1)?)?.1)
    });
    seen.max()
}

/// The roles that grants, in their order, amount to. The first one founds the domain: its author grants
/// itself. Each later one counts if its author was an admin by then.
fn effective_roles<'a>(grants: impl IntoIterator<Item = &'a RoleGrant>) -> BTreeMap<NodeKey, Role> {
    let mut roles: BTreeMap<NodeKey, Role> = BTreeMap::new();
    for grant in grants {
        let founds = roles.is_empty() && grant.author == grant.subject && grant.role == Role::Admin;
        let leaves = grant.role == Role::Removed && grant.author == grant.subject;
        let is_lawful = roles.get(&grant.author).is_some_and(|role| role.may_grant() || leaves);
        // Of removals that together would leave no admin the latest are ignored.
        let is_last = grant.role == Role::Removed
            && !roles.iter().any(|(key, role)| *key != grant.subject && role.may_grant());
        if (founds || is_lawful) && !is_last {
            roles.insert(grant.subject, grant.role);
        }
    }
    roles
}

/// The promotion that holds. One counts if its author was an admin by then, or by what it had seen: a node
/// whose clock is behind is an admin all the same. Of those that count the greatest order holds, and of two
/// that did not see each other the one with the later stamp.
fn effective_promotion(promotions: &Log<Promotion>, grants: &Log<RoleGrant>) -> Option<Promoted> {
    let mut promoted: Option<Promoted> = None;
    for (at, promotion) in promotions {
        let is_before = |granted: &(Hlc, Dot)| {
            let is_seen = promotion.author_vv.covers(granted.1);
            granted < at || (is_seen && !planted!("what an author has seen comes before its word"))
        };
        let known = grants.iter().filter(|(granted, _)| is_before(granted)).cloned().collect();
        let roles = effective_roles(in_order(&known));
        let is_lawful = roles.get(&promotion.author).is_some_and(|role| role.may_grant())
            || planted!("only an admin promotes");
        let is_later = promoted.is_none_or(|(order, _)| order <= promotion.order)
            || planted!("who has seen a promotion comes after it");
        if is_lawful && is_later {
            promoted = Some((promotion.order, promotion.primary));
        }
    }
    promoted
}

fn read_log<T: serde::de::DeserializeOwned>(entry: &Entry) -> Log<T> {
    let entries = entry.live().iter().filter(|live| live.payload.kind == PayloadKind::LOG);
    entries
        .filter_map(|live| {
            let value = postcard::from_bytes(&live.payload.bytes).ok()?;
            Some(((live.hlc, live.dot), value))
        })
        .collect()
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain values always encode")
}

fn register(bytes: Bytes) -> Payload {
    Payload { kind: PayloadKind::LWW, bytes }
}

pub(super) fn node_key(bytes: &[u8]) -> Option<NodeKey> {
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
        let roles = effective_roles(grants.iter());
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

    /// The clock of the second admin, 2, is behind that of the founder, and it grants at once.
    #[test]
    fn a_grant_by_an_admin_whose_clock_is_behind_counts() {
        let dot = |of: u8, seq| {
            Dot::new(Incarnation::from_bytes([of; 16]), millpond_core::Seq::new(seq).unwrap())
        };
        let seen = |seq| VersionVector::from_iter([dot(1, seq)]);
        let at = |ms, dot| (Hlc::from_ms(ms), dot);
        let log: Log<RoleGrant> = vec![
            (at(40, dot(2, 1)), RoleGrant { author_vv: seen(2), ..grant(2, 3, Role::Writer) }),
            (at(41, dot(4, 1)), RoleGrant { author_vv: seen(2), ..grant(4, 4, Role::Admin) }),
            (at(50, dot(1, 1)), grant(1, 1, Role::Admin)),
            (at(60, dot(1, 2)), RoleGrant { author_vv: seen(1), ..grant(1, 2, Role::Admin) }),
        ];
        let found = || {
            let roles = effective_roles(in_order(&log)).into_iter();
            roles.map(|(key, role)| (key.as_bytes()[0], role)).collect::<Vec<_>>()
        };
        assert_eq!(found(), [(1, Role::Admin), (2, Role::Admin), (3, Role::Writer)]);
        let without =
            crate::planted::without(&["what an author has seen comes before its word"], found);
        assert_ne!(without, found());
    }

    /// A place in the logs: by stamp, each under a dot of its own.
    fn at(ms: u64) -> (Hlc, Dot) {
        let seq = millpond_core::Seq::new(ms).unwrap();
        (Hlc::from_ms(ms), Dot::new(Incarnation::from_bytes([9; 16]), seq))
    }

    /// Who is promoted after these: stamp, order, author, primary, and up to where the author has seen.
    fn promoted(entries: &[(u64, u64, u8, Option<u8>, u64)]) -> Option<Option<u8>> {
        let key = |number| NodeKey::from_bytes([number; 32]);
        let grants = [(1, 1, 1, Role::Admin), (2, 1, 3, Role::Writer), (50, 1, 2, Role::Admin)];
        let grants = grants.map(|(ms, by, of, role)| (at(ms), grant(by, of, role)));
        let promotion = |&(ms, order, by, primary, seen): &(u64, u64, u8, Option<u8>, u64)| {
            let seen = VersionVector::from_iter([at(seen).1]);
            (at(ms), Promotion::new(order, key(by), primary.map(key), seen))
        };
        let mut promotions: Log<Promotion> = entries.iter().map(promotion).collect();
        promotions.sort_by_key(|(at, _)| *at);
        let promoted = effective_promotion(&promotions, &grants.into());
        promoted.map(|(_, primary)| primary.map(|key| key.as_bytes()[0]))
    }

    /// A rule holds, and something else is promoted without it.
    fn holds(rules: &'static [&'static str], entries: &[(u64, u64, u8, Option<u8>, u64)], is: u8) {
        assert_eq!(promoted(entries), Some(Some(is)));
        let without = crate::planted::without(rules, || promoted(entries));
        assert_ne!(without, Some(Some(is)), "{rules:?}");
    }

    #[test]
    fn the_last_promotion_by_an_admin_holds_whatever_clocks_say() {
        assert_eq!(promoted(&[]), None);
        assert_eq!(promoted(&[(60, 0, 1, Some(1), 50), (61, 0, 2, Some(2), 50)]), Some(Some(2)));
        assert_eq!(promoted(&[(60, 0, 1, Some(1), 50), (61, 1, 1, None, 60)]), Some(None));
        let usurped = [(60, 0, 1, Some(1), 50), (61, 1, 3, Some(3), 60)];
        holds(&["only an admin promotes"], &usurped, 1);
        // The clock of the second admin is behind that of the first.
        let behind_the_other = [(60, 1, 2, Some(2), 61), (61, 0, 1, Some(1), 50)];
        holds(&["who has seen a promotion comes after it"], &behind_the_other, 2);
        let behind_its_role = [(5, 0, 1, Some(1), 2), (40, 1, 2, Some(2), 50)];
        holds(&["what an author has seen comes before its word"], &behind_its_role, 2);
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
        let region = region.map(Into::into);
        OwnRecord { name, addresses, region, cost, apply_after_ms: u64::from(cost) * 1000 }
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
