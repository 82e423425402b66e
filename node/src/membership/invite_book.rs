//! The invites that a node has issued, and who has used them.

use std::collections::BTreeMap;

use millpond_core::NodeKey;
use serde::{Deserialize, Serialize};

use super::words::{are_words, joiner_words};
use super::{Invite, InviteId, InviteOptions, Members, Role};
use crate::limits::{INVITES_MAX, PENDING_MAX};
use crate::planted::planted;
use crate::state::{Job, meta_key, read_meta, write_meta};
use crate::store::{Changes, Snapshot, StoreError};

/// The invites that this node has issued. Only a hash of each secret is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InviteBook {
    issued: BTreeMap<InviteId, Issued>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    /// The key that the invite names, which this node may have changed since.
    issuer: NodeKey,
    role: Role,
    expires_ms: u64,
    uses_max: u32,
    needs_approval: bool,
    is_revoked: bool,
    uses: BTreeMap<NodeKey, Use>,
}

/// That a key has used an invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    /// How often the key had been removed by then: once more, and its use is of the past.
    removals: u32,
    approval: Approval,
}

/// What an admin has said of a node that came with an invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Approval {
    /// Nobody was to be asked.
    NotNeeded,
    /// Nothing yet.
    Waiting { name: String, since_ms: u64 },
    /// It may come in.
    Given,
    /// It may not, and uses nothing up.
    Denied,
}

/// A node that came with an invite, and waits for an admin to approve it. It has no rights yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingMember {
    /// Its key, 64 hex digits.
    pub key: String,
    /// What it calls itself: anything, until it is known who it is.
    pub name: String,
    /// The role that its invite gives.
    pub role: Role,
    /// The three words that it shows as well, if it is the one that the invite was meant for.
    pub words: String,
    /// The invite that it came with, as it is listed.
    pub invite: String,
    /// Since when it waits, in milliseconds since 1970.
    pub since_ms: u64,
}

/// An invite that a node has issued, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IssuedInvite {
    /// What it is listed as: the first 8 hex digits of [`InviteId`].
    pub id: String,
    /// The role that it gives.
    pub role: Role,
    /// Until when it can be redeemed, in milliseconds since 1970.
    pub expires_ms: u64,
    /// How many nodes may join with it.
    pub uses: u32,
    /// Whether each of them waits for an admin's approval.
    #[serde(default)]
    pub needs_approval: bool,
    /// The keys of those that have, 64 hex digits each.
    pub used_by: Vec<String>,
    /// Whether it still lets anybody in.
    pub state: InviteState,
}

/// Whether an invite still lets anybody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum InviteState {
    /// It does.
    Open,
    /// As many have joined as may.
    Used,
    /// Its time is over.
    Expired,
    /// An admin has revoked it.
    Revoked,
}

/// What came of redeeming an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// An admin has to approve the key. It may have asked before.
    Waits { is_new: bool },
    /// The key gets this role.
    Granted(Role),
    /// It does not.
    Refused(Refusal),
}

/// Why an invite lets a key not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "this node never issued the invite, or long ago; dial its issuer, or ask for a new one"
    )]
    Unknown,
    #[error("the invite was used by another node; ask for a new one")]
    Used,
    #[error("the invite has expired; ask for a new one")]
    Expired,
    #[error("the invite was revoked by an admin; ask for a new one")]
    Revoked,
    #[error("an admin did not let this node in; ask who gave you the invite")]
    Denied,
    #[error("too many nodes wait for an admin's approval; try again later")]
    Crowd,
    #[error("this node was removed since it joined with the invite; ask for a new one")]
    Removed,
}

/// There is no such invite, or node that waits, or several answer to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoneSuch;

impl InviteBook {
    /// What the store remembers.
    pub(crate) fn read(snapshot: &dyn Snapshot) -> Result<Self, StoreError> {
        Ok(read_meta(snapshot, &meta_key::invites())?.unwrap_or_default())
    }

    /// The job that notes all of it.
    pub(crate) fn note(&self) -> Job {
        let mut changes = Changes::default();
        write_meta(&mut changes, meta_key::invites(), Some(self));
        Job::Meta(changes.meta.into_iter().collect())
    }

    /// Notes an invite as issued, and forgets those that expired long ago. False if there are too many.
    pub(crate) fn issue(&mut self, invite: &Invite, options: InviteOptions, now_ms: u64) -> bool {
        self.issued.retain(|_, issued| issued.expires_ms.saturating_add(KEPT_MS) > now_ms);
        if self.issued.len() >= INVITES_MAX {
            self.issued.retain(|_, issued| issued.state(now_ms) == InviteState::Open);
        }
        if self.issued.len() >= INVITES_MAX {
            return false;
        }
        let issued = Issued {
            issuer: invite.issuer,
            role: invite.role,
            expires_ms: invite.expires_ms,
            uses_max: options.uses,
            needs_approval: options.needs_approval,
            is_revoked: false,
            uses: BTreeMap::new(),
        };
        self.issued.insert(invite.id(), issued);
        true
    }

    /// Redeems an invite for a key that is no member. Each key uses it once: the same one may come again, since
    /// the answer can get lost, until it has been a member and was removed.
    pub(crate) fn redeem(
        &mut self,
        secret: &[u8; 16],
        (key, name): (NodeKey, &str),
        members: &Members,
        now_ms: u64,
    ) -> Redeemed {
        let is_crowded = self.waiting().count() >= PENDING_MAX;
        let Some(issued) = self.issued.get_mut(&InviteId::of(secret)) else {
            return Redeemed::Refused(Refusal::Unknown);
        };
        let removals = members.removals(key);
        let refusal = match (issued.uses.get(&key), issued.state(now_ms)) {
            (_, InviteState::Revoked) if !planted!("a revoked invite lets nobody in") => {
                Refusal::Revoked
            }
            (Some(of), _)
                if of.removals != removals && !planted!("a removed member needs a new invite") =>
            {
                Refusal::Removed
            }
            (None, InviteState::Expired) if !planted!("an invite expires") => Refusal::Expired,
            (None, InviteState::Used) if !planted!("an invite is redeemed once") => Refusal::Used,
            (None, _)
                if issued.needs_approval
                    && is_crowded
                    && !planted!("few wait for approval at once") =>
            {
                Refusal::Crowd
            }
            (Some(Use { approval: Approval::Denied, .. }), _) => Refusal::Denied,
            (held, _) => {
                let is_new = held.is_none();
                let of = issued.uses.entry(key).or_insert_with(|| Use {
                    removals,
                    approval: match issued.needs_approval {
                        true => Approval::Waiting { name: bounded(name), since_ms: now_ms },
                        false => Approval::NotNeeded,
                    },
                });
                let waits = matches!(of.approval, Approval::Waiting { .. });
                if waits && !planted!("who was not approved is no member") {
                    return Redeemed::Waits { is_new };
                }
                return Redeemed::Granted(issued.role);
            }
        };
        Redeemed::Refused(refusal)
    }

    /// How many are remembered.
    pub(crate) fn count(&self) -> usize {
        self.issued.len()
    }

    /// How many wait for an admin's approval.
    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting().count()
    }

    /// Who waits for an admin's approval; those that came first stand first.
    pub(crate) fn pending(&self) -> Vec<PendingMember> {
        let mut all: Vec<PendingMember> =
            self.waiting().map(|(id, issued, key, of)| issued.waits(id, key, of)).collect();
        all.sort_by(|one, other| (one.since_ms, &one.key).cmp(&(other.since_ms, &other.key)));
        all
    }

    /// Approves a node that waits, or denies it: the one that a text names by its words, or by its key or the first 8
    /// digits of that. By its name it is not: that it chooses itself.
    pub(crate) fn decide(
        &mut self,
        text: &str,
        is_approved: bool,
    ) -> Result<PendingMember, NoneSuch> {
        let is_key = |it: &PendingMember| {
            text.len() >= KEY_DIGITS_MIN && it.key.starts_with(&text.to_ascii_lowercase())
        };
        let is_meant = |it: &PendingMember| is_key(it) || are_words(text, &it.words);
        let mut meant: Vec<PendingMember> = self.pending().into_iter().filter(is_meant).collect();
        let (Some(member), true) = (meant.pop(), meant.is_empty()) else { return Err(NoneSuch) };
        for issued in self.issued.values_mut().filter(|issued| !issued.is_revoked) {
            for (key, of) in &mut issued.uses {
                let is_it = matches!(of.approval, Approval::Waiting { .. })
                    && key.to_string() == member.key;
                if is_it {
                    of.approval = if is_approved { Approval::Given } else { Approval::Denied };
                }
            }
        }
        Ok(member)
    }

    fn waiting(&self) -> impl Iterator<Item = (InviteId, &Issued, NodeKey, &Use)> {
        let issued = self.issued.iter().filter(|(_, issued)| !issued.is_revoked);
        issued.flat_map(|(id, issued)| {
            let waiting = issued.uses.iter();
            let waiting = waiting.filter(|(_, it)| matches!(it.approval, Approval::Waiting { .. }));
            waiting.map(move |(key, of)| (*id, issued, *key, of))
        })
    }

    /// The invites that are remembered; those that expire first stand first.
    pub(crate) fn list(&self, now_ms: u64) -> Vec<IssuedInvite> {
        let mut all: Vec<IssuedInvite> =
            self.issued.iter().map(|(id, issued)| issued.told(*id, now_ms)).collect();
        all.sort_by(|one, other| (one.expires_ms, &one.id).cmp(&(other.expires_ms, &other.id)));
        all
    }

    /// Revokes the invite that a text names, its id or the whole of it: nobody joins with it any more. Who has
    /// stays.
    pub(crate) fn revoke(&mut self, text: &str, now_ms: u64) -> Result<IssuedInvite, NoneSuch> {
        let named = match text.parse::<Invite>() {
            Ok(invite) => format!("{:#}", invite.id()),
            Err(_) => text.to_owned(),
        };
        let mut found = self.issued.iter_mut().filter(|(id, _)| id.is_named(&named));
        match (found.next(), found.next()) {
            (Some((&id, issued)), None) => {
                issued.is_revoked = true;
                Ok(issued.told(id, now_ms))
            }
            _ => Err(NoneSuch),
        }
    }
}

impl Issued {
    fn state(&self, now_ms: u64) -> InviteState {
        if self.is_revoked {
            InviteState::Revoked
        } else if self.counted().count() >= self.uses_max as usize {
            InviteState::Used
        } else if self.expires_ms <= now_ms {
            InviteState::Expired
        } else {
            InviteState::Open
        }
    }

    /// Those that it is used up by.
    fn counted(&self) -> impl Iterator<Item = (&NodeKey, &Use)> {
        self.uses.iter().filter(|(_, it)| it.approval != Approval::Denied)
    }

    fn waits(&self, id: InviteId, key: NodeKey, of: &Use) -> PendingMember {
        let (name, since_ms) = match &of.approval {
            Approval::Waiting { name, since_ms } => (name.clone(), *since_ms),
            _ => (String::new(), 0),
        };
        let words = joiner_words(id, self.issuer, key);
        let (key, invite) = (key.to_string(), id.to_string());
        PendingMember { key, name, role: self.role, words, invite, since_ms }
    }

    fn told(&self, id: InviteId, now_ms: u64) -> IssuedInvite {
        let has_joined = |of: &Use| matches!(of.approval, Approval::NotNeeded | Approval::Given);
        IssuedInvite {
            id: id.to_string(),
            role: self.role,
            expires_ms: self.expires_ms,
            uses: self.uses_max,
            needs_approval: self.needs_approval,
            used_by: self
                .uses
                .iter()
                .filter(|(_, of)| has_joined(of))
                .map(|(key, _)| key.to_string())
                .collect(),
            state: self.state(now_ms),
        }
    }
}

/// A name as it is shown: what cannot be printed is left out, and no more of it than fits a line.
fn bounded(name: &str) -> String {
    name.chars().filter(|it| !it.is_control()).take(NAME_CHARS_MAX).collect()
}

const NAME_CHARS_MAX: usize = 64;

const KEY_DIGITS_MIN: usize = 8;

/// How long an expired one is, so that who comes late is told why, and who has lost its answer still gets one.
const KEPT_MS: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::without;
    use millpond_core::Domain;

    const SECRET: [u8; 16] = [3; 16];
    const KEYS: [NodeKey; 3] =
        [NodeKey::from_bytes([4; 32]), NodeKey::from_bytes([5; 32]), NodeKey::from_bytes([6; 32])];

    fn invite(secret: [u8; 16]) -> Invite {
        Invite {
            domain: Domain::from_bytes([1; 16]),
            issuer: NodeKey::from_bytes([2; 32]),
            addresses: vec!["127.0.0.1:4000".into()],
            role: Role::Writer,
            expires_ms: 1_000,
            secret,
        }
    }

    fn book(uses: u32) -> InviteBook {
        let mut book = InviteBook::default();
        assert!(book.issue(&invite(SECRET), InviteOptions { uses, ..Default::default() }, 0));
        book
    }

    fn redeem(book: &mut InviteBook, key: NodeKey, now_ms: u64) -> Result<Role, Refusal> {
        match book.redeem(&SECRET, (key, "ben"), &Members::default(), now_ms) {
            Redeemed::Waits { .. } => panic!("nobody is to be asked"),
            Redeemed::Granted(role) => Ok(role),
            Redeemed::Refused(refusal) => Err(refusal),
        }
    }

    #[test]
    fn an_invite_is_redeemed_once_but_the_same_key_may_ask_again() {
        let [first, second, _] = KEYS;
        assert_eq!(redeem(&mut InviteBook::default(), first, 0), Err(Refusal::Unknown));
        let mut book = book(1);
        assert_eq!(redeem(&mut book, first, 1_000), Err(Refusal::Expired));
        assert_eq!(redeem(&mut book, first, 999), Ok(Role::Writer));
        assert_eq!(redeem(&mut book, first, 2_000), Ok(Role::Writer));
        assert_eq!(redeem(&mut book, second, 999), Err(Refusal::Used));

        let mut fresh = super::tests::book(1);
        let late = without(&["an invite expires"], || redeem(&mut fresh, first, 1_000));
        let twice = without(&["an invite is redeemed once"], || redeem(&mut book, second, 999));
        assert_eq!([late, twice], [Ok(Role::Writer); 2], "nothing was taken out");
    }

    #[test]
    fn an_invite_of_two_uses_lets_two_keys_in_however_often_they_come() {
        let mut book = book(2);
        for key in [KEYS[0], KEYS[0], KEYS[1], KEYS[0], KEYS[1]] {
            assert_eq!(redeem(&mut book, key, 0), Ok(Role::Writer));
        }
        assert_eq!(redeem(&mut book, KEYS[2], 0), Err(Refusal::Used));
        let listed = book.list(0);
        assert_eq!((listed[0].uses, listed[0].used_by.len()), (2, 2));
        assert_eq!(listed[0].state, InviteState::Used);
        assert_eq!(book.list(5_000)[0].state, InviteState::Used, "it did all that it could");
    }

    #[test]
    fn a_revoked_invite_lets_nobody_in_and_is_found_by_its_id_or_its_text() {
        for text in [invite(SECRET).id().to_string(), invite(SECRET).to_string()] {
            let mut book = book(2);
            assert_eq!(redeem(&mut book, KEYS[0], 0), Ok(Role::Writer));
            assert_eq!(book.revoke(&text, 0).unwrap().state, InviteState::Revoked);
            assert_eq!(redeem(&mut book, KEYS[1], 0), Err(Refusal::Revoked));
            assert_eq!(redeem(&mut book, KEYS[0], 0), Err(Refusal::Revoked), "nor on the way in");
            let without =
                without(&["a revoked invite lets nobody in"], || redeem(&mut book, KEYS[1], 0));
            assert_eq!(without, Ok(Role::Writer), "nothing was taken out");
        }
        let short = &invite(SECRET).id().to_string()[..7];
        for text in ["", "0123456789", short] {
            assert_eq!(book(1).revoke(text, 0), Err(NoneSuch), "{text}");
        }
    }

    #[test]
    fn a_removed_member_does_not_come_back_by_the_invite_that_it_joined_with() {
        let mut book = book(1);
        assert_eq!(redeem(&mut book, KEYS[0], 0), Ok(Role::Writer));
        let removed = Members::of_removed(KEYS[0]);
        let again = |book: &mut InviteBook| book.redeem(&SECRET, (KEYS[0], "ben"), &removed, 0);
        assert_eq!(again(&mut book), Redeemed::Refused(Refusal::Removed));
        let without =
            without(&["a removed member needs a new invite"], || again(&mut book.clone()));
        assert_eq!(without, Redeemed::Granted(Role::Writer), "nothing was taken out");
        // One that it is given after that counts, as often as it needs to ask.
        let mut fresh = super::tests::book(1);
        assert_eq!(again(&mut fresh), Redeemed::Granted(Role::Writer));
        assert_eq!(again(&mut fresh), Redeemed::Granted(Role::Writer));
    }

    fn asks(book: &mut InviteBook, key: NodeKey) -> Redeemed {
        book.redeem(&SECRET, (key, "ben\u{7}"), &Members::default(), 5)
    }

    #[test]
    fn who_needs_approval_waits_until_an_admin_has_said_so() {
        let options = InviteOptions { needs_approval: true, ..InviteOptions::default() };
        let mut book = InviteBook::default();
        assert!(book.issue(&invite(SECRET), options, 0));
        let [first, second, _] = KEYS;
        let issuer = invite(SECRET).issuer;
        assert_eq!(asks(&mut book, first), Redeemed::Waits { is_new: true });
        assert_eq!(asks(&mut book, first), Redeemed::Waits { is_new: false });
        assert_eq!(asks(&mut book, second), Redeemed::Refused(Refusal::Used), "it is for one");
        let pending = book.pending();
        assert_eq!((pending.len(), &*pending[0].name, pending[0].since_ms), (1, "ben", 5));
        assert_eq!(pending[0].words, joiner_words(invite(SECRET).id(), issuer, first));
        assert!(book.list(0)[0].used_by.is_empty(), "it has not joined");
        let without = without(&["who was not approved is no member"], || asks(&mut book, first));
        assert_eq!(without, Redeemed::Granted(Role::Writer), "nothing was taken out");

        for nobody in ["ben", "", &pending[0].key[..7], "acorn-acorn-acorn"] {
            assert_eq!(book.decide(nobody, true), Err(NoneSuch), "{nobody}");
        }
        // Denied it uses nothing up, and another one may ask.
        assert_eq!(book.decide(&pending[0].words, false).unwrap().key, first.to_string());
        assert_eq!(asks(&mut book, first), Redeemed::Refused(Refusal::Denied));
        assert_eq!(asks(&mut book, second), Redeemed::Waits { is_new: true });
        let key = second.to_string();
        assert_eq!(book.decide(&key[..8], true).unwrap().key, key);
        assert_eq!(asks(&mut book, second), Redeemed::Granted(Role::Writer));
        assert_eq!(book.list(0)[0].used_by, [key]);
        assert!(book.pending().is_empty());
    }

    #[test]
    fn few_wait_at_once_and_a_revoked_invite_lets_nobody_wait() {
        let options =
            InviteOptions { needs_approval: true, uses: 1_000, ..InviteOptions::default() };
        let mut book = InviteBook::default();
        assert!(book.issue(&invite(SECRET), options, 0));
        let key = |number: usize| NodeKey::from_bytes([number as u8; 32]);
        for number in 0..PENDING_MAX {
            assert_eq!(asks(&mut book, key(number)), Redeemed::Waits { is_new: true });
        }
        let more = key(PENDING_MAX);
        assert_eq!(asks(&mut book, more), Redeemed::Refused(Refusal::Crowd));
        let crowded = without(&["few wait for approval at once"], || asks(&mut book.clone(), more));
        assert_eq!(crowded, Redeemed::Waits { is_new: true }, "nothing was taken out");
        book.revoke(&invite(SECRET).to_string(), 0).unwrap();
        assert!(book.pending().is_empty());
    }

    #[test]
    fn a_book_is_bounded_and_what_is_spent_makes_room() {
        let mut book = book(1);
        for number in 0..INVITES_MAX as u64 - 1 {
            let mut secret = [9; 16];
            secret[..8].copy_from_slice(&number.to_le_bytes());
            assert!(book.issue(&invite(secret), InviteOptions::default(), 0), "{number}");
        }
        assert!(!book.issue(&invite([8; 16]), InviteOptions::default(), 0));
        book.revoke(&invite(SECRET).to_string(), 0).unwrap();
        assert!(book.issue(&invite([8; 16]), InviteOptions::default(), 0));
        assert!(book.issue(&invite([7; 16]), InviteOptions::default(), 1_000 + KEPT_MS));
        assert_eq!(book.list(0).len(), 1, "those of long ago are forgotten");
    }
}
