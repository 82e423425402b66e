//! Guests: nodes that dial with an invite. Who was invited in time, and alone, becomes a member of the role
//! that was meant; of several guests of one invite as many do as it is for; who comes late, or after it was
//! revoked, does not. A guest that was refused ends, as `join` does in life.

use millpond_core::{Domain, Namespace, NodeKey};

use super::net::NodeId;
use super::stage::{INVITER, Stage};
use super::world::{Check, ensure};
use crate::membership::{Invite, InviteOptions, Members, Role};
use crate::replica::InviteError;
use crate::replication::{Answer, JoinProgress, Request, RequestId};

/// Invites and those who came with them.
#[derive(Default)]
pub(super) struct Guests {
    /// Asked for, and not answered yet.
    asked: Vec<(RequestId, NodeId, Terms)>,
    /// Handed out, and not used yet: and when they are.
    handed_out: Vec<(u64, Invite, Terms)>,
    came: Vec<Guest>,
    /// The last that was handed out; it is the one that is revoked.
    last: Option<Invite>,
    /// Revoked, as far as was asked; some are not recorded yet.
    revoked: Vec<Invite>,
    revoking: Vec<(RequestId, Invite)>,
    /// Keys that the operator has approved, or said no to, as far as was asked.
    approved: Vec<String>,
    denied: Vec<String>,
    /// Members that were given an invite to another domain.
    strays: Vec<(RequestId, NodeId)>,
    /// Recorded as revoked: whoever comes from now on comes too late.
    is_revoked: Vec<Invite>,
}

/// What an invite is for, and what is done with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) is_reader: bool,
    pub(super) lasts_ms: u64,
    /// How many nodes dial with it.
    pub(super) guests: usize,
    /// How long after it was issued.
    pub(super) comes_ms: u64,
    /// How many of them may come in.
    pub(super) uses: u32,
    /// Whether each waits until the inviter's operator approves it.
    pub(super) asks: bool,
}

struct Guest {
    node: NodeId,
    invite: Invite,
    uses: u32,
    asks: bool,
    /// Whether it came when the invite was revoked already.
    came_revoked: bool,
    /// Whether the inviter's clock has shown, since the guest came, that the invite was still good.
    met_in_time: bool,
    /// Whether it has shown that the invite had expired.
    met_late: bool,
    is_settled: bool,
}

impl Terms {
    /// One writer, at once.
    pub(super) const WRITER: Self = Self {
        is_reader: false,
        lasts_ms: 3_600_000,
        guests: 1,
        comes_ms: 0,
        uses: 1,
        asks: false,
    };
}

impl Stage {
    /// Asks a node for an invite; only the inviter may give one.
    pub(super) fn invite(&mut self, by: NodeId, terms: Terms) {
        if self.world.nodes[by].running.is_none() || self.world.nodes.len() >= NODES_MAX {
            return;
        }
        let role = if terms.is_reader { Role::Reader } else { Role::Writer };
        let expires = std::time::Duration::from_millis(terms.lasts_ms);
        let options = InviteOptions { role, expires, uses: terms.uses, needs_approval: terms.asks };
        let secret = self.world.random();
        let request = self.world.ask(by, Request::Invite { options, secret });
        self.guests.asked.push((request, by, terms));
    }

    /// The inviter takes back what it has handed out last.
    pub(super) fn revoke_invite(&mut self) {
        let Some(invite) = self.guests.last.clone() else { return };
        if self.world.nodes[INVITER].running.is_none() {
            return;
        }
        let request = self.world.ask(INVITER, Request::RevokeInvite(invite.to_string()));
        self.guests.revoked.push(invite.clone());
        self.guests.revoking.push((request, invite));
    }

    /// The inviter's operator says yes or no to who waits longest.
    pub(super) fn decide(&mut self, is_approved: bool) {
        let Some(running) = &self.world.nodes[INVITER].running else { return };
        let waiting = running.engine.pending_members().into_iter().next();
        let Some(waiting) = waiting else { return };
        let decided = match is_approved {
            true => &mut self.guests.approved,
            false => &mut self.guests.denied,
        };
        decided.push(waiting.key);
        self.world.ask(INVITER, Request::Decide { who: waiting.words, is_approved });
    }

    /// A member is given an invite to a domain that nobody has heard of: it stays, whatever it holds.
    pub(super) fn stray(&mut self, node: NodeId) {
        if self.world.nodes[node].running.is_none() || !self.world.has_joined(node) {
            return;
        }
        let invite = Invite {
            domain: Domain::from_bytes(self.world.random()),
            issuer: NodeKey::from_bytes([0xee; 32]),
            addresses: vec!["elsewhere".into()],
            role: Role::Admin,
            expires_ms: u64::MAX,
            secret: self.world.random(),
        };
        let request = self.world.ask(node, Request::Join(invite));
        self.guests.strays.push((request, node));
    }

    fn nobody_strays(&mut self) {
        let mut strays = std::mem::take(&mut self.guests.strays);
        strays.retain(|(request, node)| match self.world.answers.remove(request) {
            Some(Answer::Joining(Ok(()))) => {
                self.world.violated(Err(format!("invites: {node} left its domain for another")));
                false
            }
            other => other.is_none(),
        });
        self.guests.strays = strays;
    }

    fn note_revoked(&mut self) {
        let mut revoking = std::mem::take(&mut self.guests.revoking);
        revoking.retain(|(request, invite)| match self.world.answers.remove(request) {
            Some(Answer::InviteRevoked(Ok(_))) => {
                self.guests.is_revoked.push(invite.clone());
                false
            }
            other => other.is_none(),
        });
        self.guests.revoking = revoking;
    }

    /// Whose time has come dials, and who was refused ends.
    pub(crate) fn admit(&mut self) {
        let now_ms = self.world.now_ms;
        let mut asked = std::mem::take(&mut self.guests.asked);
        asked.retain(|(request, by, terms)| match self.world.answers.remove(request) {
            Some(Answer::Invite(Ok(invite))) => {
                let is_due = only_the_inviter(*by == INVITER, *by);
                self.world.violated(is_due);
                self.guests.last = Some(invite.clone());
                self.guests.handed_out.push((now_ms + terms.comes_ms, invite, *terms));
                false
            }
            Some(Answer::Invite(Err(InviteError::NotAdmin))) => {
                let is_due = only_the_inviter(*by != INVITER, *by);
                self.world.violated(is_due);
                false
            }
            Some(_) => false,
            None => true,
        });
        self.guests.asked = asked;
        self.note_revoked();
        self.nobody_strays();
        self.let_in(now_ms);
        self.settle_guests();
    }

    /// Whoever has an invite dials now.
    pub(crate) fn admit_all(&mut self) {
        self.admit();
        self.let_in(u64::MAX);
    }

    fn let_in(&mut self, until_ms: u64) {
        let handed_out = std::mem::take(&mut self.guests.handed_out);
        let (due, later): (Vec<_>, Vec<_>) =
            handed_out.into_iter().partition(|(due_ms, ..)| *due_ms <= until_ms);
        self.guests.handed_out = later;
        for (_, invite, terms) in due {
            for _ in 0..terms.guests {
                let invite = invite.clone();
                let node = self.world.add_invited(&invite);
                // An inviter whose folder was replaced may have forgotten that.
                let came_revoked =
                    self.guests.is_revoked.contains(&invite) && !self.has_replaced_inviter;
                self.guests.came.push(Guest {
                    node,
                    invite,
                    uses: terms.uses,
                    asks: terms.asks,
                    came_revoked,
                    met_in_time: false,
                    met_late: false,
                    is_settled: false,
                });
            }
        }
        self.look_at_clock();
    }

    /// Notes what the inviter's clock shows to guests. Between two faults it only goes on, so looking before
    /// and after each fault, at the beginning and at the end tells all.
    pub(super) fn look_at_clock(&mut self) {
        let shown_ms = self.world.nodes[INVITER].now(self.world.now_ms).wall_ms;
        for guest in self.guests.came.iter_mut().filter(|guest| !guest.is_settled) {
            let is_late = guest.invite.expires_ms() <= shown_ms;
            guest.met_late |= is_late;
            guest.met_in_time |= !is_late;
        }
    }

    /// Whether a node came as a reader.
    pub(super) fn is_reader(&self, node: NodeId) -> bool {
        let came = self.guests.came.iter().find(|guest| guest.node == node);
        came.is_some_and(|guest| guest.invite.role() == Role::Reader)
    }

    /// Who knows by now what has become of its invite is settled.
    fn settle_guests(&mut self) {
        self.look_at_clock();
        for index in 0..self.guests.came.len() {
            let guest = &self.guests.came[index];
            let (node, progress) = (guest.node, self.world.progress(guest.node).cloned());
            match progress.filter(|_| !guest.is_settled) {
                Some(JoinProgress::Joined) => self.guests.came[index].is_settled = true,
                Some(JoinProgress::Refused(why)) => {
                    let due = self.refusal_is_due(index, &why);
                    self.world.violated(due);
                    self.guests.came[index].is_settled = true;
                    self.world.crash(node, false);
                    self.gone.insert(node);
                }
                Some(JoinProgress::Waiting(_) | JoinProgress::Asked { .. }) | None => {}
            }
        }
    }

    /// A guest is refused because it is late, because its invite was revoked, or because as many others came with it
    /// as it is for.
    fn refusal_is_due(&self, index: usize, why: &str) -> Check {
        let guest = &self.guests.came[index];
        let others = self.guests.came.iter().filter(|other| other.node != guest.node);
        let others = others.filter(|other| other.invite == guest.invite);
        let is_due = guest.met_late
            || self.has_replaced_inviter
            || self.guests.revoked.contains(&guest.invite)
            || self.guests.denied.contains(&self.world.nodes[guest.node].key.to_string())
            || others.count() >= guest.uses as usize;
        ensure!(is_due, "invites: {} came in time and alone, and is refused: {why}", guest.node);
        Ok(())
    }

    /// Of each invite no more guests are members than it is for, of the role that was meant, and each came in time;
    /// and every guest knows.
    pub(super) fn judge_guests(&mut self) -> Check {
        self.admit_all();
        for _ in 0..DECIDED_S {
            if self.guests.came.iter().all(|guest| guest.is_settled) {
                break;
            }
            self.world.run(1_000);
            self.decide(true);
            self.settle_guests();
        }
        self.world.observed.clone()?;
        let view = self.world.view(INVITER, Namespace::SYSTEM);
        let members = Members::read(&view).map_err(|error| error.to_string())?;
        let role =
            |guest: &Guest| members.get(self.world.nodes[guest.node].key).map(|member| member.role);
        for guest in &self.guests.came {
            let Guest { node, invite, .. } = guest;
            if self.world.outcasts.contains(node) {
                continue;
            }
            ensure!(guest.is_settled, "liveness: {node} does not know what became of its invite");
            let Some(role_there) = role(guest) else { continue };
            ensure!(
                role_there == invite.role(),
                "invites: {node} is {role_there}, and was invited as {}",
                invite.role()
            );
            ensure!(guest.met_in_time, "invites: {node} came late, and is a member");
            let key = self.world.nodes[*node].key.to_string();
            let is_approved = !guest.asks || self.guests.approved.contains(&key);
            ensure!(is_approved, "invites: {node} is a member, and nobody has approved it");
            ensure!(!guest.came_revoked, "invites: {node} is a member by a revoked invite");
            let same = self.guests.came.iter().filter(|other| other.invite == *invite);
            let members: Vec<NodeId> =
                same.filter(|other| role(other).is_some()).map(|other| other.node).collect();
            let uses = guest.uses as usize;
            ensure!(members.len() <= uses, "invites: {members:?} are members by one for {uses}");
        }
        Ok(())
    }
}

fn only_the_inviter(is_so: bool, by: NodeId) -> Check {
    ensure!(is_so, "invites: {INVITER} is the one admin, and {by} was asked for an invite");
    Ok(())
}

/// Nodes beyond which nobody is invited.
const NODES_MAX: usize = 7;
/// Seconds within which an inviter that can be reached has answered its guests.
const DECIDED_S: u64 = 20;
