//! Under which incarnation this node may write: whether the store continues where its last boot stopped.

use std::collections::BTreeSet;

use millpond_core::{Namespace, NodeKey};

use super::RequestId;
use super::commit::Pending;
use super::engine::Engine;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::{Job, LocalClosure};

/// Whether the store's incarnation may be continued (R5): nobody else can have issued its next seqs.
pub(super) enum Continuity {
    /// By a lease, by its peers' answers, or because no incarnation is open: the next write opens one.
    Proven,
    /// Not yet: the first write waits a little for the answers of all members.
    Unproven {
        /// Who has answered this boot.
        answered: BTreeSet<NodeKey>,
        /// Writes that wait, and until when.
        waiting: Vec<(RequestId, LocalClosure)>,
        until_ms: Option<u64>,
    },
}

impl Continuity {
    pub(super) fn unproven() -> Self {
        Self::Unproven { answered: BTreeSet::new(), waiting: Vec::new(), until_ms: None }
    }

    pub(super) fn is_proven(&self) -> bool {
        matches!(self, Self::Proven)
    }

    pub(super) fn deadline_ms(&self) -> u64 {
        match self {
            Self::Unproven { until_ms: Some(until_ms), .. } => *until_ms,
            _ => u64::MAX,
        }
    }
}

impl Engine {
    /// A member has said hello to this boot, and told whether it knows more of this node's incarnation.
    pub(super) fn continuity_answer(&mut self, peer: NodeKey, knows_more: bool) {
        if let Continuity::Unproven { answered, .. } = &mut self.continuity {
            answered.insert(peer);
            if knows_more {
                sometimes!(RenewedByAnswer);
                return self.renew();
            }
            self.check_answers();
        }
    }

    /// Continuity is proven when every member not forgotten has answered; a replica alone has no proof.
    pub(super) fn check_answers(&mut self) {
        let Continuity::Unproven { answered, .. } = &self.continuity else { return };
        let own = self.config.key;
        let others: Vec<NodeKey> =
            self.members.iter().map(|(key, _)| key).filter(|key| *key != own).collect();
        let is_enough = planted!("all members answer, the silent ones too") && !answered.is_empty();
        // An image may be too old to know all members: whoever answers tells of them first.
        let system = self.applied(Namespace::SYSTEM);
        let tells = |key| self.peers.get(key).map(|peer| &peer.vectors(Namespace::SYSTEM).durable);
        let is_told = answered.iter().filter_map(tells).all(|told| system.covers_all(told))
            || planted!("answers count once the members are known");
        let have_all = others.iter().all(|key| answered.contains(key));
        if others.is_empty() {
            sometimes!(RenewedAlone);
            self.renew();
        } else if is_told && (is_enough || have_all) {
            sometimes!(ProvenByAnswers);
            self.release(Continuity::Proven);
        } else {
            sometimes!(have_all, AnswersBeforeMembers);
        }
    }

    /// Ends the open incarnation, before any write or batch that comes after. What peers hold of it beyond
    /// this store comes back as anybody's dots.
    pub(super) fn renew(&mut self) {
        tracing::debug!(
            "the store's continuity is not proven: the next write opens a new incarnation"
        );
        self.closed = self.heads.open.take();
        self.submit(Pending::Note, Job::Close);
        self.release(Continuity::Proven);
    }

    fn release(&mut self, continuity: Continuity) {
        if let Continuity::Unproven { waiting, .. } =
            std::mem::replace(&mut self.continuity, continuity)
        {
            for (id, closure) in waiting {
                sometimes!(self.fenced.is_some(), WaitingWriteRefused);
                self.write(id, closure);
            }
        }
    }

    pub(super) fn run_continuity(&mut self) {
        if self.continuity.deadline_ms() <= self.now.mono_ms {
            sometimes!(RenewedByTimeout);
            self.renew();
        }
    }
}

/// How long the first write waits for the members' answers when there is no lease.
pub(super) const ANSWERS_MS_MAX: u64 = 5_000;
