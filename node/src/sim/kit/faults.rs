//! What a seed has happen between two steps of a test.

use millpond_core::Namespace;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::cluster::Sim;
use crate::sim::world::NAMESPACES;

/// Draws faults.
pub(super) struct Faults {
    rng: ChaCha8Rng,
    /// Those that this seed knows: some of them alone find more than all of them at once.
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Split,
    OneWay,
    SlowRoad,
    Crash,
    Skew,
    OldBackup,
}

impl Faults {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6661_756c);
        let mask = rng.next_u32();
        let is_known = |kind: &Kind| mask & (1 << *kind as u32) != 0;
        let mut kinds: Vec<Kind> = KINDS.into_iter().filter(is_known).collect();
        if kinds.is_empty() {
            kinds = KINDS.into();
        }
        Self { rng, kinds }
    }

    /// Something happens, or nothing; time passes, or does not.
    pub(super) fn strike(&mut self, sim: &mut Sim) {
        if self.one_in(MENDED_IN) {
            sim.mend();
        }
        if self.one_in(STRIKES_IN) {
            let pick = self.below(self.kinds.len());
            let kind = self.kinds[pick];
            self.happens(kind, sim);
        }
        if self.one_in(WAITS_IN) {
            let ms = self.below(WAIT_MS_MAX) as u64;
            sim.world.run(ms);
        }
    }

    fn happens(&mut self, kind: Kind, sim: &mut Sim) {
        let node = self.below(sim.nodes());
        match kind {
            Kind::Split => {
                let others = (0..sim.nodes()).filter(|other| *other != node);
                sim.partition([node], others);
            }
            Kind::OneWay => {
                let Some(to) = self.another(sim, node) else { return };
                sim.tell(|| format!("cut from {node} to {to}"));
                sim.world.net.set_cut(sim.world.now_ms, node, to, true);
            }
            Kind::SlowRoad => {
                let Some(to) = self.another(sim, node) else { return };
                let ms = self.below(SLOW_MS_MAX) as u64;
                sim.tell(|| format!("{ms} ms from {node} to {to}"));
                let road = sim.world.net.road(node, to);
                (road.delay_ms, road.jitter_ms) = ([ms; 2], ms);
            }
            Kind::Crash => {
                sim.crash(node);
            }
            Kind::Skew => {
                let ahead_ms = self.below(2 * SKEW_MS_MAX) as i64 - SKEW_MS_MAX as i64;
                sim.skew(node, ahead_ms);
            }
            Kind::OldBackup => fall_back(sim, node),
        }
    }

    fn another(&mut self, sim: &Sim, node: usize) -> Option<usize> {
        let others = sim.nodes() - 1;
        (others > 0).then(|| (node + 1 + self.below(others)) % sim.nodes())
    }

    fn below(&mut self, below: usize) -> usize {
        (self.rng.next_u64() % below as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A node comes back from its backup, if it loses nothing by that, and is given time to catch up, as operators do.
/// One that has no backup gets one.
fn fall_back(sim: &mut Sim, node: usize) {
    if !sim.has_backup(node) {
        sim.backup(node);
        return;
    }
    let covers = |sim: &Sim, by: usize, namespace: Namespace| {
        sim.world.view(by, namespace).vv().covers_all(sim.world.view(node, namespace).vv())
    };
    let holds_all =
        |by: &usize| NAMESPACES.into_iter().all(|namespace| covers(sim, *by, namespace));
    if !(0..sim.nodes()).filter(|by| *by != node).any(|by| holds_all(&by)) {
        return;
    }
    let held = sim.world.view(node, Namespace::MAIN).vv().clone();
    sim.mend();
    sim.restore(node);
    let has_caught_up = sim
        .world
        .run_until(CATCH_UP_MS, |world| world.view(node, Namespace::MAIN).vv().covers_all(&held));
    if let Err(why) = has_caught_up {
        panic!("node {node} has not got back what others hold: {why}");
    }
}

const KINDS: [Kind; 6] =
    [Kind::Split, Kind::OneWay, Kind::SlowRoad, Kind::Crash, Kind::Skew, Kind::OldBackup];
/// How often something happens: every other step, so that most steps of a test meet a cluster that suffers.
const STRIKES_IN: usize = 2;
/// How often all is mended: a cut lasts for some steps.
const MENDED_IN: usize = 6;
/// How often time passes before a step, and how much: longer than links take to notice that they are dead.
const WAITS_IN: usize = 2;
const WAIT_MS_MAX: usize = 20_000;
const SLOW_MS_MAX: usize = 2_000;
const SKEW_MS_MAX: usize = 60_000;
const CATCH_UP_MS: u64 = 60_000;
