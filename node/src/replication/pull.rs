//! Catch-up at the asker: one supplier at a time for each namespace, staged, resumed, flipped.

use millpond_core::Namespace;
use millpond_core::message::{CloseCode, Credit, Message, Pull, PullRefusal};
use millpond_core::transport::Lane;
use millpond_core::wire::RowsFrame;

use super::LinkId;
use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use super::link::Link;
use super::pulling::{Offer, Pulling, Question, RowsJob, inadmissible};
use crate::planted::planted;
use crate::probes::{always, never, sometimes};
use crate::state::{Job, JobError, Place};
use crate::store::StoreError;

impl Engine {
    /// Starts whatever catch-up is needed and possible, and the live feeds of links that need none.
    pub(super) fn consider_pulls(&mut self) {
        for namespace in NAMESPACES {
            let waits = namespace != Namespace::SYSTEM && self.is_busy_with(Namespace::SYSTEM);
            if !waits {
                self.consider_refresh(namespace);
            }
            self.start_feeds(namespace);
            if self.pulls.contains_key(&namespace) && !planted!("one supplier at a time") {
                continue;
            }
            // The system namespace is brought level first: it says who is who.
            if waits {
                continue;
            }
            if let Some(settled) = self.settled_refresh(namespace) {
                self.pull_compared(settled);
                continue;
            }
            if let Some(link) = self.best_supplier(namespace) {
                self.start_pull(link, namespace);
            }
        }
    }

    /// Asks for a live feed on each link that has nothing to be pulled first.
    fn start_feeds(&mut self, namespace: Namespace) {
        let ready: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.may_take() && !link.fed.contains(&namespace))
            .map(|(&id, _)| id)
            .filter(|&id| !self.lacks(id, namespace) || planted!("a catch-up before the feed"))
            .collect();
        for link_id in ready {
            let from = self.inboxes[&namespace].received().clone();
            if let Some(link) = self.links.get_mut(&link_id) {
                link.fed.insert(namespace);
            }
            self.send(link_id, Lane::Control, &Message::Feed { namespace, from });
        }
    }

    /// Whether the peer has something that must be pulled: anything at all before the first feed, later only
    /// what has made no progress for H, since a feed or a relay is expected to bring it.
    fn lacks(&self, link_id: LinkId, namespace: Namespace) -> bool {
        let link = &self.links[&link_id];
        if link.must_pull.contains(&namespace) || self.is_below_floor_of(link_id, namespace) {
            return true;
        }
        let is_new = !link.fed.contains(&namespace);
        let Some(peer) = self.peers.get(&link.peer) else { return false };
        let received = self.inboxes[&namespace].received();
        let stale_ms = self.now.mono_ms.saturating_sub(self.config.digest_ms);
        if !is_new && self.lacking.values().all(|&since_ms| since_ms > stale_ms) {
            return false;
        }
        peer.vectors(namespace).applied.beyond(received).any(|range| {
            let is_stale = self
                .lacking
                .get(&(namespace, range.incarnation))
                .is_some_and(|&since_ms| since_ms <= stale_ms)
                && !planted!("what stays lacking is pulled");
            is_stale || (is_new && !self.is_fed_elsewhere(range.incarnation, namespace, link_id))
        })
    }

    /// Whether another link brings what is written under an incarnation, so that it is on its way: that of
    /// its owner, or its source in the tree.
    fn is_fed_elsewhere(
        &self,
        incarnation: millpond_core::Incarnation,
        namespace: Namespace,
        except: LinkId,
    ) -> bool {
        let owner = self.owner(incarnation);
        let tree = self.trees.get(&namespace).filter(|tree| tree.is_fed(incarnation));
        let source = tree.and_then(|tree| tree.source(incarnation));
        self.links.iter().any(|(&id, link)| {
            let is_source =
                source == Some(id) || (Some(link.peer) == owner && link.terms().feeds_own);
            id != except && link.is_open() && is_source && link.fed.contains(&namespace)
        })
    }

    /// Of the links that have something to be pulled the one whose peer has most; to resume a cut, its
    /// supplier. Delayed replicas are asked last: they are there to be left alone.
    fn best_supplier(&self, namespace: Namespace) -> Option<LinkId> {
        let received = self.inboxes[&namespace].received();
        let resumable = self.heads.cuts.get(&namespace).map(|cut| cut.supplier);
        let candidates = self.links.iter().filter(|(id, link)| {
            let may_ask = link.may_take() && link.pull_after_ms <= self.now.mono_ms;
            may_ask && !self.is_below_floor_of(**id, namespace) && self.lacks(**id, namespace)
        });
        let best = candidates.max_by_key(|(id, link)| {
            let missing = self.peers[&link.peer].vectors(namespace).applied.count_beyond(received);
            let is_prompt = !self.is_delayed_member(link.peer)
                || planted!("a delayed replica is the last source");
            (Some(link.peer) == resumable, is_prompt, missing, std::cmp::Reverse(**id))
        });
        best.map(|(&id, _)| id)
    }

    pub(super) fn is_delayed_member(&self, key: millpond_core::NodeKey) -> bool {
        self.members.get(key).is_some_and(|member| member.apply_after_ms > 0)
    }

    fn start_pull(&mut self, link_id: LinkId, namespace: Namespace) {
        let Some(link) = self.links.get(&link_id) else { return };
        let (supplier, Some(boot)) = (link.peer, link.boot) else { return };
        // What is received is not here yet, and may never be (R4).
        let applied = match planted!("a request states what is durable") {
            true => self.inboxes[&namespace].received().clone(),
            false => self.applied(namespace).clone(),
        };
        let cut =
            self.heads.cuts.get(&namespace).filter(|_| !link.not_resumed.contains(&namespace));
        let question = Question::new(applied, cut, supplier, boot);
        self.next_transfer += 1;
        let (from, resume) = (question.from.clone(), question.resume.clone());
        let transfer = self.next_transfer;
        let mut pulling = Pulling::new(question, supplier, boot);
        (pulling.link, pulling.transfer) = (link_id, transfer);
        (pulling.since_ms, pulling.progress_ms) = (self.now.mono_ms, self.now.mono_ms);
        self.pulls.insert(namespace, pulling);
        self.peer_mut(supplier).counters.pulls += 1;
        tracing::debug!(%namespace, peer = %supplier.short(), "catch-up asked for");
        self.send(
            link_id,
            Lane::Control,
            &Message::Pull(Pull { namespace, transfer, from, resume }),
        );
    }

    pub(super) fn pull_start(
        &mut self,
        link_id: LinkId,
        transfer: u64,
        offer: Offer,
        rows_expected: u64,
    ) {
        let Some(namespace) = self.pull_of(link_id, transfer) else { return };
        let is_sound = offer.upto.covers_all(&offer.floor);
        if !is_sound && !planted!("a floor is covered") {
            never!("has collected what it does not cover");
            let reason = "a floor above the catch-up's vector";
            return self.close(link_id, CloseCode::Protocol, reason);
        }
        // A batch may name only incarnations that are known to be members'.
        let unknown = offer.upto.iter().find(|dot| self.owner(dot.incarnation).is_none());
        if let Some(unknown) = unknown {
            tracing::debug!(incarnation = %unknown.incarnation, "catch-up put off: not introduced");
            return self.give_up_pull(namespace);
        }
        let now_ms = self.now.mono_ms;
        let Some(pulling) = self.pulls.get_mut(&namespace) else { return };
        if !pulling.starts(offer) {
            // The supplier fell back below what it had supplied: what is staged must not be completed.
            never!("supplies less than before, within one boot");
            self.drop_cut(namespace);
            return self.give_up_pull(namespace);
        }
        pulling.rows_expected = rows_expected;
        pulling.progress_ms = now_ms;
    }

    pub(super) fn pull_rows(&mut self, link_id: LinkId, rows: RowsFrame) {
        let Some(link) = self.links.get(&link_id) else { return };
        let peer = link.peer;
        self.peer_mut(peer).counters.rows_received += rows.len() as u64;
        let Some(namespace) = self.pull_of(link_id, rows.transfer()) else {
            // Of a transfer that was given up.
            sometimes!(RowsOfGivenUp);
            self.peer_mut(peer).counters.rows_duplicate += rows.len() as u64;
            let credit = Credit { push_bytes: 0, rows_bytes: rows.encoded_bytes() as u64 };
            return self.give_credit(link_id, credit);
        };
        let pulling = &self.pulls[&namespace];
        let Some(upto) = &pulling.upto else {
            never!("sends rows before the start");
            return self.close(link_id, CloseCode::Protocol, "rows before the start of a catch-up");
        };
        if let Some(reason) = inadmissible(&rows, &pulling.from, upto) {
            never!("sends rows that are not of the catch-up");
            return self.close(link_id, CloseCode::Protocol, reason);
        }
        let now_ms = self.now.mono_ms;
        let Some(pulling) = self.pulls.get_mut(&namespace) else { return };
        pulling.progress_ms = now_ms;
        pulling.arrived(rows);
        self.submit_rows(namespace);
    }

    pub(super) fn pull_end(&mut self, link_id: LinkId, transfer: u64) {
        let Some(namespace) = self.pull_of(link_id, transfer) else { return };
        let Some(pulling) = self.pulls.get_mut(&namespace) else { return };
        if pulling.upto.is_none() {
            never!("ends a catch-up before its start");
            return self.close(link_id, CloseCode::Protocol, "a catch-up ends before it starts");
        }
        pulling.is_complete = true;
        self.submit_rows(namespace);
    }

    /// Hands rows to the writer: all of them at once if they are few, else slice by slice, and in the end the
    /// flip.
    pub(super) fn submit_rows(&mut self, namespace: Namespace) {
        loop {
            let is_empty = self.applied(namespace).is_empty();
            let place = self.heads.place(namespace);
            let limits = self.config.limits;
            let other = self.heads.cuts.get(&namespace).map(|cut| cut.direct);
            let Some(pulling) = self.pulls.get_mut(&namespace) else { return };
            if pulling.jobs >= JOBS_MAX {
                sometimes!(RowsWaitForWriter);
                return;
            }
            if other.is_some_and(|is_direct| pulling.takes_place(is_direct, &limits)) {
                return self.drop_cut(namespace);
            }
            let Some(job) = pulling.next_job(namespace, is_empty, place, &limits) else {
                return;
            };
            let pending = pulling.pending(namespace);
            pulling.jobs += 1;
            if matches!(job, Job::Cut(_)) {
                pulling.slice_handed(self.now.mono_ms);
            }
            self.submit(pending, job);
        }
    }

    /// Rows are in the store; perhaps all of them.
    pub(super) fn rows_committed(&mut self, job: &RowsJob) {
        let RowsJob { namespace, link, .. } = *job;
        self.give_credit(link, Credit { push_bytes: 0, rows_bytes: job.bytes });
        // What it brought is not in the ring; also if the transfer's link is gone by now. No more than that:
        // a base that took in what was written meanwhile would send two busy nodes pulling from each other
        // for ever.
        if let Some(upto) = &job.covers {
            let is_here = self.applied(namespace).covers_all(upto);
            always!(is_here, "a catch-up that is committed is covered");
            if !planted!("a catch-up raises the ring's base") {
                self.ring.raise_base(namespace, upto);
            }
            self.note_cut(namespace, upto);
        }
        if self.pull_of(link, job.transfer).is_none() {
            sometimes!(RowsCommittedLate);
            return self.consider_pulls();
        }
        if job.covers.is_none() {
            let users_wait = self.jobs.values().any(|it| matches!(it, Pending::Write { .. }));
            let (now_ms, limits) = (self.now.mono_ms, self.config.limits);
            if let Some(pulling) = self.pulls.get_mut(&namespace) {
                always!(pulling.jobs > 0, "a job of rows ends once");
                pulling.jobs -= 1;
                pulling.progress_ms = now_ms;
                pulling.slice_done(now_ms, users_wait, &limits);
            }
            return self.submit_rows(namespace);
        }
        let pulling = self.pulls.remove(&namespace);
        for link in self.links.values_mut() {
            link.must_pull.remove(&namespace);
        }
        if let Some(link) = self.links.get_mut(&link) {
            link.pulls_in_vain = 0;
            link.below_floor.remove(&namespace);
            link.not_resumed.remove(&namespace);
        }
        if let Some(session) = pulling.and_then(|it| it.session) {
            if let Some(link) = self.links.get_mut(&link) {
                link.refresh_wanted.remove(&namespace);
            }
            sometimes!(RefreshFlipped);
            self.end_comparison((link, session));
        }
        tracing::debug!(%namespace, link = link.0, "caught up");
        self.consider_pulls();
    }

    /// Rows were not taken: the catch-up begins again, somewhat later.
    pub(super) fn rows_failed(&mut self, job: &RowsJob, error: &JobError) {
        tracing::warn!(%error, "a catch-up was not applied");
        let RowsJob { namespace, link, .. } = *job;
        self.give_credit(link, Credit { push_bytes: 0, rows_bytes: job.bytes });
        match error {
            // The end of the incarnation was not written, for want of room: so now.
            JobError::ClaimsOwn(open)
                if self.closed == Some(*open) && self.heads.open.is_none() =>
            {
                sometimes!(EndIsWrittenAgain);
                self.submit(Pending::Note, Job::Close);
            }
            JobError::ClaimsOwn(open) if self.closed == Some(*open) => {}
            JobError::ClaimsOwn(_) => {
                sometimes!(FencedByBatch);
                self.found_overtaken(error.to_string());
                self.reissue();
            }
            JobError::Base => sometimes!(BatchBaseRefused),
            JobError::NoCut => sometimes!(BatchWithoutCut),
            JobError::Occupied => sometimes!(CutMeetsAnother),
            JobError::Store(_) => sometimes!(BatchFindsNoRoom),
            _ => {}
        }
        if self.pull_of(link, job.transfer).is_none() {
            return;
        }
        if matches!(error, JobError::Overtaken) {
            return self.look_for_absences_again(namespace);
        }
        let is_void = match error {
            JobError::Base | JobError::BelowFloor | JobError::NoCut | JobError::Occupied => true,
            // One of its rows may be what is damaged: it would fail for ever.
            JobError::Store(StoreError::Corrupt { .. }) => {
                sometimes!(DamagedCutDropped);
                !planted!("a damaged catch-up starts anew")
            }
            _ => false,
        };
        if is_void {
            self.drop_cut(namespace);
        }
        // What the store could not take now it will hardly take at once.
        let retry_ms = self.now.mono_ms + self.config.digest_ms;
        if !planted!("a catch-up that found no room pauses") {
            self.links.values_mut().for_each(|link| link.pull_after_ms = retry_ms);
        }
        self.give_up_pull(namespace);
    }

    /// Gives up a catch-up and turns to the next supplier, or to the same one a little later.
    pub(super) fn give_up_pull(&mut self, namespace: Namespace) {
        let Some(pulling) = self.pulls.remove(&namespace) else { return };
        tracing::debug!(%namespace, link = pulling.link.0, "catch-up given up");
        if let Some(session) = pulling.session {
            self.drop_comparison((pulling.link, session));
        }
        // Its rows will not be used, and the window that they fill is the link's.
        sometimes!(pulling.frames_bytes > 0, GivenUpWithRows);
        let rows_bytes = pulling.owed_bytes();
        if !planted!("rows that are given up are credited") {
            self.give_credit(pulling.link, Credit { push_bytes: 0, rows_bytes });
        }
        let mut retry_ms = self.now.mono_ms + RETRY_MS;
        if let Some(link) = self.links.get_mut(&pulling.link) {
            // What it refused long ago tells nothing of now: it may have been busy with others.
            let is_long_ago = self.now.mono_ms >= link.pull_after_ms + self.config.digest_ms;
            if is_long_ago && !planted!("refusals of long ago do not count") {
                link.pulls_in_vain = 0;
            }
            // It may be unable for long: a disk that rots, say.
            if !planted!("whoever refuses is asked ever later") {
                retry_ms = self.now.mono_ms + (RETRY_MS << link.pulls_in_vain.min(DOUBLINGS_MAX));
            }
            link.pulls_in_vain += 1;
            link.pull_after_ms = link.pull_after_ms.max(retry_ms);
        }
        self.pull_retry_ms = self.pull_retry_ms.min(retry_ms);
        self.consider_pulls();
    }

    pub(super) fn pull_refused(&mut self, link_id: LinkId, transfer: u64, reason: PullRefusal) {
        if let Some(namespace) = self.pull_of(link_id, transfer) {
            sometimes!(reason == PullRefusal::Busy, SupplierIsBusy);
            tracing::debug!(%namespace, ?reason, "catch-up refused");
            let refused = self.pulls.get(&namespace);
            let refused = refused.map(|pulling| (pulling.is_resumed(), pulling.from.clone()));
            if reason == PullRefusal::BelowFloor
                && let Some((is_resumed, from)) = refused
                && let Some(link) = self.links.get_mut(&link_id)
            {
                // What this node holds may be above the floor though the base of an old cut is not.
                match is_resumed && !planted!("a resumption that is refused begins anew") {
                    true => _ = link.not_resumed.insert(namespace),
                    false => _ = link.below_floor.insert(namespace, from),
                }
            }
            self.give_up_pull(namespace);
        }
    }

    pub(super) fn pull_link_lost(&mut self, link_id: LinkId) {
        for namespace in NAMESPACES {
            if self.pulls.get(&namespace).is_some_and(|pulling| pulling.link == link_id) {
                sometimes!(PullLosesItsLink);
                self.give_up_pull(namespace);
            }
        }
    }

    /// The peer cannot feed this node from where it is: pull first.
    pub(super) fn feed_refused(&mut self, link_id: LinkId, namespace: Namespace) {
        let retry_ms = self.now.mono_ms + RETRY_MS;
        if !NAMESPACES.contains(&namespace) {
            never!("cannot feed a namespace that there is not");
            return;
        }
        let Some(link) = self.links.get_mut(&link_id) else { return };
        sometimes!(MustPullFirst);
        if !planted!("a feed that was refused is asked for again") {
            link.fed.remove(&namespace);
        }
        link.must_pull.insert(namespace);
        if let Some(tree) = self.trees.get_mut(&namespace) {
            tree.refused(link_id);
        }
        self.pull_retry_ms = self.pull_retry_ms.min(retry_ms);
    }

    /// Catch-ups without progress are given up, and what is lacking is looked at again.
    pub(super) fn run_pulls(&mut self) {
        let now_ms = self.now.mono_ms;
        for namespace in NAMESPACES {
            let is_stuck = |pulling: &&Pulling| pulling.progress_ms + PROGRESS_MS_MAX <= now_ms;
            if self.waiting_pull(namespace).filter(is_stuck).is_some() {
                sometimes!(PullIsStuck);
                self.give_up_pull(namespace);
            }
        }
        if self.pull_retry_ms <= now_ms {
            self.forget_lost();
            self.pull_retry_ms = self.next_pull_retry_ms();
            self.consider_pulls();
        }
    }

    /// A link that may not be asked yet is come back to; so is whatever is lacking.
    fn next_pull_retry_ms(&self) -> u64 {
        let now_ms = self.now.mono_ms;
        let refreshes = |link: &Link| link.refresh_after_ms.values().copied().collect::<Vec<_>>();
        let is_kept = !planted!("a refresh that was put off is come back to");
        let put_off = self.links.values().filter(|_| is_kept).flat_map(refreshes);
        let again = self.links.values().map(|link| link.pull_after_ms).chain(put_off);
        let again_ms = again.filter(|&at_ms| at_ms > now_ms).min().unwrap_or(u64::MAX);
        let stale_ms = if self.lacking.is_empty() { u64::MAX } else { self.config.digest_ms };
        again_ms.min(now_ms.saturating_add(stale_ms))
    }

    /// Whoever had what is lacking may have fallen back, and then nobody has it: it will not come, and this
    /// node is not behind. A peer's vector follows its pushes within a digest's time.
    fn forget_lost(&mut self) {
        let old_ms = self.now.mono_ms.saturating_sub(2 * self.config.digest_ms);
        let (peers, inboxes) = (&self.peers, &self.inboxes);
        self.lacking.retain(|(namespace, incarnation), since_ms| {
            let received = inboxes[namespace].received().seq(*incarnation);
            let has_more = |seq: u64| seq > received;
            *since_ms > old_ms
                || planted!("what nobody has is not lacking")
                || peers
                    .values()
                    .any(|it| has_more(it.vectors(*namespace).applied.seq(*incarnation)))
        });
    }

    pub(super) fn next_pull_ms(&self) -> u64 {
        let waiting = NAMESPACES.into_iter().filter_map(|it| self.waiting_pull(it));
        let deadlines = waiting.map(|pulling| pulling.progress_ms + PROGRESS_MS_MAX);
        deadlines.min().unwrap_or(u64::MAX).min(self.pull_retry_ms)
    }

    /// The catch-up of a namespace if it waits for its supplier.
    fn waiting_pull(&self, namespace: Namespace) -> Option<&Pulling> {
        let is_free = self.heads.place(namespace) == Place::Free;
        let pulling = self.pulls.get(&namespace)?;
        let waits_for_place = !is_free
            && pulling.waits_for_place(&self.config.limits)
            && !planted!("a catch-up outlasts the fold before it");
        (pulling.jobs == 0 && !waits_for_place).then_some(pulling)
    }

    fn pull_of(&self, link_id: LinkId, transfer: u64) -> Option<Namespace> {
        let mut pulls = self.pulls.iter();
        pulls.find(|(_, it)| it.link == link_id && it.transfer == transfer).map(|(&ns, _)| ns)
    }
}

/// Jobs of one catch-up at the writer.
const JOBS_MAX: usize = 2;
/// How long a supplier may send nothing.
const PROGRESS_MS_MAX: u64 = 10_000;
/// When to look again after a first refusal; each further one doubles it.
const RETRY_MS: u64 = 300;
/// Up to about five seconds.
const DOUBLINGS_MAX: u32 = 4;
