//! Catch-ups that peers have asked this node for: who is answered, and how far each is.

use millpond_core::message::{Message, Pull, PullRefusal};
use millpond_core::transport::Lane;
use millpond_core::wire::RowsFrame;

use super::LinkId;
use super::engine::Engine;
use super::supply::{Step, Supply};
use crate::limits::SUPPLIES_MAX;
use crate::planted::planted;
use crate::probes::{always, never, sometimes};
use crate::store::StoreError;

impl Engine {
    /// A peer asks for all that it lacks.
    pub(super) fn supply(&mut self, link_id: LinkId, pull: Pull) {
        let transfer = pull.transfer;
        if !self.gives_to(link_id) || !self.is_source() {
            sometimes!(PullNotAllowed);
            return self.refuse_pull(link_id, transfer, PullRefusal::NotAllowed);
        }
        if !self.inboxes.contains_key(&pull.namespace) {
            never!("asks for a namespace that there is not");
            return self.refuse_pull(link_id, transfer, PullRefusal::NotAllowed);
        }
        self.answer_pull(link_id, pull);
    }

    /// Answers a question, or goes on with the answer, from the present.
    fn answer_pull(&mut self, link_id: LinkId, pull: Pull) {
        let transfer = pull.transfer;
        let supply = match self.start_supply(pull) {
            Ok(supply) => supply,
            Err(error) => {
                tracing::error!(%error, "a catch-up cannot be supplied");
                return self.refuse_pull(link_id, transfer, PullRefusal::Busy);
            }
        };
        if !supply.tells_all() {
            return self.refuse_pull(link_id, transfer, PullRefusal::BelowFloor);
        }
        if supply.is_torn() {
            // What changed behind the cursor is partly staged, in no order of time.
            sometimes!(ResumptionMeetsFold);
            return self.refuse_pull(link_id, transfer, PullRefusal::Busy);
        }
        self.begin_supply(link_id, supply);
    }

    /// Begins to supply, unless there is too much to do.
    pub(super) fn begin_supply(&mut self, link_id: LinkId, supply: Supply) {
        let (namespace, transfer) = (supply.namespace, supply.transfer);
        let is_verify = supply.is_verify;
        let is_again = |(link, _): &(LinkId, u64), supply: &Supply| {
            *link == link_id && supply.namespace == namespace && supply.is_verify == is_verify
        };
        // A new question on the same link replaces the one before.
        sometimes!(self.supplies.iter().any(|(key, supply)| is_again(key, supply)), AskedAgain);
        self.supplies.retain(|key, supply| !is_again(key, supply));
        if self.supplies.len() >= SUPPLIES_MAX || self.is_recalling(link_id) {
            sometimes!(SuppliesFull);
            return self.refuse_pull(link_id, transfer, PullRefusal::Busy);
        }
        sometimes!(supply.scans, SupplyScans);
        sometimes!(!supply.scans, SupplyCollects);
        let is_newest =
            supply.session.is_some() || supply.upto.covers_all(self.applied(supply.namespace));
        always!(is_newest, "a supplier's snapshot holds what it has applied");
        let (upto, floor) = (supply.upto.clone(), supply.floor.clone());
        let rows_estimate = upto.count_beyond(&supply.from);
        if !planted!("a batch introduces its incarnations") {
            self.introduce_all(link_id, Lane::Bulk, &upto);
        }
        let start = Message::PullStart { transfer, upto, rows_estimate, floor };
        self.send(link_id, Lane::Bulk, &start);
        self.supplies.insert((link_id, transfer), supply);
    }

    pub(super) fn refuse_pull(&mut self, link_id: LinkId, transfer: u64, reason: PullRefusal) {
        self.send(link_id, Lane::Bulk, &Message::PullRefused { transfer, reason });
    }

    fn start_supply(&self, pull: Pull) -> Result<Supply, StoreError> {
        let mut supply = Supply::new(self.store.snapshot()?, pull, self.config.limits)?;
        supply.since_ms = self.now.mono_ms;
        Ok(supply)
    }

    /// A catch-up that takes long goes on from the present, as if it had been cut off and resumed: a snapshot
    /// keeps the store from using again the space of all that has changed since.
    pub(super) fn run_supplies(&mut self) {
        let now_ms = self.now.mono_ms;
        let is_old = |supply: &&Supply| self.renewal_ms(supply) <= now_ms;
        let old = self.supplies.iter().filter(|(_, supply)| is_old(supply));
        let old: Vec<(LinkId, u64)> = old.map(|(&key, _)| key).collect();
        for (link_id, transfer) in old {
            if let Some(supply) = self.supplies.remove(&(link_id, transfer)) {
                sometimes!(SnapshotGivenBack);
                self.answer_pull(link_id, supply.rest());
            }
        }
    }

    /// When a supply takes a new snapshot.
    fn renewal_ms(&self, supply: &Supply) -> u64 {
        match supply.is_renewable() && !planted!("a snapshot is given back in time") {
            true => supply.since_ms.saturating_add(self.config.limits.snapshot_ms),
            false => u64::MAX,
        }
    }

    /// How long the oldest snapshot has been held of those that are given back in time.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn oldest_snapshot_ms(&self) -> u64 {
        let held = self.supplies.values().filter(|it| it.is_renewable());
        held.map(|supply| self.now.mono_ms.saturating_sub(supply.since_ms)).max().unwrap_or(0)
    }

    pub(super) fn next_supply_ms(&self) -> u64 {
        self.supplies.values().map(|it| self.renewal_ms(it)).min().unwrap_or(u64::MAX)
    }

    /// One step of each catch-up whose peer has room.
    pub(super) fn step_supplies(&mut self) {
        let keys: Vec<(LinkId, u64)> = self.supplies.keys().copied().collect();
        for key in keys {
            let (link_id, transfer) = key;
            if !self.links.get(&link_id).is_some_and(|link| link.has_room_for_rows()) {
                sometimes!(RowsWindowFull);
                continue;
            }
            let Some(supply) = self.supplies.get_mut(&key) else { continue };
            if planted!("a catch-up is of one snapshot") {
                supply.snapshot = self.store.snapshot().unwrap_or(supply.snapshot.clone());
            }
            match supply.step() {
                Ok(Step::Working) => {}
                Ok(Step::Frame(frame, payload)) => self.send_rows(link_id, frame, payload),
                Ok(Step::Done { rows }) => {
                    let supplied = self.supplies.remove(&key);
                    let session = supplied.as_ref().and_then(|it| it.session);
                    match supplied.is_some_and(|it| it.is_partial) {
                        true => self.refuse_pull(link_id, transfer, PullRefusal::Busy),
                        false => {
                            self.send(link_id, Lane::Bulk, &Message::PullEnd { transfer, rows });
                        }
                    }
                    if let Some(session) = session {
                        self.supplied_compared((link_id, session));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a catch-up cannot be supplied");
                    self.supplies.remove(&key);
                    let reason = PullRefusal::Busy;
                    self.send(link_id, Lane::Bulk, &Message::PullRefused { transfer, reason });
                }
            }
        }
    }

    fn send_rows(&mut self, link_id: LinkId, frame: RowsFrame, payload: u64) {
        let (rows, bytes) = (frame.len() as u64, frame.encoded_bytes() as u64);
        self.send(link_id, Lane::Bulk, &Message::Rows(frame));
        let Some(link) = self.links.get_mut(&link_id) else { return };
        link.sent.rows_bytes += bytes;
        let counters = &mut self.peers.entry(link.peer).or_default().counters;
        counters.rows_sent += rows;
        counters.payload_bytes_sent += payload;
    }
}
