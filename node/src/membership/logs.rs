//! The logs of roles and primaries: who says what in them, and what they amount to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use millpond_core::{
    Dot, Entry, Hlc, Incarnation, LiveDot, NodeKey, Path, PathError, Payload, PayloadKind,
    VersionVector,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Role;
use super::primary::Promotion;
use crate::planted::planted;
use crate::state::{WriteError, WriteTx};

/// An entry of the role log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoleGrant {
    pub(super) subject: NodeKey,
    pub(super) role: Role,
    author: NodeKey,
    /// What the author had applied of the system namespace, where roles and primaries are told.
    pub(super) author_vv: VersionVector,
}

/// The promotion that holds: its order, and who takes writes: one member, or everybody.
pub(super) type Promoted = (u64, Option<NodeKey>);

/// Entries of a log, in no order.
pub(super) type Log<'a, T> = Vec<Logged<&'a T>>;

/// An entry of a log, and its place: stamp and dot.
pub(super) type Logged<T> = ((Hlc, Dot), T);

/// Whoever has written in the logs, as far as somebody has read. An author tells what it has seen of them: whether an
/// entry there was seen is all that is asked of its vector, and the whole of it would grow with every member that ever
/// was.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogAuthors {
    pub(super) upto: VersionVector,
    pub(super) authors: BTreeSet<Incarnation>,
}

impl LogAuthors {
    /// What is covered of them, and of all that has written since.
    pub(super) fn seen(&self, tx: &WriteTx<'_>) -> VersionVector {
        let is_asked = |dot: &Dot| {
            let incarnation = dot.incarnation;
            self.authors.contains(&incarnation) || dot.seq.get() > self.upto.seq(incarnation)
        };
        tx.vv().iter().filter(is_asked).collect()
    }
}

/// Grants `subject` a role, on the word of `author`.
pub(crate) fn grant_role(
    tx: &mut WriteTx<'_>,
    subject: NodeKey,
    role: Role,
    author: NodeKey,
    authors: &LogAuthors,
) -> Result<(), WriteError> {
    let grant = RoleGrant { subject, role, author, author_vv: authors.seen(tx) };
    let bytes = postcard::to_allocvec(&grant).expect("plain values always encode");
    let path: Result<Path, PathError> = Path::new([&b"role"[..], &tx.unique_name()]);
    tx.put(path?, Payload { kind: PayloadKind::LOG, bytes: bytes.into() })
}

/// Grants by stamp and dot, but each after those that its author had seen: a node whose clock is behind is an
/// admin all the same. What an author had seen everybody who has its grant has too, so all agree on the order.
fn in_order<'a>(grants: &Log<'a, RoleGrant>) -> Vec<&'a RoleGrant> {
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
    let mut ordered: Vec<(Hlc, Dot, &RoleGrant)> = stamps
        .into_iter()
        .zip(grants)
        .map(|(hlc, ((_, dot), grant))| (hlc, *dot, *grant))
        .collect();
    ordered.sort_by_key(|(hlc, dot, _)| (*hlc, *dot));
    ordered.into_iter().map(|(_, _, grant)| grant).collect()
}

/// For each incarnation, by seq, the latest stamp of its grants so far.
type LatestStamps = BTreeMap<Incarnation, Vec<(u64, Hlc)>>;

fn latest_stamps(grants: &Log<'_, RoleGrant>, stamps: &[Hlc]) -> LatestStamps {
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

/// The roles that a log amounts to.
pub(super) fn roles(grants: &Log<'_, RoleGrant>) -> BTreeMap<NodeKey, Role> {
    effective_roles(in_order(grants))
}

/// The promotion that holds. One counts if its author was an admin by then, or by what it had seen: a node
/// whose clock is behind is an admin all the same. Of those that count the greatest order holds, and of two
/// that did not see each other the one with the later stamp. They are tried from that end on, since whether one counts
/// takes all roles up to then.
pub(super) fn promoted(
    promotions: &Log<'_, Promotion>,
    grants: &Log<'_, RoleGrant>,
) -> Option<Promoted> {
    let is_lawful = |(at, promotion): &&Logged<&Promotion>| {
        let is_before = |(granted, _): &&Logged<&RoleGrant>| {
            let is_seen = promotion.author_vv.covers(granted.1);
            granted < at || (is_seen && !planted!("what an author has seen comes before its word"))
        };
        let known: Log<'_, RoleGrant> = grants.iter().filter(is_before).copied().collect();
        roles(&known).get(&promotion.author).is_some_and(|role| role.may_grant())
            || planted!("only an admin promotes")
    };
    let place = |(at, promotion): &Logged<&Promotion>| {
        let is_ordered = !planted!("who has seen a promotion comes after it");
        (is_ordered.then_some(promotion.order), *at)
    };
    let mut last_first: Vec<&Logged<&Promotion>> = promotions.iter().collect();
    last_first.sort_unstable_by_key(|logged| Reverse(place(logged)));
    let (_, promotion) = last_first.into_iter().find(is_lawful)?;
    Some((promotion.order, promotion.primary))
}

/// What an entry holds of a log, as far as it can be read.
pub(super) fn read_log<T: DeserializeOwned>(entry: &Entry) -> Vec<Logged<Option<T>>> {
    let read = |live: &LiveDot| {
        let bytes = (live.payload.kind == PayloadKind::LOG).then_some(&live.payload.bytes);
        ((live.hlc, live.dot), bytes.and_then(|bytes| postcard::from_bytes(bytes).ok()))
    };
    entry.live().iter().map(read).collect()
}

/// The entries of it that can be read.
pub(super) fn readable<T>(log: &[Logged<Option<T>>]) -> impl Iterator<Item = Logged<&T>> {
    log.iter().filter_map(|(at, value)| Some((*at, value.as_ref()?)))
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
        let log = [
            (at(40, dot(2, 1)), RoleGrant { author_vv: seen(2), ..grant(2, 3, Role::Writer) }),
            (at(41, dot(4, 1)), RoleGrant { author_vv: seen(2), ..grant(4, 4, Role::Admin) }),
            (at(50, dot(1, 1)), grant(1, 1, Role::Admin)),
            (at(60, dot(1, 2)), RoleGrant { author_vv: seen(1), ..grant(1, 2, Role::Admin) }),
        ];
        let log = borrowed(&log);
        let found = || {
            let roles = super::roles(&log).into_iter();
            roles.map(|(key, role)| (key.as_bytes()[0], role)).collect::<Vec<_>>()
        };
        assert_eq!(found(), [(1, Role::Admin), (2, Role::Admin), (3, Role::Writer)]);
        let without =
            crate::planted::without(&["what an author has seen comes before its word"], found);
        assert_ne!(without, found());
    }

    fn borrowed<T>(log: &[Logged<T>]) -> Log<'_, T> {
        log.iter().map(|(at, value)| (*at, value)).collect()
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
        let promotions: Vec<Logged<Promotion>> = entries.iter().map(promotion).collect();
        let promoted = super::promoted(&borrowed(&promotions), &borrowed(&grants));
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
}
