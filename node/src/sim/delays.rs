//! Delayed replicas: what they may show at each moment, and what they must in the end.
//!
//! What a delayed replica shows is what it held after one of its commits, so long ago that it may be shown, or
//! before a moment up to which its operator wants to see. When something arrived is judged by true time, and
//! moments by the node's wall clock, as operators do.

use millpond_core::{Namespace, VersionVector};

use super::net::NodeId;
use super::node::GivenSpan;
use super::scenario::Order;
use super::stage::{INVITER, Stage};
use super::world::{Check, World, ensure};
use crate::replica::DelayError;
use crate::replication::{Answer, DelayOrder, Request, RequestId};
use crate::state::{DelayMode, Heads, View, WriteError, shown_in};
use crate::status::PeerState;
use crate::store::Store;

/// A delayed replica, as it is seen from outside.
pub(crate) struct Delay {
    apply_after_ms: u64,
    /// What it held after each of its commits, in their order.
    held: Vec<Held>,
    /// The first of what was held that has all that is shown: no earlier than before.
    first: usize,
    /// Until when it was fresh: what there is when it joins is shown at once.
    fresh_until_ms: u64,
    /// Moments up to which it was told to show what had arrived.
    untils: Vec<u64>,
    /// Orders that it has not answered.
    orders: Vec<(RequestId, DelayOrder)>,
    /// What its operator can count on.
    standing: Standing,
    /// Whether it may have been promoted, and whether it was.
    may_be_promoted: bool,
    is_promoted: bool,
}

/// What a node held after a commit.
struct Held {
    given: GivenSpan,
    vv: VersionVector,
    /// Whether a cut was visible and not folded: there is nothing to be shown of such a moment.
    is_folding: bool,
}

/// What an operator can count on, once an order is answered and until the next one.
#[derive(Clone)]
enum Standing {
    /// Nothing: an order is under way, or none was given.
    Open,
    /// Nothing more is shown than this.
    Paused(VersionVector),
    /// What had arrived by a moment is shown, beyond what was shown before: the number of that in `held`.
    Until { wall_ms: u64, from: usize },
}

impl Delay {
    fn new(apply_after_ms: u64, vv: VersionVector) -> Self {
        Self {
            apply_after_ms,
            held: vec![Held { given: GivenSpan::default(), vv, is_folding: false }],
            first: 0,
            fresh_until_ms: u64::MAX,
            untils: Vec::new(),
            orders: Vec::new(),
            standing: Standing::Open,
            may_be_promoted: false,
            is_promoted: false,
        }
    }

    /// Whether it is certainly delayed.
    pub(crate) fn is_sure(&self) -> bool {
        !self.may_be_promoted
    }

    /// The first of what was held that has all of this, which is what is shown.
    fn find(&mut self, shown: &VersionVector) -> Option<usize> {
        let rest = self.held[self.first..].iter();
        let found = rest.clone().position(|held| held.vv.covers_all(shown))?;
        self.first += found;
        Some(self.first)
    }

    fn may_show(&self, index: usize, now_ms: u64) -> bool {
        let GivenSpan { first_ms, wall_ms: (wall_ms, _) } = self.held[index].given;
        index == 0
            || first_ms <= self.fresh_until_ms
            || first_ms + self.apply_after_ms <= now_ms
            || self.untils.iter().any(|until_ms| wall_ms <= *until_ms)
    }

    /// What an answered order promises.
    fn hear(&mut self, order: DelayOrder, done: &Result<(), DelayError>, shown: usize) -> Check {
        let is_last = self.orders.is_empty();
        match (order, done) {
            (_, Err(DelayError::NotDelayed)) => {
                ensure!(self.may_be_promoted, "delay: it says that it is not delayed");
            }
            (DelayOrder::ApplyUntil(_), Err(DelayError::Past | DelayError::Future))
            | (_, Err(DelayError::NotRecorded(_))) => {}
            (_, Err(error)) => return Err(format!("delay: {order:?} is answered {error}")),
            (DelayOrder::Promote, Ok(())) => self.is_promoted = true,
            (DelayOrder::Pause, Ok(())) if is_last => {
                self.standing = Standing::Paused(VersionVector::new());
            }
            (DelayOrder::ApplyUntil(wall_ms), Ok(())) if is_last => {
                self.standing = Standing::Until { wall_ms, from: shown };
            }
            (_, Ok(())) => {}
        }
        Ok(())
    }

    /// Checks that exactly what had arrived by a moment is shown.
    fn shows_moment(&self, wall_ms: u64, from: usize, shown: &VersionVector) -> Check {
        let later = &self.held[from + 1..];
        let in_time = later.iter().take_while(|held| held.given.wall_ms.1 <= wall_ms);
        let due = in_time.filter(|held| !held.is_folding).last();
        ensure!(
            due.is_none_or(|due| shown.covers_all(&due.vv)),
            "delay: up to {wall_ms} it held {:?}, and shows {shown:?}",
            due.map(|due| &due.vv)
        );
        // A group may hold what came in time beside what did not: whatever was so after it may be shown.
        let moments: Vec<&Held> =
            self.held[from..].iter().filter(|held| !held.is_folding).collect();
        let early = moments.windows(2).find(|pair| {
            let is_new =
                !self.held[from].vv.covers_all(&pair[1].vv) && !pair[0].vv.covers_all(&pair[1].vv);
            is_new && pair[1].given.wall_ms.0 > wall_ms && shown.covers_all(&pair[1].vv)
        });
        ensure!(early.is_none(), "delay: it shows {shown:?}, some of it after {wall_ms}");
        Ok(())
    }
}

impl World {
    /// What readers of a node see.
    pub(crate) fn shown(&self, id: NodeId) -> Result<(Namespace, View), String> {
        let snapshot = self.nodes[id].store.snapshot().map_err(|error| error.to_string())?;
        let namespace = shown_in(&*snapshot).map_err(|error| error.to_string())?;
        let view = View::new(snapshot, namespace).map_err(|error| error.to_string())?;
        Ok((namespace, view))
    }

    /// What a delayed replica shows is the state at its vector, whole.
    pub(crate) fn shows_what_it_held(&self, id: NodeId) -> Check {
        let Some(oracle) = self.oracle.as_ref().filter(|_| self.delays.contains_key(&id)) else {
            return Ok(());
        };
        let (_, view) = self.shown(id)?;
        oracle.compare_older(id, Namespace::MAIN, &view).map_err(|why| format!("delay: {why}"))
    }

    /// A node has committed something: if it is delayed, what it shows is looked at.
    pub(crate) fn look_at_delay(&mut self, id: NodeId) {
        let Some(mut delay) = self.delays.remove(&id) else { return };
        let looked = self.look(id, &mut delay);
        self.violated(looked.map_err(|why| format!("{why}, at {id}")));
        self.delays.insert(id, delay);
    }

    fn look(&mut self, id: NodeId, delay: &mut Delay) -> Check {
        let vv = self.view(id, Namespace::MAIN).vv().clone();
        let Some(running) = &self.nodes[id].running else { return Ok(()) };
        let is_folding = running.heads.folds.contains_key(&Namespace::MAIN);
        let is_paused = running.heads.delay().is_some_and(|it| it.mode == DelayMode::Paused);
        if !running.engine.is_fresh() {
            delay.fresh_until_ms = delay.fresh_until_ms.min(self.now_ms);
        }
        // Also of a commit that changes nothing to be seen: what it changes is shown in its turn.
        delay.held.push(Held { given: self.nodes[id].given, vv, is_folding });
        let (namespace, view) = self.shown(id)?;
        let shown = view.vv();
        if namespace == Namespace::MAIN {
            ensure!(delay.may_be_promoted, "delay: it shows all, and nobody has promoted it");
            delay.is_promoted = true;
        }
        let Some(first) = delay.find(shown) else {
            return Err(format!("delay: it shows {shown:?}, which it never held"));
        };
        while let Some((request, order)) = delay.orders.first().copied() {
            let Some(Answer::Delay(done)) = self.answers.remove(&request) else { break };
            delay.orders.remove(0);
            delay.hear(order, &done, first)?;
        }
        if delay.is_promoted {
            ensure!(namespace == Namespace::MAIN, "delay: it was promoted, and is delayed again");
            return Ok(());
        }
        ensure!(
            delay.may_show(first, self.now_ms),
            "delay: early, it shows at {} what came after {}",
            self.now_ms,
            delay.held[first].given.first_ms
        );
        match delay.standing.clone() {
            Standing::Paused(since) if since.is_empty() => {
                delay.standing = Standing::Paused(shown.clone());
            }
            Standing::Paused(since) => {
                ensure!(since == *shown, "delay: it is paused at {since:?}, and shows {shown:?}");
            }
            Standing::Until { wall_ms, from } if is_paused => {
                delay.shows_moment(wall_ms, from, shown)?;
                delay.standing = Standing::Paused(shown.clone());
            }
            Standing::Until { .. } | Standing::Open => {}
        }
        Ok(())
    }

    /// A process has ended: what it had not answered may be so or not. What it was committing is on its disk or
    /// not, and what is there it held.
    pub(crate) fn forget_orders(&mut self, id: NodeId) {
        let vv = self.view(id, Namespace::MAIN).vv().clone();
        let snapshot = self.nodes[id].store.snapshot();
        let heads = snapshot.and_then(|it| Heads::load(&*it)).expect("a disk can be read");
        let is_folding = heads.folds.contains_key(&Namespace::MAIN);
        let given = self.nodes[id].given;
        let Some(delay) = self.delays.get_mut(&id) else { return };
        delay.orders.clear();
        if delay.held.last().is_some_and(|last| last.vv != vv) {
            delay.held.push(Held { given, vv, is_folding });
        }
    }
}

impl Stage {
    /// Starts a node again with another delay.
    pub(super) fn delay(&mut self, node: NodeId, apply_after_ms: Option<u64>) {
        let is_delayed = self.world.nodes[node].apply_after_ms.is_some();
        // A disk without room may have begun to bring the folder in line, and not ended.
        let is_settled = !self.world.nodes[node].is_full;
        if node == INVITER || !is_settled || is_delayed == apply_after_ms.is_some() {
            return;
        }
        self.stop(node);
        self.world.nodes[node].apply_after_ms = apply_after_ms;
        self.world.delays.remove(&node);
        if let Some(apply_after_ms) = apply_after_ms {
            let vv = self.world.view(node, Namespace::MAIN).vv().clone();
            self.world.delays.insert(node, Delay::new(apply_after_ms, vv));
        }
        self.start(node);
    }

    pub(super) fn order(&mut self, node: NodeId, order: Order) {
        let wall_ms = self.world.nodes[node].clock.shows_ms(self.world.now_ms);
        let order = match order {
            Order::Pause => DelayOrder::Pause,
            Order::Resume => DelayOrder::Resume,
            Order::ApplyUntil { ago_ms } => DelayOrder::ApplyUntil(wall_ms.saturating_sub(ago_ms)),
            Order::Promote => DelayOrder::Promote,
        };
        let is_running = self.world.nodes[node].running.is_some();
        let Some(delay) = self.world.delays.get_mut(&node).filter(|_| is_running) else { return };
        delay.standing = Standing::Open;
        delay.may_be_promoted |= order == DelayOrder::Promote;
        if let DelayOrder::ApplyUntil(wall_ms) = order {
            delay.untils.push(wall_ms);
        }
        let request = self.world.ask(node, Request::Delay(order));
        // It may have answered by now, which is heard at its next commit.
        if let Some(delay) = self.world.delays.get_mut(&node) {
            delay.orders.push((request, order));
        }
    }

    /// Once all is mended and level: of what a delayed replica has received all is shown when its time has
    /// come, or at once if it is promoted; others know which of the two it is.
    pub(super) fn judge_delays(&mut self) -> Check {
        let nodes: Vec<NodeId> = self.world.delays.keys().copied().collect();
        for node in nodes {
            let delay = &self.world.delays[&node];
            let (after_ms, is_promoted) = (delay.apply_after_ms, delay.is_promoted);
            let is_asked = delay.held.len().is_multiple_of(2) || delay.may_be_promoted;
            let state = if is_promoted { PeerState::Current } else { PeerState::Delayed };
            // An order to promote it may have been lost with its process, or not.
            if is_promoted || delay.is_sure() {
                self.is_taken_for(node, state)?;
            }
            if is_asked {
                self.order(node, Order::Promote);
                self.is_shown_within(node, ORDERED_MS)?;
                self.takes_write(node, true)?;
                self.world.settle_within(SETTLED_MS).map_err(|why| format!("delay: {why}"))?;
                self.is_taken_for(node, PeerState::Current)?;
            } else {
                self.takes_write(node, false)?;
                self.order(node, Order::Resume);
                self.is_shown_within(node, after_ms + ORDERED_MS)?;
                self.world.settle_within(SETTLED_MS).map_err(|why| format!("delay: {why}"))?;
            }
            self.world.observed.clone()?;
            self.world.shows_what_it_held(node)?;
        }
        Ok(())
    }

    /// Whether a node still is a delayed replica, after that.
    pub(super) fn stays_delayed(&self, node: NodeId) -> bool {
        self.world.delays.get(&node).is_some_and(Delay::is_sure)
    }

    fn is_shown_within(&mut self, node: NodeId, ms: u64) -> Check {
        let is_all = |world: &World| {
            let shown = world.shown(node).map(|(_, view)| view.vv().clone());
            shown.as_ref() == Ok(world.view(node, Namespace::MAIN).vv())
        };
        let shown = self.world.run_until(ms, is_all);
        shown.map_err(|why| format!("delay: {node} does not show all it has, {why}"))?;
        // Whoever is answered has it on disk.
        self.world.run(ANSWERED_MS);
        Ok(())
    }

    fn takes_write(&mut self, node: NodeId, is_taken: bool) -> Check {
        let request = self.world.put(node, &format!("at/delayed-{node}/f"), "v");
        self.world.run(ANSWERED_MS);
        let written = self.world.written(request);
        let is_due = match &written {
            Some(Ok(_)) => is_taken,
            Some(Err(WriteError::Delayed)) => !is_taken,
            _ => false,
        };
        ensure!(is_due, "delay: {node} answers a write with {written:?} (promoted: {is_taken})");
        Ok(())
    }

    /// What others take a node for, now or a moment later: counters may just have been compacted, and what that
    /// deletes looks as old as what was counted until it is acknowledged.
    fn is_taken_for(&mut self, node: NodeId, state: PeerState) -> Check {
        let running: Vec<NodeId> = self.world.running().collect();
        for other in running.into_iter().filter(|other| *other != node) {
            if self.state_seen(other, node) != Some(state) {
                self.world.run(ANSWERED_MS);
            }
            let seen = self.state_seen(other, node);
            ensure!(seen == Some(state), "delay: {other} takes {node} for {seen:?}, not {state:?}");
        }
        Ok(())
    }

    fn state_seen(&mut self, by: NodeId, node: NodeId) -> Option<PeerState> {
        let key = self.world.nodes[node].key.to_string();
        let peers = self.world.status(by).peers;
        peers.into_iter().find(|peer| peer.key == key).map(|peer| peer.state)
    }

    /// An admin says who takes writes from now on; nobody else may.
    pub(super) fn promote(&mut self, by: NodeId, primary: Option<NodeId>) {
        if self.world.nodes[by].running.is_none() {
            return;
        }
        let primary = primary.map(|node| self.world.nodes[node].key);
        self.has_promoted = true;
        let request = self.world.ask(by, Request::Promote(primary));
        self.promotions.push((request, by));
    }

    /// All agree on who takes writes, and nobody else does; then all do again.
    pub(super) fn judge_primary(&mut self) -> Check {
        for (request, by) in std::mem::take(&mut self.promotions) {
            let done = self.world.answers.get(&request);
            let is_lawful = by == INVITER;
            let is_due = !matches!(done, Some(Answer::Promoted(Ok(())))) || is_lawful;
            ensure!(is_due, "primary: {by}, which is no admin, has promoted: {done:?}");
        }
        if !self.has_promoted {
            return Ok(());
        }
        let running: Vec<NodeId> = self.world.running().collect();
        let mut told = Vec::new();
        for &node in &running {
            told.push(self.world.status(node).node.primary.and_then(|primary| primary.key));
        }
        let differ = told.windows(2).find(|pair| pair[0] != pair[1]);
        ensure!(differ.is_none(), "primary: they name {told:?}");
        for node in running {
            let is_primary =
                told[0].as_ref().is_none_or(|key| *key == self.world.nodes[node].key.to_string());
            let request = self.world.put(node, &format!("at/primary-{node}/f"), "v");
            self.world.run(ANSWERED_MS);
            let written = self.world.written(request);
            let is_due = match &written {
                Some(Ok(_)) => is_primary,
                Some(Err(WriteError::NotPrimary { primary, .. })) => {
                    !is_primary && primary.is_some()
                }
                Some(Err(WriteError::Delayed)) => self.world.delays.contains_key(&node),
                _ => false,
            };
            ensure!(is_due, "primary: {node} answers {written:?}, where {told:?} is");
        }
        self.promote(INVITER, None);
        self.world.run(ANSWERED_MS);
        self.world.settle_within(SETTLED_MS).map_err(|why| format!("primary: {why}"))
    }
}

/// How long an order, and a write, take when all is well.
const ORDERED_MS: u64 = 30_000;
const ANSWERED_MS: u64 = 1_000;
/// How long the others take to hear of it.
const SETTLED_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use millpond_core::{Dot, Incarnation, Seq};

    use super::*;

    fn at(seq: u64) -> VersionVector {
        let dot = |seq| Dot::new(Incarnation::from_bytes([1; 16]), seq);
        VersionVector::from_iter(Seq::new(seq).map(dot))
    }

    /// What was held after groups: how far, the span of what the clock showed, and whether it was folded.
    fn held(groups: &[(u64, (u64, u64), bool)]) -> Delay {
        let mut delay = Delay::new(2_000, at(0));
        delay.held.extend(groups.iter().map(|&(seq, wall_ms, is_folding)| Held {
            given: GivenSpan { first_ms: wall_ms.0, wall_ms },
            vv: at(seq),
            is_folding,
        }));
        delay
    }

    /// A group may hold what came before a moment, and the order to show that moment.
    #[test]
    fn what_came_with_something_later_may_be_shown_and_what_came_later_not() {
        let delay = held(&[(1, (100, 100), false), (2, (200, 300), false), (2, (400, 400), false)]);
        assert_eq!(delay.shows_moment(250, 0, &at(2)), Ok(()));
        assert_eq!(delay.shows_moment(250, 0, &at(1)), Ok(()), "the order may have come last");
        assert!(delay.shows_moment(250, 0, &at(0)).is_err(), "it shows too little");
        assert!(delay.shows_moment(150, 0, &at(2)).is_err(), "it shows too much");
    }

    #[test]
    fn a_cut_is_shown_from_when_it_is_folded() {
        let delay = held(&[(1, (100, 100), true), (1, (200, 200), false)]);
        assert_eq!(delay.shows_moment(150, 0, &at(0)), Ok(()));
        assert!(delay.shows_moment(150, 0, &at(1)).is_err());
        assert_eq!(delay.shows_moment(200, 0, &at(1)), Ok(()));
    }
}
