//! Many nodes that are started at the same moment: soon each two of them have a link, and few dials were in vain.

use crate::rig::Rig;
use crate::wires::Wires;

/// What a seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// What was wrong, by the name of the check.
    pub failure: Option<String>,
    /// Links that there are in the end.
    pub links: u64,
    /// Dials until each two had one.
    pub dials: u64,
    /// How long that took.
    pub meshed_ms: u64,
}

/// Runs a seed with so many nodes.
pub fn run(seed: u64, nodes: usize) -> Restart {
    let mut rig = Rig::new(seed, nodes, LATENCY_MS, None, &Wires::default());
    let links = (nodes * nodes.saturating_sub(1) / 2) as u64;
    let mut restart = Restart { failure: None, links, dials: 0, meshed_ms: 0 };
    restart.failure = restart.live(&mut rig).err();
    rig.finish();
    restart
}

impl Restart {
    fn live(&mut self, rig: &mut Rig) -> Result<(), String> {
        rig.come_together()?;
        (0..rig.count()).for_each(|node| rig.crash(node));
        rig.pass(DOWN_MS)?;
        let dials = rig.wires.dials();
        (0..rig.count()).for_each(|node| rig.start(node));
        let are_meshed = |rig: &Rig| rig.wires.are_meshed(&rig.keys);
        self.meshed_ms = rig.pass_until(MESHED_MS, "meshed", are_meshed)?;
        self.dials = rig.wires.dials() - dials;
        rig.pass(CALM_MS)?;
        if !rig.is_settled() {
            return Err("links: the mesh did not last".into());
        }
        match self.dials {
            dials if dials > DIALS_PER_LINK * self.links => {
                Err(format!("dials: {dials} for {} links", self.links))
            }
            _ => rig.cluster.judge(),
        }
    }
}

/// A network within a country.
const LATENCY_MS: (u64, u64) = (2, 20);
/// How long all are down.
const DOWN_MS: u64 = 500;
/// How long it may take until each two have a link.
const MESHED_MS: u64 = 10_000;
/// How many dials it may take for each link.
const DIALS_PER_LINK: u64 = 3;
/// How long the mesh is watched.
const CALM_MS: u64 = 2_000;
