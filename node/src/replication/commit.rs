//! Jobs for the store, and what follows from them.

use millpond_core::message::{CloseCode, Hello};
use millpond_core::wire::PushFrame;
use millpond_core::{Incarnation, Namespace, NodeKey};

use super::engine::{Engine, NAMESPACES};
use super::inbox::Received;
use super::mending::Mending;
use super::pulling::RowsJob;
use super::ring::RingItem;
use super::{Answer, JoinProgress, LinkId, Output, RequestId, Token, Wanted};
use crate::membership::{
    Invite, IssuedInvite, Members, OwnRecord, PendingMember, Role, record_self,
};
use crate::planted::planted;
use crate::probes::{always, sometimes};
use crate::removal::RemoveError;
use crate::replica::{InviteError, PromoteError, ReleaseError};
use crate::rotation::{RevokeError, RotateError};
use crate::state::{
    Heads, Job, JobError, Local, LocalClosure, Outcome, View, WriteError, meta_key, write_meta,
};
use crate::status::Moved;
use crate::store::{Changes, StoreError};

/// What follows when a job is done.
pub(super) enum Pending {
    /// Answer the application, at once or when its concern is met.
    Write { id: RequestId, wanted: Option<Wanted> },
    /// A write of the node itself, in the system namespace.
    Own,
    /// An invite is recorded as used: grant the role.
    Redeem { link: LinkId, peer: NodeKey, role: Role, hello: Hello },
    /// A peer's role is recorded: go on with its hello.
    Grant { link: LinkId, hello: Hello },
    /// Transactions of others.
    Pushes { namespace: Namespace, received: Vec<Received> },
    /// Rows of a catch-up.
    Rows(RowsJob),
    /// Tombstones are collected.
    Collect,
    /// Counters are compacted.
    Compact,
    /// Incarnations are recorded as closed.
    Close,
    /// A member is removed: answer the application.
    Remove { id: RequestId },
    /// The next key is recorded: answer the application.
    Rotate { id: RequestId },
    /// It is recorded that a key is refused: answer the application.
    Revoke { id: RequestId },
    /// Old keys of this node are recorded as retired.
    Retire,
    /// A slice of a fold.
    Fold(Namespace),
    /// A slice of an index.
    Index,
    /// A delayed replica has shown what was due.
    Show,
    /// It is recorded what becomes of what a delayed replica has yet to show.
    Delay { id: RequestId },
    /// It is recorded who takes writes.
    Promote { id: RequestId },
    /// An invite is recorded: hand it out.
    Invite { id: RequestId, invite: Invite },
    /// This node is about to join another domain.
    Enter { id: RequestId, invite: Invite },
    /// It is recorded who was approved, or denied.
    Decide { id: RequestId, member: PendingMember },
    /// It is recorded that an invite is revoked.
    RevokeInvite { id: RequestId, invite: IssuedInvite },
    /// The store was mended.
    Mend(Mending),
    /// The store is told of the fence.
    Fence,
    /// The fence is lifted: answer the application.
    Release(RequestId),
    /// What is disputed is issued anew.
    Reissue,
    /// Nothing.
    Note,
}

impl Pending {
    /// Whether the job may take dots of this node's own.
    pub(super) fn may_issue(&self) -> bool {
        match self {
            Self::Write { .. } | Self::Own | Self::Compact | Self::Grant { .. } | Self::Close => {
                true
            }
            Self::Rotate { .. } | Self::Revoke { .. } | Self::Retire => true,
            Self::Mend(mending) => mending.is_local(),
            _ => false,
        }
    }

    /// Whether entries of the system namespace may be others after the job though no dot is new: a comparison takes away
    /// what it does not find, and a mend brings back what was lost. Jobs after which an engine begins anew read all.
    fn may_take_away(&self) -> bool {
        match self {
            Self::Rows(job) => job.namespace == Namespace::SYSTEM,
            Self::Mend(_) => true,
            // Each of these writes under a dot of its own, or changes nothing that a reader sees.
            Self::Write { .. } | Self::Own | Self::Redeem { .. } | Self::Grant { .. } => false,
            Self::Pushes { .. } | Self::Collect | Self::Compact | Self::Close => false,
            Self::Remove { .. } | Self::Rotate { .. } | Self::Revoke { .. } | Self::Retire => false,
            Self::Fold(_) | Self::Index | Self::Show | Self::Delay { .. } => false,
            Self::Promote { .. } | Self::Invite { .. } | Self::Decide { .. } => false,
            Self::RevokeInvite { .. } | Self::Fence | Self::Release(_) | Self::Note => false,
            Self::Enter { .. } | Self::Reissue => false,
        }
    }

    /// What is left of it for an engine that begins anew: whoever waits for an answer gets it.
    pub(super) fn outliving(self) -> Self {
        match self {
            Self::Write { .. } | Self::Invite { .. } | Self::Release(_) | Self::Fence => self,
            Self::Mend(_) => self,
            Self::Show | Self::Delay { .. } | Self::Promote { .. } => self,
            Self::Remove { .. } | Self::Rotate { .. } | Self::Revoke { .. } => self,
            Self::RevokeInvite { .. } | Self::Decide { .. } | Self::Enter { .. } => self,
            _ => Self::Note,
        }
    }
}

impl Engine {
    /// A user's transaction.
    pub(super) fn write(&mut self, id: RequestId, closure: LocalClosure, wanted: Option<Wanted>) {
        if let Err(error) = self.may_write() {
            return self.answer(id, Answer::Written(Err(error)));
        }
        if planted!("an answer waits for the disk") {
            let vv = self.applied(Namespace::MAIN).clone();
            self.answer(id, Answer::Written(Ok((None, vv))));
        }
        self.submit_local(Pending::Write { id, wanted }, Namespace::MAIN, closure);
    }

    /// A user's transaction that others are to hold as well.
    pub(super) fn write_with(
        &mut self,
        id: RequestId,
        closure: LocalClosure,
        min_connected: usize,
        wanted: Option<Wanted>,
    ) {
        let connected = self.connected();
        if connected < min_connected && !planted!("too few that are linked refuse a write") {
            sometimes!(TooFewConnected);
            let error = WriteError::TooFewConnected { connected, wanted: min_connected };
            return self.answer(id, Answer::Written(Err(error)));
        }
        if wanted.is_some() {
            // While the disk is at work: they hear of it before the write comes.
            self.hurry_peers();
        }
        self.write(id, closure, wanted);
    }

    pub(super) fn may_write(&self) -> Result<(), WriteError> {
        if let Some(why) = self.why_fenced().filter(|_| !planted!("a fenced node takes no writes"))
        {
            sometimes!(FencedWriteRefused);
            return Err(WriteError::Fenced { why });
        }
        if self.is_entering {
            return Err(WriteError::ReadOnly { role: JOINS.into() });
        }
        if self.is_delayed() && !planted!("a delayed replica takes no writes") {
            return Err(WriteError::Delayed);
        }
        match self.members.get(self.config.key).map(|member| member.role) {
            Some(role) if role.may_write() => self.may_write_as_primary(),
            Some(role) => Err(WriteError::ReadOnly { role: role.to_string() }),
            None => Err(WriteError::ReadOnly { role: "none, since it has not joined yet".into() }),
        }
    }

    /// A write of the node itself, in the system namespace.
    pub(super) fn write_system(&mut self, pending: Pending, closure: LocalClosure) {
        self.submit_local(pending, Namespace::SYSTEM, closure);
    }

    pub(super) fn submit_local(
        &mut self,
        pending: Pending,
        namespace: Namespace,
        closure: LocalClosure,
    ) {
        self.submit_local_as(pending, namespace, closure, Job::Local);
    }

    pub(super) fn submit_local_as(
        &mut self,
        pending: Pending,
        namespace: Namespace,
        closure: LocalClosure,
        job: impl FnOnce(Local) -> Job,
    ) {
        let fenced = self.why_fenced();
        if let Some(why) = fenced.filter(|_| !planted!("a fenced node takes no dots")) {
            // Not even its own records: they would take dots that a copy may have taken.
            sometimes!(FencedRecordRefused);
            let error = WriteError::Fenced { why };
            return self.job_done(pending, Err(JobError::Write(error)));
        }
        if self.is_entering {
            let error = WriteError::ReadOnly { role: JOINS.into() };
            return self.job_done(pending, Err(JobError::Write(error)));
        }
        let (ended, fresh) = (self.closed, Incarnation::from_bytes(self.random_id()));
        let local = Local {
            namespace,
            closure,
            now_ms: self.now.wall_ms,
            ended,
            fresh,
            key: self.config.key,
        };
        self.submit(pending, job(local));
    }

    /// Gives the writer a job.
    pub(super) fn submit(&mut self, pending: Pending, job: Job) {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.jobs.insert(token, pending);
        let job = self.with_arrival(job);
        self.emit(Output::Commit { token, job });
    }

    /// The writer has committed a group, or failed to.
    pub(super) fn committed(
        &mut self,
        results: Vec<(Token, Result<Outcome, JobError>)>,
        heads: Heads,
    ) {
        // Those at the disk as well: the store may be ahead of what is heard of it.
        let may_take_away = self.jobs.values().any(Pending::may_take_away)
            && !planted!("what goes without a dot is noticed");
        if may_take_away {
            self.records.forget();
        }
        if self.begins_anew(&results) {
            return self.begin_anew(results, &heads);
        }
        let before = std::mem::replace(&mut self.heads, heads);
        // The group may be older than the end of an incarnation.
        sometimes!(self.closed.is_some() && self.heads.open == self.closed, CommitOlderThanEnd);
        self.heads.open = self.heads.open.filter(|open| self.closed != Some(*open));
        self.totals.commits += 1;
        if before.open != self.heads.open {
            self.close_soon();
        }
        for namespace in NAMESPACES {
            let was = before.vv(namespace);
            if was == self.applied(namespace) {
                continue;
            }
            let vv = self.applied(namespace).clone();
            always!(vv.covers_all(was), "an applied vector never falls");
            if let Some(inbox) = self.inboxes.get_mut(&namespace) {
                let covered = inbox.advance(&vv);
                always!(inbox.received().covers_all(&vv), "what is applied counts as received");
                for covered in covered {
                    sometimes!(WaitingPushCovered);
                    self.duplicate(&covered);
                }
            }
            self.progressed(namespace, was);
            self.note_closable(namespace, was);
            self.tree_progressed(namespace, was);
            if namespace == Namespace::SYSTEM && !planted!("members are read again") {
                self.reload_members();
            }
            self.emit(Output::Applied { namespace, vv });
        }
        if may_take_away && before.vv(Namespace::SYSTEM) == self.applied(Namespace::SYSTEM) {
            self.reload_members();
        }
        for (token, result) in results {
            let pending = self.jobs.remove(&token);
            always!(pending.is_some(), "the writer reports each job that it was given, once");
            if let Some(pending) = pending {
                self.job_done(pending, result);
            }
        }
        if self.recovery.beginning.is_some() || self.recovery.is_unproven {
            self.check_rehab();
        }
        self.tell_shown(&before);
        self.settle_bookmarks();
        self.run_delay();
    }

    fn duplicate(&mut self, received: &Received) {
        if let Some(link) = self.links.get(&received.link) {
            let peer = self.peers.entry(link.peer).or_default();
            peer.count(Moved::Duplicate, &received.push);
        }
        self.consumed(received.link, &received.push);
    }

    fn job_done(&mut self, pending: Pending, result: Result<Outcome, JobError>) {
        match &result {
            Ok(outcome) => self.feed_own(outcome),
            Err(JobError::Store(error) | JobError::Write(WriteError::Store(error))) => {
                self.look_for_damage(error);
            }
            Err(_) => {}
        }
        self.follow(pending, result);
    }

    /// What follows from a job, but for what it wrote.
    pub(super) fn follow(&mut self, pending: Pending, result: Result<Outcome, JobError>) {
        match (pending, result) {
            (Pending::Write { id, wanted }, Ok(outcome)) => {
                let last = outcome.pushes.iter().rfind(|push| push.namespace == Namespace::MAIN);
                let dot = last.map(|push| push.last());
                let vv = self.applied(Namespace::MAIN).clone();
                match dot.zip(wanted) {
                    Some((dot, wanted)) => self.await_acks(id, dot, Some(vv), wanted),
                    None => self.answer(id, Answer::Written(Ok((dot, vv)))),
                }
            }
            (Pending::Write { id, .. }, Err(error)) => {
                let error = match error {
                    JobError::Write(error) => error,
                    JobError::Store(error) => {
                        sometimes!(WriteFindsNoRoom);
                        WriteError::Store(error)
                    }
                    other => WriteError::Rejected(other.to_string()),
                };
                self.answer(id, Answer::Written(Err(error)));
            }
            (Pending::Redeem { link, peer, role, hello }, Ok(_)) => {
                self.redeemed(link, peer, role, hello);
            }
            (Pending::Grant { link, hello }, Ok(_)) => self.granted(link, hello),
            (Pending::Invite { id, invite }, Ok(_)) => {
                self.answer(id, Answer::Invite(Ok(invite)));
            }
            (Pending::Invite { id, .. }, Err(error)) => {
                sometimes!(InviteFindsNoRoom);
                let error = InviteError::Store(error.to_string());
                self.answer(id, Answer::Invite(Err(error)));
            }
            (Pending::Enter { id, invite }, result) => {
                self.entered(id, invite, result.map(drop));
            }
            (Pending::Decide { id, member }, result) => {
                let decided = result.map(|_| member);
                let decided = decided.map_err(|error| InviteError::Store(error.to_string()));
                self.answer(id, Answer::Decided(decided));
            }
            (Pending::RevokeInvite { id, invite }, result) => {
                let revoked = result.map(|_| invite);
                let revoked = revoked.map_err(|error| InviteError::Store(error.to_string()));
                self.answer(id, Answer::InviteRevoked(revoked));
            }
            (Pending::Show, result) => self.shown(&result),
            (Pending::Delay { id }, result) => self.delay_ordered(id, result.map(drop)),
            (Pending::Promote { id }, result) => {
                let promoted = result.map(drop);
                let promoted =
                    promoted.map_err(|error| PromoteError::NotRecorded(error.to_string()));
                self.answer(id, Answer::Promoted(promoted));
            }
            (Pending::Pushes { namespace, received }, Ok(_)) => {
                self.pushes_applied(namespace, received);
            }
            (Pending::Pushes { namespace, received }, Err(error)) => {
                tracing::error!(%error, "pushes were not applied");
                match planted!("what failed is not applied") {
                    true => self.pushes_applied(namespace, received),
                    false => self.pushes_failed(namespace, received),
                }
            }
            (Pending::Rows(job), Ok(outcome)) => {
                self.count_rows(job.link, &outcome);
                self.rows_committed(&job);
            }
            (Pending::Rows(job), Err(error)) => {
                self.rows_failed(&job, &error);
            }
            (Pending::Mend(mending), Ok(outcome)) => self.mended(&mending, Ok(outcome.rows_new)),
            (Pending::Mend(mending), Err(error)) => self.mended(&mending, Err(error)),
            (Pending::Collect | Pending::Compact, result) => self.collected(result),
            (Pending::Close, result) => self.closed_recorded(result),
            (Pending::Remove { id }, result) => {
                let removed = result.map(drop);
                let removed = removed.map_err(|error| RemoveError::NotRecorded(error.to_string()));
                self.answer(id, Answer::Removed(removed));
            }
            (Pending::Rotate { id }, result) => {
                let rotated = result.map(drop);
                let rotated = rotated.map_err(|error| RotateError::NotRecorded(error.to_string()));
                self.answer(id, Answer::Rotated(rotated));
            }
            (Pending::Revoke { id }, result) => {
                let revoked = result.map(drop);
                let revoked = revoked.map_err(|error| RevokeError::NotRecorded(error.to_string()));
                self.answer(id, Answer::Revoked(revoked));
            }
            (Pending::Retire, result) => self.retired(&result),
            (Pending::Fold(namespace), Ok(_)) => self.folded(namespace, None),
            (Pending::Fold(namespace), Err(error)) => self.folded(namespace, Some(&error)),
            (Pending::Index, result) => self.built(result.err().as_ref()),
            (Pending::Own | Pending::Note | Pending::Fence | Pending::Reissue, Ok(_)) => {}
            (Pending::Release(id), Ok(_)) => self.answer(id, Answer::Released(Ok(()))),
            (Pending::Release(id), Err(error)) => {
                let error = ReleaseError::Store(error.to_string());
                self.answer(id, Answer::Released(Err(error)));
            }
            (Pending::Fence | Pending::Reissue, Err(error)) => {
                sometimes!(FenceFindsNoRoom);
                tracing::error!(%error, "the fence is not on disk");
                self.fence_again();
            }
            (Pending::Redeem { link, .. } | Pending::Grant { link, .. }, Err(error)) => {
                sometimes!(GrantFailed);
                let reason = format!("the invite cannot be redeemed now: {error}");
                self.close(link, CloseCode::ShuttingDown, &reason);
            }
            (Pending::Own | Pending::Note, Err(error)) => {
                sometimes!(NoteFailed);
                tracing::error!(%error, "the node's own notes were not written");
            }
        }
    }

    /// What was written here goes into the ring, to be fed to peers: it is on disk by now (R6).
    fn feed_own(&mut self, outcome: &Outcome) {
        for push in &outcome.pushes {
            let is_here = self.applied(push.namespace).covers(push.last());
            always!(is_here, "what is fed is on disk");
            self.totals.transactions += u64::from(push.namespace == Namespace::MAIN);
            self.totals.dots_issued += push.writes.len() as u64;
            let item = RingItem {
                push: PushFrame::encode_relative(push, self.closing.current()),
                is_own: true,
                stored_ms: self.now.mono_ms,
            };
            self.ring.push(item);
        }
    }

    fn pushes_applied(&mut self, namespace: Namespace, received: Vec<Received>) {
        if let Some(inbox) = self.inboxes.get_mut(&namespace) {
            always!(inbox.jobs > 0, "a job of pushes ends once");
            inbox.jobs -= 1;
        }
        for Received { push, link, .. } in received {
            if let Some(link) = self.links.get(&link) {
                self.peers.entry(link.peer).or_default().count(Moved::New, &push);
            }
            self.consumed(link, &push);
            let stored_ms = self.now.mono_ms;
            self.ring.push(RingItem { push, is_own: false, stored_ms });
        }
    }

    /// A commit failed: what was counted as received is not here, and will be pulled.
    fn pushes_failed(&mut self, namespace: Namespace, received: Vec<Received>) {
        let applied = self.applied(namespace).clone();
        let Some(inbox) = self.inboxes.get_mut(&namespace) else { return };
        always!(inbox.jobs > 0, "a job of pushes ends once");
        inbox.jobs -= 1;
        let dropped = match planted!("an inbox falls back with its disk") {
            true => Vec::new(),
            false => inbox.fall_back(&applied),
        };
        sometimes!(PushesFailed);
        sometimes!(!dropped.is_empty(), ReadyPushDropped);
        for Received { push, link, .. } in received.into_iter().chain(dropped) {
            self.consumed(link, &push);
        }
        for link in self.links.keys().copied().collect::<Vec<_>>() {
            self.note_lacking(link, namespace);
        }
    }

    fn count_rows(&mut self, link: LinkId, outcome: &Outcome) {
        let Some(link) = self.links.get(&link) else { return };
        let counters = &mut self.peers.entry(link.peer).or_default().counters;
        counters.rows_new += outcome.rows_new;
        counters.rows_duplicate += outcome.rows_duplicate;
    }

    fn reload_members(&mut self) {
        let view = self.store.snapshot().and_then(|it| View::new(it, Namespace::SYSTEM));
        match view.and_then(|view| self.advance_records(&view)) {
            Ok(()) => {
                let members = Members::of(&self.records, &self.key_checks());
                let before = std::mem::replace(&mut self.members, members);
                self.drop_removed(&before);
                self.drop_retired();
                self.closing.set(self.members.closed().clone());
            }
            Err(error) => tracing::error!(%error, "the members cannot be read"),
        }
        self.members_changed();
    }

    fn advance_records(&mut self, view: &View) -> Result<(), StoreError> {
        self.records.advance(view)?;
        #[cfg(test)]
        if let Ok(read) = crate::membership::Records::read(view) {
            always!(self.records == read, "what is kept of the system namespace is all of it");
        }
        Ok(())
    }

    /// Dials new members; tells of itself once it is a member.
    pub(super) fn members_changed(&mut self) {
        self.member_changes += 1;
        self.concerns.look_again();
        self.schedule_new_members();
        self.apply_rules();
        let key = self.config.key;
        let Some(own) = self.members.get(key) else { return };
        if self.joining.take().is_some() {
            sometimes!(Joined);
            let mut changes = Changes::default();
            write_meta::<()>(&mut changes, meta_key::pending_invite(), None);
            write_meta(&mut changes, meta_key::rehab(), self.recovery.beginning.as_ref());
            self.check_rehab_soon();
            self.submit(Pending::Note, Job::Meta(changes.meta.into_iter().collect()));
            self.emit(Output::Join(JoinProgress::Joined));
            return self.members_changed();
        }
        let told = OwnRecord {
            name: self.config.name.clone(),
            addresses: self.config.addresses.clone(),
            region: self.config.region.clone(),
            cost: self.config.cost,
            apply_after_ms: self
                .heads
                .delay()
                .map_or(0, |_| self.config.apply_after_ms.unwrap_or(0)),
        };
        if !told.is_told(own) && self.told_self.as_ref() != Some(&told) {
            self.told_self = Some(told.clone());
            self.write_system(Pending::Own, Box::new(move |tx| record_self(tx, key, &told)));
        }
    }
}

/// The role of a node that has left one domain and is in no other yet.
const JOINS: &str = "none, since it is about to join a domain";
