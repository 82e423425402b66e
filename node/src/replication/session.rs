//! Sessions: who is welcome on a link, and which of two links to one peer survives.

use millpond_core::NodeKey;
use millpond_core::message::{CloseCode, Hello, HelloNamespace, Message, PROTOCOL};
use millpond_core::transport::Lane;

use rand_core::Rng;

use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use super::entering::LEAVES;
use super::link::{Link, Phase, Told};
use super::peer::BootMet;
use super::{JoinProgress, LinkId, Output, Remote};
use crate::limits::HELLO_MS_MAX;
use crate::membership::{Redeemed, Refusal, Role, grant_role};
use crate::planted::planted;
use crate::probes::{always, never, sometimes};

impl Engine {
    pub(super) fn link_up(&mut self, link: LinkId, shown: NodeKey, dialed: bool, remote: Remote) {
        if self.members.is_retired(shown) {
            return self.refuse_retired(link, shown, dialed);
        }
        let (now_ms, peer) = (self.now.mono_ms, self.whose(shown));
        self.links.insert(link, Link::new(peer, shown, dialed, remote, now_ms));
        self.refresh_wanted();
        let state = self.peer_mut(peer);
        if dialed {
            (state.is_dialing, state.is_hurried) = (false, false);
        }
        if peer == self.config.key {
            self.close(link, CloseCode::Itself, "this is my own key");
        } else if self.is_reissuing() {
            sometimes!(LinkWhileReissuing);
            self.close(link, CloseCode::ShuttingDown, "writes are being issued anew");
        } else if !dialed && self.is_crowded(peer) {
            self.close(link, CloseCode::ShuttingDown, "too many are at the door; dial again");
        } else if self.is_entering {
            self.close(link, CloseCode::ShuttingDown, LEAVES);
        } else if self.peer_mut(peer).is_paused {
            sometimes!(PausedPeerRefused);
            let reason = self.paused_reason();
            self.close(link, CloseCode::ShuttingDown, &reason);
        } else if dialed {
            // Nothing is known of what the peer has; most often it is the same, and if not it says so.
            let closed = self.closing.current().clone();
            if let Some(link) = self.links.get_mut(&link) {
                link.closed_presumed = Some(closed);
            }
            self.say_hello(link);
        }
    }

    pub(super) fn link_down(&mut self, link: LinkId, code: Option<CloseCode>, reason: String) {
        let Some(held) = self.links.get(&link) else { return };
        let (peer, was_open) = (held.peer, held.is_open());
        let refused = code.is_some_and(|code| {
            use CloseCode::{Incompatible, InviteRefused, NotAuthorised, OtherDomain};
            matches!(code, InviteRefused | OtherDomain | NotAuthorised | Incompatible)
        });
        // Only a member's word counts: anybody could stop this node's writes otherwise.
        let is_members =
            self.members.get(peer).is_some() || planted!("only a member's word fences");
        // While the operator's word that there is one again is being written down, the links are those of before.
        let is_old = self.jobs.values().any(|it| matches!(it, Pending::Release(_)))
            && !planted!("what was said before a release does not fence");
        if code == Some(CloseCode::Cloned) && is_members && !is_old {
            sometimes!(FencedByPeer);
            self.fence(format!("{} met two live nodes with this node's key", peer.short()));
        }
        if refused && !was_open && self.joining_from() == Some(peer) {
            sometimes!(JoinRefused);
            self.emit(Output::Join(JoinProgress::Refused(reason.clone())));
        }
        let reason = match code {
            Some(CloseCode::AwaitsApproval) => self.hear_of_approval(peer, reason),
            _ => reason,
        };
        self.forget_link(link, &reason);
    }

    /// Drops a link that is gone, and what hangs on it.
    pub(super) fn forget_link(&mut self, link_id: LinkId, reason: &str) {
        let Some(link) = self.links.remove(&link_id) else { return };
        self.concerns.look_again();
        self.refresh_wanted();
        self.supplies.retain(|(owner, _), _| *owner != link_id);
        self.comparisons.retain(|(owner, _), _| *owner != link_id);
        self.inboxes.values_mut().for_each(|inbox| inbox.forget(link_id));
        self.pull_link_lost(link_id);
        self.recall_lost(link_id, link.peer);
        let now_ms = self.now.mono_ms;
        self.trees.values_mut().for_each(|tree| tree.link_down(now_ms, link_id));
        if link.is_open() {
            self.update_terms();
        }
        if self.links.values().any(|other| other.peer == link.peer) {
            return;
        }
        if self.members.get(link.peer).is_none() && self.joining_from() != Some(link.peer) {
            // Strangers come and go, and leave nothing.
            self.peers.remove(&link.peer);
            return;
        }
        let state = self.peer_mut(link.peer);
        state.last_error = Some(reason.into());
        // A peer whose settings want no link says so after the hellos: that ends no back-off.
        let is_brief = link.is_open() && now_ms < link.since_ms + BRIEF_MS;
        if is_brief && !planted!("a brief link goes on with the back-off") {
            state.attempts = state.attempts.max(link.attempts_before);
        }
        self.schedule_redial(link.peer);
    }

    pub(super) fn say_hello(&mut self, link_id: LinkId) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        if std::mem::replace(&mut link.said_hello, true) {
            return;
        }
        let to = link.peer;
        let namespaces = NAMESPACES.map(|namespace| HelloNamespace {
            namespace,
            durable: match planted!("a hello tells what is durable") {
                true => self.inboxes[&namespace].received().clone(),
                false => self.whole_vector(namespace),
            },
            floor: self.heads.floor(namespace).clone(),
        });
        let invite = self.joining.as_ref().filter(|invite| invite.issuer == to);
        let hello = Hello {
            protocol: PROTOCOL,
            features: 0,
            domain: self.config.domain,
            name: self.config.name.clone(),
            addresses: self.config.addresses.clone(),
            boot: self.config.boot,
            incarnations: self.open_incarnations(),
            namespaces: namespaces.to_vec(),
            invite: invite.map(|invite| invite.secret),
        };
        let chain = self.own_chain();
        if !chain.is_empty() && !planted!("a hello comes with whose successor its key is") {
            self.send(link_id, Lane::Control, &Message::Succession(chain));
        }
        self.send(link_id, Lane::Control, &Message::Hello(hello));
        self.greet_with_table(link_id);
        for namespace in NAMESPACES {
            let vv = self.applied(namespace).clone();
            let Some(link) = self.links.get_mut(&link_id) else { return };
            let told = Told { received: vv.clone(), applied: vv };
            link.told.insert(namespace, told);
        }
    }

    /// A peer says who it is. Either it is welcome, or the link ends with a reason that both sides see.
    pub(super) fn hello(&mut self, link_id: LinkId, hello: Hello) {
        let Some(link) = self.links.get(&link_id) else { return };
        if link.boot.is_some() {
            never!("says hello twice");
            return self.close(link_id, CloseCode::Protocol, "a second hello");
        }
        let peer = link.peer;
        if PROTOCOL.common(hello.protocol).is_none() {
            let reason = format!(
                "protocol versions {}..{} here and {}..{} there have none in common; upgrade the older node",
                PROTOCOL.oldest, PROTOCOL.newest, hello.protocol.oldest, hello.protocol.newest
            );
            return self.close(link_id, CloseCode::Incompatible, &reason);
        }
        if hello.domain != self.config.domain {
            let reason = format!(
                "this node is of domain {}, not {}; nothing was changed on either side",
                self.config.domain, hello.domain
            );
            return self.close(link_id, CloseCode::OtherDomain, &reason);
        }
        let now_ms = self.now.mono_ms;
        let late_ms = (self.config.digest_ms + 1_000).clamp(LATE_MS_MIN, LATE_MS_MAX);
        match self.peer_mut(peer).meet_boot(hello.boot, now_ms, late_ms) {
            BootMet::Current => self.peer_mut(peer).is_cloned = false,
            BootMet::Leftover => {
                sometimes!(LeftoverBootRefused);
                let reason = "a later boot of this node has said hello";
                return self.close(link_id, CloseCode::Duplicate, reason);
            }
            BootMet::Copy => return self.clone_found(link_id, peer),
        }
        self.hear_table(link_id);
        if let Some(link) = self.links.get_mut(&link_id) {
            link.boot = Some(hello.boot);
        }
        self.drop_older_boots(link_id, peer);

        match hello.invite {
            _ if self.is_welcome(peer) => self.welcome(link_id, hello),
            Some(secret) => self.redeem(link_id, peer, &secret, hello),
            None => self.refuse_stranger(link_id, peer),
        }
    }

    /// Whether so many links wait for a hello that one more, of who is not known to be welcome, is turned away. Those
    /// of members are not: nobody keeps a domain apart by dialling one of its nodes.
    fn is_crowded(&self, peer: NodeKey) -> bool {
        let is_full = self.strangers() > self.config.limits.strangers;
        is_full && !self.is_welcome(peer) && !planted!("few strangers are at the door")
    }

    /// Whether a peer needs no invite.
    pub(super) fn is_welcome(&self, peer: NodeKey) -> bool {
        self.members.get(peer).is_some() || self.joining_from() == Some(peer)
    }

    /// A peer is no member, as far as this node knows, and has no invite.
    pub(super) fn refuse_stranger(&mut self, link_id: LinkId, peer: NodeKey) {
        sometimes!(StrangerRefused);
        let reason = format!(
            "{} is no member here, or not yet known; it joins with an invite from `millpond invite`",
            peer.short()
        );
        self.close(link_id, CloseCode::NotAuthorised, &reason);
    }

    fn redeem(&mut self, link_id: LinkId, peer: NodeKey, secret: &[u8; 16], hello: Hello) {
        let (members, members_max) = (self.members.iter().count(), self.config.limits.members);
        if members >= members_max && !planted!("a domain has so many members at most") {
            let why = format!("the domain has {members} members, which is as many as it may have");
            return self.close(link_id, CloseCode::InviteRefused, &why);
        }
        let now_ms = self.now.wall_ms;
        let who = (peer, &*hello.name);
        let role = match self.invites.redeem(secret, who, &self.members, now_ms) {
            Redeemed::Waits { is_new } => return self.wait_for_approval(link_id, is_new),
            Redeemed::Granted(role) => role,
            Redeemed::Refused(refusal) => {
                sometimes!(InviteRefused);
                sometimes!(refusal == Refusal::Revoked, RevokedInviteRefused);
                return self.close(link_id, CloseCode::InviteRefused, &refusal.to_string());
            }
        };
        if let Some(link) = self.links.get_mut(&link_id) {
            link.phase = Phase::Joining;
        }
        // On disk before the role is: else a disk that is full for a moment lets another node use the invite
        // after the next start.
        let job = self.invites.note();
        if planted!("an invite is used before its role is granted") {
            self.submit(Pending::Note, job);
            return self.redeemed(link_id, peer, role, hello);
        }
        self.submit(Pending::Redeem { link: link_id, peer, role, hello }, job);
    }

    /// It is on disk that an invite is used, and by whom.
    pub(super) fn redeemed(&mut self, link: LinkId, peer: NodeKey, role: Role, hello: Hello) {
        let (author, authors) = (self.config.key, self.records.log_authors());
        self.write_system(
            Pending::Grant { link, hello },
            Box::new(move |tx| grant_role(tx, peer, role, author, &authors)),
        );
    }

    /// The role of a peer that redeemed an invite is on disk.
    pub(super) fn granted(&mut self, link_id: LinkId, hello: Hello) {
        if self.links.get(&link_id).is_some_and(|link| link.phase == Phase::Joining) {
            self.welcome(link_id, hello);
        }
    }

    /// Both sides belong together: note what the peer holds, and bring each other level.
    fn welcome(&mut self, link_id: LinkId, hello: Hello) {
        let now_ms = self.now.mono_ms;
        let Some(peer) = self.links.get(&link_id).map(|link| link.peer) else { return };
        if !self.is_survivor(link_id, peer) {
            sometimes!(DuplicateRefused);
            return self.close(link_id, CloseCode::Duplicate, "another link to this node survives");
        }
        if planted!("a link is open once hello is said")
            && let Some(link) = self.links.get_mut(&link_id)
        {
            link.phase = Phase::Open;
        }
        // What ends with the other links turns to those that are open: not to this one, before its hello.
        self.drop_other_links(link_id, peer);
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.phase = Phase::Open;
        link.since_ms = now_ms;
        link.digest_due_ms = now_ms + self.config.digest_ms;
        // What was committed since this side said hello is told like anything else.
        link.ack_due_ms = Some(now_ms + self.config.hold_down_ms / 4);
        let open = self.links.values().filter(|link| link.peer == peer && link.is_open());
        always!(open.count() == 1, "two nodes are linked once");
        self.say_hello(link_id);

        let state = self.peers.entry(peer).or_default();
        if let Some(link) = self.links.get_mut(&link_id) {
            state.shown = Some(link.key);
            link.attempts_before = state.attempts;
        }
        if !planted!("an open link ends the back-off") {
            state.attempts = 0;
        }
        state.last_error = None;
        state.is_heard = true;
        // Until its terms say so.
        state.in_rehab = true;
        state.is_unsaved = true;
        state.counters.links += 1;
        // The peer's word of now replaces whatever it said before: it may have fallen back.
        if !planted!("a hello replaces what was acknowledged") {
            state.vectors.clear();
            state.words.forget();
        }
        for held in hello.namespaces.iter().filter(|it| NAMESPACES.contains(&it.namespace)) {
            let vectors = state.vectors.entry(held.namespace).or_default();
            for vv in [&mut vectors.received, &mut vectors.applied, &mut vectors.durable] {
                vv.join(&held.durable);
            }
            state.floors.insert(held.namespace, held.floor.clone());
        }
        // A restored node does not know all of its own: those that it has not named are introduced to it too.
        if let Some(link) = self.links.get_mut(&link_id) {
            for lane in [Lane::Control, Lane::Bulk] {
                link.introduced(lane).extend(hello.incarnations.iter().copied());
            }
        }
        let own = hello.incarnations.into_iter().map(|incarnation| (incarnation, peer));
        self.introduce(own.collect());
        self.hear_word(link_id);
        tracing::debug!(link = link_id.0, peer = %peer.short(), "link open");
        let lot = self.rng.next_u64();
        if let Some(link) = self.links.get_mut(&link_id) {
            link.lot = lot;
        }
        self.note_goal(link_id);
        self.hurry_new(link_id);
        self.verify.retry_lost_soon(self.now.mono_ms);
        self.apply_rules();
        if !self.links.contains_key(&link_id) {
            return;
        }
        self.reached(peer);
        self.check_own_history(link_id, peer);
        if !self.links.contains_key(&link_id) {
            return;
        }
        for namespace in NAMESPACES {
            self.note_lacking(link_id, namespace);
        }
        self.consider_pulls();
    }

    /// Links of an earlier boot are leftovers whose end has not been noticed.
    fn drop_older_boots(&mut self, link_id: LinkId, peer: NodeKey) {
        let boot = self.peers.get(&peer).and_then(|peer| peer.boot);
        let older: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(id, link)| **id != link_id && link.peer == peer)
            .filter(|(_, link)| link.boot.is_some() && link.boot != boot)
            .filter(|_| !planted!("a later boot ends the older's links"))
            .map(|(&id, _)| id)
            .collect();
        sometimes!(!older.is_empty(), OlderBootDropped);
        for link in older {
            self.close(link, CloseCode::Duplicate, "a later boot of this node has said hello");
        }
    }

    /// Of two links that both sides dialled, the one dialled by the lesser key survives on both; of two
    /// dialled by one side, the newer, since its dialler has given up the other.
    fn is_survivor(&self, link_id: LinkId, peer: NodeKey) -> bool {
        let preferred = |link: &Link| match planted!("both ends keep the same link") {
            true => link.dialed,
            false => link.dialed == (self.config.key < peer),
        };
        let this = &self.links[&link_id];
        !self.links.iter().any(|(&id, other)| {
            id != link_id
                && other.peer == peer
                && other.is_open()
                && preferred(other)
                && !preferred(this)
        })
    }

    fn drop_other_links(&mut self, link_id: LinkId, peer: NodeKey) {
        let others: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(id, link)| **id != link_id && link.peer == peer && link.is_open())
            .filter(|_| !planted!("two nodes are linked once"))
            .map(|(&id, _)| id)
            .collect();
        sometimes!(!others.is_empty(), DuplicateDropped);
        for link in others {
            self.close(link, CloseCode::Duplicate, "another link to this node survives");
        }
    }

    /// Whose invite this node came with, while it is not a member.
    pub(super) fn joining_from(&self) -> Option<NodeKey> {
        self.joining.as_ref().map(|invite| invite.issuer)
    }

    /// Links whose peer does not say hello in time are closed.
    pub(super) fn run_sessions(&mut self) {
        let now_ms = self.now.mono_ms;
        let silent: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| !link.is_open() && link.since_ms + HELLO_MS_MAX <= now_ms)
            .map(|(&id, _)| id)
            .collect();
        for link in silent {
            sometimes!(NoHelloInTime);
            self.close(link, CloseCode::Protocol, "no hello in time");
        }
    }

    pub(super) fn next_session_ms(&self) -> u64 {
        let greeting = self.links.values().filter(|link| !link.is_open());
        greeting.map(|link| link.since_ms + HELLO_MS_MAX).min().unwrap_or(u64::MAX)
    }
}

/// How late a dead process may be heard: longer than any transport keeps its frames.
const LATE_MS_MIN: u64 = 5_000;
/// With rare digests a copy is found late, but not never.
const LATE_MS_MAX: u64 = 60_000;
/// A link that is open for less has done nothing.
const BRIEF_MS: u64 = 1_000;
