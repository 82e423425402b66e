//! Two nodes that are started at the same moment and dial each other: one link is left, and nothing is lost.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::rig::{Fault, Rig};
use crate::wires::Wires;

/// What a seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dials {
    /// What was wrong, by the name of the check.
    pub failure: Option<String>,
    /// How often both were started.
    pub rounds: u64,
    /// How often both dials led to a link, of which one had to go.
    pub races: u64,
}

/// Runs a seed, with a fault if one is planted.
pub fn run(seed: u64, fault: Option<Fault>) -> Dials {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ OF_DIALS);
    let latency_min_ms = 1 + rng.next_u64() % 20;
    let latency_ms = (latency_min_ms, latency_min_ms + rng.next_u64() % 20);
    let lost_ppm = if seed.is_multiple_of(2) { 0 } else { rng.next_u64() % LOST_PPM_MAX };
    let mut rig = Rig::new(seed, 2, latency_ms, fault, &Wires::default());
    let mut dials = Dials { failure: None, rounds: 0, races: 0 };
    let mut live = || {
        rig.come_together()?;
        rig.road.set_weather(lost_ppm, 0);
        for _ in 0..ROUNDS {
            let races = race(&mut rig, &mut rng, lost_ppm > 0)?;
            dials.rounds += 1;
            dials.races += u64::from(races);
        }
        rig.pass(PATIENCE_MS)?;
        rig.cluster.judge()
    };
    dials.failure = live().err();
    rig.finish();
    dials
}

/// Both dial at the same time, and write meanwhile; whether there were two links. The node with the greater key lets the
/// other one begin, for a while, and so is started earlier by about that.
fn race(rig: &mut Rig, rng: &mut ChaCha8Rng, is_lossy: bool) -> Result<bool, String> {
    (0..2).for_each(|node| rig.crash(node));
    rig.pass(1 + rng.next_u64() % 50)?;
    let ends = rig.wires.ends();
    let patient = usize::from(rig.keys[1] > rig.keys[0]);
    rig.start(patient);
    rig.pass(COURTESY_MS - SPREAD_MS + rng.next_u64() % (2 * SPREAD_MS))?;
    rig.start(1 - patient);
    rig.pass(1)?;
    let until_ms = rig.now_ms() + WRITING_MS;
    while rig.now_ms() < until_ms {
        rig.write((rng.next_u64() % 2) as usize);
        rig.pass(1 + rng.next_u64() % 50)?;
    }
    rig.pass_until(LINKED_MS, "linked by one link", |rig| rig.wires.are_meshed(&rig.keys))?;
    // Whatever was said on the link that went is said on the other one, long before a digest would tell.
    let within_ms = if is_lossy { LINKED_MS } else { PROMPT_MS };
    rig.pass_until(within_ms, "level", Rig::is_settled)?;
    rig.pass(CALM_MS)?;
    // Which frame is missing tells more than that it is not quiet.
    let quiet = rig.pass_until(LINKED_MS, "quiet", |rig| rig.wires.are_quiet(&rig.keys));
    rig.wires.judge(&rig.keys)?;
    quiet?;
    let links = (rig.wires.ends() - ends).div_ceil(2);
    match (links, rig.is_settled()) {
        (_, false) => Err("links: the one that was left did not last".into()),
        (1 | 2, _) => Ok(links == 2),
        // A handshake that lost its last packet was given up, and begun anew.
        _ if is_lossy => Ok(true),
        (more, _) => Err(format!("links: {more} came up, where two nodes dialled once each")),
    }
}

/// How long the node with the greater key waits before it dials.
const COURTESY_MS: u64 = 500;
/// How far the two dials may be apart: about as far as a datagram travels.
const SPREAD_MS: u64 = 30;
/// How often both are started in a seed.
const ROUNDS: usize = 3;
/// Loss of 5%.
const LOST_PPM_MAX: u64 = 50_000;
/// For how long they write.
const WRITING_MS: u64 = 400;
/// How long it may take until they are linked.
const LINKED_MS: u64 = 30_000;
/// How long it may take until they are level then: less than a digest's time.
const PROMPT_MS: u64 = 2_000;
/// How long they are watched.
const CALM_MS: u64 = 2_000;
/// How long clients wait, for what they have seen and then for another disk, and a little more.
const PATIENCE_MS: u64 = 7_000;
/// Parts the draws of this from others of the same seed.
const OF_DIALS: u64 = 0x6469_616c;
