//! The invites that a node has issued, and who has used them.

use std::collections::BTreeMap;

use millpond_core::NodeKey;
use serde::{Deserialize, Serialize};

use super::{Invite, InviteId, InviteOptions, Members, Role};
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
    role: Role,
    expires_ms: u64,
    uses_max: u32,
    is_revoked: bool,
    uses: BTreeMap<NodeKey, Use>,
}

/// That a key has used an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    /// How often the key had been removed by then: once more, and its use is of the past.
    removals: u32,
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
    #[error("this node was removed since it joined with the invite; ask for a new one")]
    Removed,
}

/// There is no such invite, or several answer to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSuchInvite;

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
            role: invite.role,
            expires_ms: invite.expires_ms,
            uses_max: options.uses,
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
        key: NodeKey,
        members: &Members,
        now_ms: u64,
    ) -> Redeemed {
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
            _ => {
                issued.uses.entry(key).or_insert(Use { removals });
                return Redeemed::Granted(issued.role);
            }
        };
        Redeemed::Refused(refusal)
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
    pub(crate) fn revoke(&mut self, text: &str, now_ms: u64) -> Result<IssuedInvite, NoSuchInvite> {
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
            _ => Err(NoSuchInvite),
        }
    }
}

impl Issued {
    fn state(&self, now_ms: u64) -> InviteState {
        if self.is_revoked {
            InviteState::Revoked
        } else if self.uses.len() >= self.uses_max as usize {
            InviteState::Used
        } else if self.expires_ms <= now_ms {
            InviteState::Expired
        } else {
            InviteState::Open
        }
    }

    fn told(&self, id: InviteId, now_ms: u64) -> IssuedInvite {
        IssuedInvite {
            id: id.to_string(),
            role: self.role,
            expires_ms: self.expires_ms,
            uses: self.uses_max,
            used_by: self.uses.keys().map(NodeKey::to_string).collect(),
            state: self.state(now_ms),
        }
    }
}

/// Invites that are remembered: each use writes all of them.
pub(crate) const INVITES_MAX: usize = 128;

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
        match book.redeem(&SECRET, key, &Members::default(), now_ms) {
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
            assert_eq!(book(1).revoke(text, 0), Err(NoSuchInvite), "{text}");
        }
    }

    #[test]
    fn a_removed_member_does_not_come_back_by_the_invite_that_it_joined_with() {
        let mut book = book(1);
        assert_eq!(redeem(&mut book, KEYS[0], 0), Ok(Role::Writer));
        let removed = Members::of_removed(KEYS[0]);
        let again = |book: &mut InviteBook| book.redeem(&SECRET, KEYS[0], &removed, 0);
        assert_eq!(again(&mut book), Redeemed::Refused(Refusal::Removed));
        let without =
            without(&["a removed member needs a new invite"], || again(&mut book.clone()));
        assert_eq!(without, Redeemed::Granted(Role::Writer), "nothing was taken out");
        // One that it is given after that counts, as often as it needs to ask.
        let mut fresh = super::tests::book(1);
        assert_eq!(again(&mut fresh), Redeemed::Granted(Role::Writer));
        assert_eq!(again(&mut fresh), Redeemed::Granted(Role::Writer));
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
