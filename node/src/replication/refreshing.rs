//! Refresh: when two nodes can no longer tell each other what changed, since tombstones between them are gone
//! (R9). They compare their states instead, and each joins the other's half of what differs.

use millpond_core::message::{Message, Purpose};
use millpond_core::transport::Lane;
use millpond_core::{Namespace, VersionVector};

use super::LinkId;
use super::absences::Absences;
use super::commit::Pending;
use super::comparing::{Comparing, SessionId};
use super::engine::Engine;
use super::link::Link;
use super::pulling::{Pulling, Question};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Cut, CutMark, Job, Takeover, View, tells_all};
use crate::store::StoreError;

impl Engine {
    /// Whether this node and a peer can no longer tell each other what changed in a namespace.
    pub(super) fn needs_refresh_in(&self, link_id: LinkId, namespace: Namespace) -> bool {
        let Some(link) = self.links.get(&link_id) else { return false };
        let Some(peer) = self.peers.get(&link.peer) else { return false };
        let (ours, theirs) = (self.applied(namespace), &peer.vectors(namespace).applied);
        self.is_below_floor_of(link_id, namespace)
            || !tells_all(theirs, ours, self.heads.floor(namespace))
    }

    /// Whether a peer can no longer tell this node what changed.
    pub(super) fn is_below_floor_of(&self, link_id: LinkId, namespace: Namespace) -> bool {
        let Some(link) = self.links.get(&link_id) else { return false };
        let Some(peer) = self.peers.get(&link.peer) else { return false };
        let (ours, theirs) = (self.applied(namespace), &peer.vectors(namespace).applied);
        let is_told = tells_all(ours, theirs, peer.floor(namespace));
        // Its floor has risen since its hello. What has come from others since may be all that it has collected.
        let is_refused = link.below_floor.get(&namespace).is_some_and(|from| {
            from.covers_all(ours) || planted!("who has come further asks again")
        });
        (is_refused || !is_told) && !planted!("who cannot be told what changed is refreshed")
    }

    /// A peer says what it has collected since its hello.
    pub(super) fn note_floor(
        &mut self,
        link_id: LinkId,
        namespace: Namespace,
        floor: &VersionVector,
    ) {
        let Some(link) = self.links.get(&link_id) else { return };
        let peer = self.peers.entry(link.peer).or_default();
        peer.floors.entry(namespace).or_default().join(floor);
    }

    /// Whether a namespace is being brought level.
    pub(super) fn is_busy_with(&self, namespace: Namespace) -> bool {
        let refreshes =
            |it: &Comparing| it.namespace == namespace && it.purpose == Purpose::Refresh;
        self.pulls.contains_key(&namespace) || self.comparisons.values().any(refreshes)
    }

    /// Asks for the comparison that a refresh begins with, where one is needed; true while one is under way.
    pub(super) fn consider_refresh(&mut self, namespace: Namespace) -> bool {
        let is_under_way = self
            .comparisons
            .values()
            .any(|it| it.namespace == namespace && it.purpose == Purpose::Refresh);
        if is_under_way || planted!("who cannot be told what changed is refreshed") {
            return is_under_way;
        }
        // Rows of a refresh that broke off may be on their way to the disk: it is compared once they are there.
        let is_of_it =
            |it: &Pending| matches!(it, Pending::Rows(job) if job.namespace == namespace);
        if self.jobs.values().any(is_of_it) {
            return false;
        }
        let now_ms = self.now.mono_ms;
        let asks = self.links.iter().find(|(id, link)| {
            let is_wanted = link.refresh_wanted.contains(&namespace);
            let is_due = self.may_refresh(link, namespace)
                && self.asks_first(link)
                && self.needs_refresh_in(**id, namespace);
            let may_ask = link.may_take() && link.has_greeted();
            let is_put_off = link.refresh_after_ms.get(&namespace).is_some_and(|&it| it > now_ms);
            may_ask && !is_put_off && (is_due || is_wanted)
        });
        let Some((&link_id, _)) = asks else { return false };
        sometimes!(RefreshAsked);
        tracing::info!(%namespace, link = link_id.0, "refresh asked for");
        self.put_off_refresh(link_id, namespace);
        self.ask_comparison(link_id, namespace, Purpose::Refresh).is_some()
    }

    /// Whether a refresh over a link may be made, by the operator's settings or wish.
    pub(super) fn may_refresh(&self, link: &Link, namespace: Namespace) -> bool {
        !link.rules.refresh_waits
            || link.refresh_wanted.contains(&namespace)
            || planted!("a refresh may wait for the operator")
    }

    /// One of two that both need it asks, at first: the lesser key. Later either does, since it may not be
    /// known on the other side; and who is no source yet, whom nobody asks.
    fn asks_first(&self, link: &Link) -> bool {
        self.config.key < link.peer || !link.refresh_after_ms.is_empty() || !self.is_source()
    }

    /// A refresh of a namespace is not asked for again at once over this link.
    pub(super) fn put_off_refresh(&mut self, link_id: LinkId, namespace: Namespace) {
        let after_ms = self.now.mono_ms + 2 * self.config.digest_ms;
        if let Some(link) = self.links.get_mut(&link_id) {
            link.refresh_after_ms.insert(namespace, after_ms);
        }
        self.pull_retry_ms = self.pull_retry_ms.min(after_ms);
    }

    /// Forgets a comparison; a refresh is then not begun anew at once.
    pub(super) fn drop_comparison(&mut self, id: SessionId) {
        if let Some(ended) = self.comparisons.remove(&id)
            && ended.purpose == Purpose::Refresh
        {
            self.put_off_refresh(id.0, ended.namespace);
        }
    }

    /// A comparison that has ended and of which this side lacks the peer's half.
    pub(super) fn settled_refresh(&self, namespace: Namespace) -> Option<SessionId> {
        let ready = self.comparisons.iter().find(|(id, it)| {
            it.namespace == namespace
                && it.purpose == Purpose::Refresh
                && it.differs().is_some()
                && !it.is_pulled
                && self.links.get(&id.0).is_some_and(|link| link.may_take_compared())
        });
        ready.map(|(&id, _)| id)
    }

    /// Asks for the peer's half of a comparison.
    pub(super) fn pull_compared(&mut self, id: SessionId) {
        let Some(comparing) = self.comparisons.get_mut(&id) else { return };
        comparing.is_pulled = true;
        let Some(link) = self.links.get(&id.0) else { return };
        let (supplier, Some(boot)) = (link.peer, link.boot) else { return };
        self.next_transfer += 1;
        let question = Question::of_compared(comparing.vv.clone());
        let namespace = comparing.namespace;
        let transfer = self.next_transfer;
        let mut pulling = Pulling::new(question, supplier, boot);
        (pulling.link, pulling.transfer) = (id.0, transfer);
        (pulling.session, pulling.looks_for_absences) = (Some(id.1), true);
        (pulling.since_ms, pulling.progress_ms) = (self.now.mono_ms, self.now.mono_ms);
        if let Some((held, upto, taking_over)) = comparing.taking_over() {
            sometimes!(RefreshTakesOver);
            pulling.take_over(held, &upto, taking_over);
        }
        self.pulls.insert(namespace, pulling);
        self.peer_mut(supplier).counters.pulls += 1;
        let message = Message::PullCompared { session: id.1, transfer, resume: None };
        // Behind all that was said of ranges.
        self.send(id.0, Lane::Bulk, &message);
    }

    /// Whether what a supplier left out can be looked for.
    pub(super) fn has_absences_to_step(&self) -> bool {
        self.pulls.values().any(Pulling::wants_absences)
    }

    /// One step of finding what suppliers left out.
    pub(super) fn step_absences(&mut self) {
        let wanting = self.pulls.iter().filter(|(_, it)| it.wants_absences());
        for namespace in wanting.map(|(&it, _)| it).collect::<Vec<_>>() {
            if let Err(error) = self.step_absence(namespace) {
                tracing::error!(%error, "a refresh cannot go on");
                self.drop_cut(namespace);
                self.give_up_pull(namespace);
            }
        }
    }

    fn step_absence(&mut self, namespace: Namespace) -> Result<(), StoreError> {
        let Some(pulling) = self.pulls.get_mut(&namespace) else { return Ok(()) };
        let id = (pulling.link, pulling.session.unwrap_or_default());
        let (Some(comparing), Some(mark), Some(upto)) =
            (self.comparisons.get(&id), pulling.mark.clone(), pulling.upto.clone())
        else {
            self.give_up_pull(namespace);
            return Ok(());
        };
        let Some(differs) = comparing.differs().cloned() else { return Ok(()) };
        let absences = match pulling.absences.take() {
            Some(absences) => absences,
            None => {
                let compared = View::new(comparing.snapshot.clone(), namespace)?;
                let checked = mark.compared.clone().unwrap_or_default();
                let is_again = pulling.is_overtaken;
                let (now, base) = (self.store.snapshot()?, (compared, differs));
                Absences::new(namespace, now, base, (upto, checked), is_again)
            }
        };
        let absences = pulling.absences.insert(absences);
        pulling.progress_ms = self.now.mono_ms;
        match absences.step(pulling.transfer)? {
            Some(rows) => rows.into_iter().for_each(|rows| pulling.found(rows)),
            None => {
                let checked = absences.checked()?;
                let mark = CutMark { compared: Some(checked), ..mark };
                pulling.mark = Some(mark.clone());
                (pulling.looks_for_absences, pulling.absences) = (false, None);
                pulling.jobs += 1;
                let pending = pulling.pending(namespace);
                let (rows, takes) = (Vec::new(), Takeover::default());
                let cut = Cut { namespace, mark, begins: false, rows, takes };
                self.submit(pending, Job::Cut(cut));
            }
        }
        self.submit_rows(namespace);
        Ok(())
    }

    /// Something came since the supplier and this node were compared: it is compared too, and the flip tried
    /// again.
    pub(super) fn look_for_absences_again(&mut self, namespace: Namespace) {
        sometimes!(RefreshOvertaken);
        let Some(pulling) = self.pulls.get_mut(&namespace) else { return };
        pulling.jobs -= 1;
        (pulling.is_finishing, pulling.looks_for_absences) = (false, true);
        pulling.is_overtaken = true;
    }

    /// The peer has been sent this side's half.
    pub(super) fn supplied_compared(&mut self, id: SessionId) {
        if let Some(comparing) = self.comparisons.get_mut(&id) {
            comparing.is_supplied = true;
            self.end_comparison(id);
        }
    }

    /// Forgets a comparison of which both sides have what they want. Who keeps one waits with it: tombstones are
    /// not collected, and the node counts as being refreshed.
    pub(super) fn end_comparison(&mut self, id: SessionId) {
        let may_take = self.links.get(&id.0).is_some_and(|link| link.may_take_compared());
        let gives = self.gives_to(id.0);
        let is_pulling = self.pulls.values().any(|it| it.link == id.0 && it.session == Some(id.1));
        let Some(comparing) = self.comparisons.get(&id) else { return };
        let is_done = comparing.is_pulled && !is_pulling || !may_take;
        if is_done && (comparing.is_supplied || !gives) {
            sometimes!(comparing.purpose == Purpose::Refresh, RefreshDone);
            self.drop_comparison(id);
        }
    }
}
