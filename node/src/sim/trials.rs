//! Trials, once all is mended and calm: everything must work as on the first day.

use millpond_core::Namespace;

use super::judge::{ANSWERED_MS, CALM_MS, read};
use super::net::NodeId;
use super::node::HOLD_DOWN_MS;
use super::stage::Stage;
use super::world::{Check, World, ensure};
use crate::topology::settings::Ripple;

impl Stage {
    /// All is well, and everything must work as on the first day.
    pub(super) fn try_out(&mut self, ordinary: &[NodeId]) -> Check {
        if self.starved.is_some() {
            return self.try_mesh(ordinary);
        }
        self.try_writes(ordinary)?;
        if self.world.outcasts.is_empty() && ordinary.len() > 2 {
            self.try_relay(ordinary)?;
            self.try_relink(ordinary)?;
            self.try_return(ordinary)?;
        }
        self.world.observed.clone()?;
        ordinary.iter().try_for_each(|&node| read(&self.world, node))
    }

    fn try_writes(&mut self, ordinary: &[NodeId]) -> Check {
        // The first write of a boot may open an incarnation.
        let writers = self.writers(ordinary);
        writers.iter().try_for_each(|&node| self.write(node, "first"))?;
        self.world
            .run_until(ANSWERED_MS, |world| world.is_level())
            .map_err(|why| format!("liveness: the last writes have not arrived {why}"))?;
        self.world.run(CALM_MS);
        if self.world.topology.ripple == Ripple::Adaptive {
            // A graft of before that another peer has overtaken shows at the next write, and is taken back.
            writers.iter().try_for_each(|&node| self.write(node, "learnt"))?;
            self.world.run(CALM_MS);
        }
        let before = self.traffic(ordinary);
        writers.iter().try_for_each(|&node| self.write(node, "second"))?;
        self.world
            .run_until(PROMPT_MS, |world| world.is_level())
            .map_err(|why| format!("promptness: the last writes have not arrived {why}"))?;
        self.world.run(CALM_MS);
        let after = self.traffic(ordinary);
        if self.world.outcasts.is_empty() {
            let written = after.written - before.written;
            let copies = written * (ordinary.len() as u64 - 1);
            let received = after.received - before.received;
            ensure!(
                received == copies,
                "ripple: {written} rows took {received} copies, where {copies} are enough"
            );
        }
        Ok(())
    }

    /// In a mesh whose nodes are far from each other: updates come to all, and in the end each of them crosses
    /// each node as good as once.
    fn try_mesh(&mut self, ordinary: &[NodeId]) -> Check {
        for round in 0..MESH_ROUNDS {
            for &node in ordinary {
                self.world.put(node, &format!("at/round-{node}/f"), &format!("{round}"));
            }
            self.pass(MESH_ROUND_MS)?;
        }
        self.pass(CALM_MS)?;
        self.world.settle()?;
        let before = self.traffic(ordinary);
        for what in ["last-1", "last-2", "last-3"] {
            for &node in ordinary {
                self.write(node, what)?;
                self.pass(MESH_ROUND_MS)?;
            }
        }
        self.pass(CALM_MS)?;
        self.world.settle()?;
        let after = self.traffic(ordinary);
        let written = after.written - before.written;
        let (copies, received) =
            (written * (ordinary.len() as u64 - 1), after.received - before.received);
        // A way that is found to be faster brings an update once more. Where it is held back for a fixed time,
        // it comes over all links that come too late to know.
        let most = match self.world.is_adaptive() {
            true => copies + copies / 10 + COPIES_SPARE,
            false => written * self.world.gifts().len() as u64,
        };
        ensure!(
            received <= most,
            "ripple: {written} rows took {received} copies, where {copies} are enough"
        );
        self.world.observed.clone()?;
        ordinary.iter().try_for_each(|&node| read(&self.world, node))
    }

    /// A node that only one other reaches: what the one catches up with it passes on, and what it is fed too,
    /// after the hold-down.
    fn try_relay(&mut self, ordinary: &[NodeId]) -> Check {
        let (lone, relay) = (ordinary[0], ordinary[1]);
        self.world.isolate(lone, true);
        self.world.run(UNHEARD_MS);
        self.write(lone, "caught-up")?;
        self.world.heal(lone, relay);
        self.passes_on(lone, relay, REDIALLED_MS, "a catch-up")?;
        self.world.run(CALM_MS);
        self.write(lone, "fed")?;
        self.passes_on(lone, relay, PROMPT_MS, "what it is fed")?;
        self.world.isolate(lone, false);
        self.world
            .run_until(REDIALLED_MS, World::is_meshed)
            .map_err(|why| format!("liveness: {lone} is not linked again {why}"))?;
        Ok(())
    }

    fn passes_on(&mut self, lone: NodeId, relay: NodeId, reached_ms: u64, what: &str) -> Check {
        let vv = self.world.view(lone, Namespace::MAIN).vv().clone();
        let has = |world: &World, node| world.view(node, Namespace::MAIN).vv().covers_all(&vv);
        self.world
            .run_until(reached_ms, |world| has(world, relay))
            .map_err(|why| format!("liveness: {relay} has not got {what} {why}"))?;
        self.world
            .run_until(HOLD_DOWN_MS + SLACK_MS, |world| world.is_level())
            .map_err(|why| format!("promptness: {relay} does not pass on {what} {why}"))?;
        Ok(())
    }

    /// An outage is over once a link is open: when that one breaks, the next is not long in coming.
    fn try_relink(&mut self, ordinary: &[NodeId]) -> Check {
        let (a, b) = (ordinary[0], ordinary[1]);
        let meshed = |stage: &mut Self, ms: u64, what: &str| {
            let linked = stage.world.run_until(ms, World::is_meshed);
            linked.map_err(|why| format!("promptness: {a} and {b} are not linked {what} {why}"))
        };
        for (from, to) in [(a, b), (b, a)] {
            self.world.net.set_cut(self.world.now_ms, from, to, true);
        }
        self.world.run(OUTAGE_MS);
        self.world.heal(a, b);
        meshed(self, REDIALLED_MS, "after an outage")?;
        self.world.run(CALM_MS);
        self.world.net.break_links(self.world.now_ms, a, b);
        self.world.run(BROKEN_MS);
        meshed(self, RELINKED_MS, "soon after the next")?;
        Ok(())
    }

    /// A node that was away gets what it missed, each path once.
    fn try_return(&mut self, ordinary: &[NodeId]) -> Check {
        let (back, others) = (ordinary[ordinary.len() - 1], &ordinary[..ordinary.len() - 1]);
        let others = self.writers(others);
        self.world.run(CALM_MS);
        self.world.nodes[back].renew_lease();
        self.world.crash(back, true);
        self.world.run(UNHEARD_MS);
        let paths = others.len() as u64 * 3;
        for what in ["away-1", "away-2", "away-3"] {
            others.iter().try_for_each(|&node| self.write(node, what))?;
        }
        self.world.run(CALM_MS);
        self.world.start(back);
        let is_back = |world: &World| world.is_level() && world.is_meshed();
        self.world
            .run_until(REDIALLED_MS, is_back)
            .map_err(|why| format!("liveness: {back} is not back {why}"))?;
        self.world.run(CALM_MS);
        let received = self.world.counted(back, |it| it.rows_received);
        ensure!(
            received == paths,
            "ripple: {back} received {received} rows on its return, and missed {paths}"
        );
        Ok(())
    }

    /// A write on a path of its own.
    fn write(&mut self, node: NodeId, what: &str) -> Check {
        let request = self.world.put(node, &format!("at/{what}-{node}/f"), what);
        self.world
            .run_until(ANSWERED_MS, |world| world.written(request).is_some())
            .map_err(|why| format!("liveness: {node} answers no write {why}"))?;
        let written = self.world.written(request);
        ensure!(matches!(written, Some(Ok(_))), "liveness: {node} answers {written:?}");
        Ok(())
    }

    /// Those who may write.
    fn writers(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let writes = |node: &NodeId| !self.is_reader(*node) && !self.stays_delayed(*node);
        nodes.iter().copied().filter(writes).collect()
    }

    fn traffic(&mut self, nodes: &[NodeId]) -> Traffic {
        let received = nodes.iter().map(|&id| self.world.counted(id, |it| it.rows_received)).sum();
        let written = self.world.oracle.as_ref().map_or(0, |oracle| oracle.written() as u64);
        Traffic { received, written }
    }
}

/// Rows so far.
struct Traffic {
    received: u64,
    written: u64,
}

/// Rounds of updates in which a mesh finds its ways.
const MESH_ROUNDS: usize = 6;
/// Between two of them.
const MESH_ROUND_MS: u64 = 1_000;
/// Copies by which few updates may be above one in ten.
const COPIES_SPARE: u64 = 2;
/// How long a write may travel when all is well: nothing is held back or waited for.
const PROMPT_MS: u64 = 100;
/// How much longer than the hold-down a relay may take: it serves four at a time, and is asked again.
const SLACK_MS: u64 = 1_500;
/// How long until a silent link is given up.
const UNHEARD_MS: u64 = 5_000;
/// How long until a lost peer is dialled again, at worst, and level.
const REDIALLED_MS: u64 = 40_000;
/// So many dials in vain that the next one is put off for seconds.
const OUTAGE_MS: u64 = 20_000;
/// How long until both ends know that a link is broken.
const BROKEN_MS: u64 = 10;
/// How long until a link that broke is made again: the first wait, and that of the greater key.
const RELINKED_MS: u64 = 1_000;
