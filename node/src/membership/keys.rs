//! The keys of members: a member is known by its first one, and shows the one of now.
//!
//! A member that changes its key records the old one's word for the new one ([`Succession`]), and later that the old
//! one is retired. Both records only ever add up, so all members find the same keys: those that lead from the first
//! one on, by words that their signatures prove. Of two words of one key both count, until it is retired in favour of
//! one: what a key that is retired has signed beside that says nothing, whoever holds it now.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use millpond_core::types::lww;
use millpond_core::{
    Domain, Dot, Entry, NodeKey, Path, PathError, Payload, PayloadKind, Succession,
};
use serde::{Deserialize, Serialize};

use super::records::node_key;
use crate::planted::planted;
use crate::state::{WriteError, WriteTx};

/// Says whether this is the signature of that key over those bytes.
pub(crate) type CheckSignature = fn(NodeKey, &[u8], &[u8; Succession::SIGNATURE_BYTES]) -> bool;

/// How words of keys are checked.
pub(crate) struct KeyChecks<'a> {
    pub(crate) domain: Domain,
    pub(crate) check: CheckSignature,
    /// Those whose signatures were checked before.
    pub(crate) known: Option<&'a Keys>,
}

/// The keys of members that have had more than one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    /// What keys have said of each other: the old one, and the new one.
    successions: BTreeMap<(NodeKey, NodeKey), Recorded>,
    /// Keys that are refused, and which one took the place of each.
    retired: BTreeMap<NodeKey, NodeKey>,
    /// Whose each key is that is nobody's first, and after which other one it came.
    owners: BTreeMap<NodeKey, (NodeKey, NodeKey)>,
    /// The keys of each member that are not retired, newest first.
    valid: BTreeMap<NodeKey, Vec<NodeKey>>,
}

/// What is recorded of a succession.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded {
    signature: [u8; Succession::SIGNATURE_BYTES],
    /// For how long after that both are valid.
    pub(crate) overlap_ms: u64,
    /// When it was recorded, by the clock of who did.
    pub(crate) stamp_ms: u64,
    pub(crate) dot: Dot,
}

/// The halves of the signature, and the overlap.
#[derive(Serialize, Deserialize)]
struct Body([u8; 32], [u8; 32], u64);

impl Keys {
    /// Takes a record of one key's word for another one.
    pub(super) fn hear_succession(&mut self, keys: (NodeKey, NodeKey), recorded: Recorded) {
        self.successions.insert(keys, recorded);
    }

    /// Takes a record of a key that is retired, and of the one that took its place.
    pub(super) fn hear_retired(&mut self, old: NodeKey, by: NodeKey) {
        self.retired.insert(old, by);
    }

    /// Finds whose keys these are. `first` are the keys by which members are known, former ones too.
    pub(super) fn settle<T>(
        &mut self,
        first: &BTreeSet<NodeKey>,
        members: &BTreeMap<NodeKey, T>,
        checks: &KeyChecks<'_>,
    ) {
        let is_proven = |(&(old, new), recorded): (&(NodeKey, NodeKey), &Recorded)| {
            let known = checks.known.and_then(|known| known.successions.get(&(old, new)));
            known.is_some_and(|known| known.signature == recorded.signature)
                || is_signed(&recorded.succession(old, new), checks)
        };
        self.successions.retain(|keys, recorded| is_proven((keys, recorded)));
        let successions = &self.successions;
        self.retired.retain(|old, by| successions.contains_key(&(*old, *by)));
        let members: BTreeSet<NodeKey> = self
            .successions
            .keys()
            .map(|(old, _)| *old)
            .filter(|it| members.contains_key(it))
            .collect();
        for member in members {
            self.follow(member, first);
        }
    }

    /// Finds the keys that lead from a member's first one on.
    fn follow(&mut self, member: NodeKey, first: &BTreeSet<NodeKey>) {
        let mut found = vec![(0, 0, member)];
        let mut open = vec![(0, member)];
        while let Some((depth, old)) = open.pop() {
            let next: Vec<(NodeKey, u64)> = self
                .successions
                .range((old, NodeKey::from_bytes([0; 32]))..=(old, NodeKey::from_bytes([0xff; 32])))
                .map(|((_, new), recorded)| (*new, recorded.stamp_ms))
                .collect();
            for (new, stamp_ms) in next {
                let is_anothers = first.contains(&new) || self.owners.contains_key(&new);
                let is_overruled = self.retired.get(&old).is_some_and(|by| *by != new)
                    && !planted!("a retired key has said its last");
                if !is_anothers && !is_overruled {
                    self.owners.insert(new, (member, old));
                    found.push((depth + 1, stamp_ms, new));
                    open.push((depth + 1, new));
                }
            }
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        let valid = found.into_iter().map(|(_, _, key)| key).filter(|key| !self.is_retired(*key));
        self.valid.insert(member, valid.collect());
    }

    /// Whose a key is that is nobody's first, valid or not.
    pub(crate) fn owner(&self, key: NodeKey) -> Option<NodeKey> {
        self.owners.get(&key).map(|(member, _)| *member)
    }

    /// Whether a key is refused.
    pub(crate) fn is_retired(&self, key: NodeKey) -> bool {
        self.retired.contains_key(&key) && !planted!("a retired key is refused")
    }

    /// Which key took the place of one that is retired.
    pub(crate) fn retired_by(&self, key: NodeKey) -> Option<NodeKey> {
        self.retired.get(&key).copied()
    }

    /// The keys of a member that are not retired, newest first.
    pub(crate) fn of(&self, member: NodeKey) -> Vec<NodeKey> {
        self.valid.get(&member).cloned().unwrap_or_else(|| vec![member])
    }

    /// The words that lead from a member's first key to one of its later ones.
    pub(crate) fn chain(&self, key: NodeKey) -> Vec<Succession> {
        let mut chain = Vec::new();
        let mut new = key;
        while let Some((_, old)) = self.owners.get(&new) {
            let Some(recorded) = self.successions.get(&(*old, new)) else { break };
            chain.push(recorded.succession(*old, new));
            new = *old;
        }
        chain.reverse();
        chain
    }

    /// The key that a later one took the place of, and what is recorded of that.
    pub(crate) fn recorded(&self, key: NodeKey) -> Option<(NodeKey, Recorded)> {
        let (_, old) = self.owners.get(&key)?;
        Some((*old, *self.successions.get(&(*old, key))?))
    }
}

impl Recorded {
    fn succession(&self, old: NodeKey, new: NodeKey) -> Succession {
        Succession { old, new, signature: self.signature }
    }
}

/// What is recorded of one key's word for another one.
pub(super) fn read_succession(entry: &Entry) -> Option<Recorded> {
    let live = lww::read(entry)?;
    let Body(first, second, overlap_ms) = postcard::from_bytes(&live.payload.bytes).ok()?;
    let mut signature = [0; Succession::SIGNATURE_BYTES];
    signature[..32].copy_from_slice(&first);
    signature[32..].copy_from_slice(&second);
    Some(Recorded { signature, overlap_ms, stamp_ms: live.hlc.ms(), dot: live.dot })
}

/// Which key took the place of one that is retired.
pub(super) fn read_retired(entry: &Entry) -> Option<NodeKey> {
    node_key(&lww::read(entry)?.payload.bytes)
}

/// Whether the old key has signed for the new one.
pub(crate) fn is_signed(it: &Succession, checks: &KeyChecks<'_>) -> bool {
    let signed = Succession::signed(checks.domain, it.old, it.new);
    (checks.check)(it.old, &signed, &it.signature) || planted!("a succession is signed")
}

/// Records the word of one of a member's keys for its next one.
pub(crate) fn record_succession(
    tx: &mut WriteTx<'_>,
    member: NodeKey,
    it: &Succession,
    overlap_ms: u64,
) -> Result<(), WriteError> {
    let (old, new) = (it.old, it.new);
    let path: Result<Path, PathError> = Path::new([
        &b"member"[..],
        member.as_bytes(),
        b"successor",
        old.as_bytes(),
        new.as_bytes(),
    ]);
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&it.signature[..32]);
    second.copy_from_slice(&it.signature[32..]);
    tx.put(path?, register(&Body(first, second, overlap_ms)))
}

/// Records that a key of a member is refused from now on, since another one took its place.
pub(crate) fn record_retired(
    tx: &mut WriteTx<'_>,
    member: NodeKey,
    old: NodeKey,
    by: NodeKey,
) -> Result<(), WriteError> {
    let path: Result<Path, PathError> =
        Path::new([&b"member"[..], member.as_bytes(), b"retired", old.as_bytes()]);
    let bytes = Bytes::copy_from_slice(by.as_bytes());
    tx.put(path?, Payload { kind: PayloadKind::LWW, bytes })
}

fn register(body: &Body) -> Payload {
    let bytes = postcard::to_allocvec(body).expect("plain values always encode");
    Payload { kind: PayloadKind::LWW, bytes: bytes.into() }
}

#[cfg(test)]
mod tests {
    use millpond_core::{Hlc, Incarnation, Seq};

    use super::*;
    use crate::planted::without;

    const DOMAIN: Domain = Domain::from_bytes([9; 16]);

    fn key(number: u8) -> NodeKey {
        NodeKey::from_bytes([number; 32])
    }

    /// A signature that says whose it is.
    fn verify(key: NodeKey, _: &[u8], signature: &[u8; 64]) -> bool {
        signature[..32] == *key.as_bytes()
    }

    fn recorded(signer: u8, stamp_ms: u64) -> Recorded {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(key(signer).as_bytes());
        let dot = Dot::new(Incarnation::from_bytes([1; 16]), Seq::FIRST);
        Recorded { signature, overlap_ms: 1, stamp_ms, dot }
    }

    /// Members 1 and 2, and these words: who signs, the old key, the new one, when; and what is retired, by which.
    fn keys(words: &[(u8, u8, u8, u64)], retired: &[(u8, u8)]) -> Keys {
        let mut keys = Keys::default();
        for &(signer, old, new, stamp_ms) in words {
            keys.successions.insert((key(old), key(new)), recorded(signer, stamp_ms));
        }
        keys.retired = retired.iter().map(|&(old, by)| (key(old), key(by))).collect();
        let checks = KeyChecks { domain: DOMAIN, check: verify, known: None };
        let members = BTreeMap::from([(key(1), ()), (key(2), ())]);
        keys.settle(&members.keys().copied().collect(), &members, &checks);
        keys
    }

    fn valid(keys: &Keys, member: u8) -> Vec<u8> {
        keys.of(key(member)).into_iter().map(|key| key.as_bytes()[0]).collect()
    }

    #[test]
    fn a_chain_of_words_leads_to_the_newest_key() {
        let told = keys(&[(1, 1, 5, 10), (5, 5, 6, 20)], &[]);
        assert_eq!(valid(&told, 1), [6, 5, 1]);
        assert_eq!(valid(&told, 2), [2]);
        assert_eq!(told.owner(key(6)), Some(key(1)));
        let chain = told.chain(key(6));
        assert_eq!(
            chain.iter().map(|it| (it.old, it.new)).collect::<Vec<_>>(),
            [(key(1), key(5)), (key(5), key(6))]
        );
    }

    #[test]
    fn a_word_that_its_key_has_not_signed_says_nothing() {
        let forged = || valid(&keys(&[(2, 1, 5, 10)], &[]), 1);
        assert_eq!(forged(), [1]);
        assert_eq!(without(&["a succession is signed"], forged), [5, 1]);
    }

    #[test]
    fn a_retired_key_is_refused_and_its_other_words_with_it() {
        let stolen = || keys(&[(1, 1, 5, 10), (1, 1, 6, 20), (6, 6, 7, 30)], &[(1, 5)]);
        assert_eq!(valid(&stolen(), 1), [5]);
        assert!(stolen().is_retired(key(1)));
        let heard = without(&["a retired key has said its last"], || valid(&stolen(), 1));
        assert_eq!(heard, [7, 6, 5]);
    }

    #[test]
    fn nobody_retires_a_key_for_one_that_it_never_named() {
        let told = keys(&[(1, 1, 5, 10)], &[(1, 6), (2, 5)]);
        assert_eq!((valid(&told, 1), valid(&told, 2)), (vec![5, 1], vec![2]));
    }

    #[test]
    fn whoever_has_each_key_retired_by_the_other_has_none_left() {
        assert_eq!(
            valid(&keys(&[(1, 1, 5, 10), (5, 5, 1, 20)], &[(1, 5), (5, 1)]), 1),
            Vec::<u8>::new()
        );
    }

    #[test]
    fn a_members_first_key_is_nobody_elses_and_a_circle_ends() {
        let told =
            keys(&[(1, 1, 2, 10), (1, 1, 5, 10), (5, 5, 1, 20), (5, 5, 6, 20), (6, 6, 5, 30)], &[]);
        assert_eq!((valid(&told, 1), valid(&told, 2)), (vec![6, 5, 1], vec![2]));
    }

    #[test]
    fn records_are_read_back() {
        let body = register(&Body([1; 32], [0; 32], 7));
        let dot = Dot::new(Incarnation::from_bytes([1; 16]), Seq::FIRST);
        let live = millpond_core::LiveDot { dot, hlc: Hlc::from_ms(30), payload: body };
        let told = read_succession(&Entry::from_live(vec![live])).unwrap();
        assert_eq!((told.overlap_ms, told.stamp_ms, told.signature[0]), (7, 30, 1));
    }
}
