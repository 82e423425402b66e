//! What becomes of writes whose numbers went on elsewhere (DESIGN 9).
//!
//! A store that falls back by less than a second proves its continuity, and goes on with numbers under which
//! others hold what it has lost. The first peer that knows more ends that. What this boot has issued is not
//! what others hold under the same numbers: it leaves the state and reappears under a new incarnation, in one
//! commit, and an ordinary catch-up brings what was lost. The vector falls with that commit, which nothing
//! else may do; so the engine begins anew, as after a restart, and all links with it.

use std::collections::BTreeMap;

use millpond_core::message::CloseCode;
use millpond_core::{Incarnation, Namespace};

use super::commit::Pending;
use super::engine::{Engine, NAMESPACES};
use super::fence::Overtaken;
use super::verify_plan::Verify;
use super::{LinkId, Output, Token};
use crate::probes::{always, sometimes};
use crate::state::{Heads, Job, JobError, Outcome, Reissue, meta_key};

/// What came of the jobs of a group.
type Results = Vec<(Token, Result<Outcome, JobError>)>;

impl Engine {
    /// Others hold what this node never issued under its open incarnation. Nothing is written from here on, and
    /// what this boot has issued is disputed, until a peer tells that it holds the same.
    pub(super) fn found_overtaken(&mut self, why: String) {
        let Some(incarnation) = self.heads.open else { return };
        if self.is_reissuing() {
            return;
        }
        let began = NAMESPACES.map(|it| (it, self.heads.began.vv(it).seq(incarnation)));
        let is_at_writer = self.jobs.values().any(Pending::may_issue);
        let has_issued = began.iter().any(|(it, seq)| self.applied(*it).seq(incarnation) > *seq);
        if !has_issued && !is_at_writer {
            // Nothing is disputed yet: what is here is a part of what others hold.
            sometimes!(OvertakenInTime);
            return self.end_incarnation();
        }
        tracing::error!(why, "writes of this boot are issued anew");
        self.overtaken = Some(Overtaken { why, incarnation, stands: began.into() });
        self.note_fence();
    }

    /// A peer has told which of this boot's writes it holds as well.
    pub(super) fn histories_compared(
        &mut self,
        link_id: LinkId,
        agreed: &BTreeMap<Namespace, u64>,
        differs: bool,
    ) {
        if differs {
            sometimes!(HistoriesDiffer);
            let peer = self.links.get(&link_id).map(|link| link.peer.short().to_string());
            self.found_overtaken(format!(
                "{} holds other writes than this store under the same numbers: the store was replaced by an \
                 older image, or copied",
                peer.unwrap_or_default()
            ));
        }
        if let Some(overtaken) = &mut self.overtaken {
            for (namespace, stands) in &mut overtaken.stands {
                *stands = agreed.get(namespace).map_or(*stands, |agreed| (*stands).max(*agreed));
            }
            self.reissue();
        }
    }

    /// Whether disputed writes are on their way to be issued anew.
    pub(super) fn is_reissuing(&self) -> bool {
        self.overtaken.is_some()
    }

    /// Gives the writer the one job that lifts the fence. It comes behind all that this boot has issued.
    pub(super) fn reissue(&mut self) {
        let Some(Overtaken { incarnation, stands, .. }) = self.overtaken.clone() else { return };
        if self.jobs.values().any(|job| matches!(job, Pending::Reissue)) {
            return;
        }
        for link in self.links.keys().copied().collect::<Vec<LinkId>>() {
            self.close(link, CloseCode::ShuttingDown, "writes are being issued anew");
        }
        let job = Reissue {
            ended: incarnation,
            stands,
            fresh: Incarnation::from_bytes(self.random_id()),
            key: self.config.key,
            now_ms: self.now.wall_ms,
            notes: vec![(meta_key::overtaken(), None)],
        };
        self.submit(Pending::Reissue, Job::Reissue(job));
    }

    /// Whether disputed writes were issued anew, or the domain was left for another one.
    pub(super) fn begins_anew(&self, results: &Results) -> bool {
        let is_it = |(token, result): &(Token, Result<Outcome, JobError>)| {
            result.is_ok()
                && matches!(self.jobs.get(token), Some(Pending::Reissue | Pending::Enter { .. }))
        };
        results.iter().any(is_it)
    }

    /// The vector has fallen: nothing that was believed of links, peers and feeds holds any more.
    pub(super) fn begin_anew(&mut self, results: Results, heads: &Heads) {
        sometimes!(EngineBeginsAnew);
        for (token, result) in results {
            // What it wrote is in the store, under the numbers of now: it is not fed.
            if let Some(pending) = self.jobs.remove(&token) {
                self.follow(pending, result);
            }
        }
        self.end_disputed_waits();
        always!(self.links.is_empty(), "no link outlives the vector that it was told of");
        let mut config = self.config.clone();
        config.is_continuous = true;
        let mut next = match Self::load(config, self.store.clone(), self.now) {
            Ok(next) => next,
            Err(error) => {
                // The store has failed, and the node ends with it.
                tracing::error!(%error, "the store cannot be read");
                return;
            }
        };
        always!(next.heads.vv == heads.vv, "the store holds what the writer says");
        next.heads = heads.clone();
        next.take_over(self);
        *self = next;
        for namespace in NAMESPACES {
            let vv = self.applied(namespace).clone();
            self.emit(Output::Applied { namespace, vv });
        }
        let vv = self.heads.vv(self.heads.shown()).clone();
        self.emit(Output::Shown { vv });
        self.drop_retired();
        self.members_changed();
    }

    /// Takes from the engine before what does not depend on the vector.
    fn take_over(&mut self, before: &mut Self) {
        self.rng = before.rng.clone();
        self.started_ms = before.started_ms;
        self.delaying = std::mem::take(&mut before.delaying);
        (self.next_token, self.next_transfer) = (before.next_token, before.next_transfer);
        self.totals = std::mem::take(&mut before.totals);
        self.surveys = std::mem::take(&mut before.surveys);
        let fresh = Verify::new(self.config.verify, self.now);
        self.verify = std::mem::replace(&mut before.verify, fresh).outliving();
        self.asked_refreshes = std::mem::take(&mut before.asked_refreshes);
        self.rotation = std::mem::take(&mut before.rotation).outliving();
        self.recovery.is_unproven = before.recovery.is_unproven;
        self.concerns = std::mem::take(&mut before.concerns);
        self.bookmarks = std::mem::take(&mut before.bookmarks);
        self.outputs = std::mem::take(&mut before.outputs);
        for (token, pending) in std::mem::take(&mut before.jobs) {
            self.jobs.insert(token, pending.outliving());
        }
        for (&key, state) in &before.peers {
            let next = self.peer_mut(key);
            next.counters = state.counters.clone();
            (next.is_paused, next.is_dialing) = (state.is_paused, state.is_dialing);
        }
    }
}
