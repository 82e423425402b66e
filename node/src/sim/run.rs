//! Running a scenario: the world is founded, the steps are done, everything is mended, and the judge speaks.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::judge::watch;
use super::mesh::founding::Founding;
use super::oracle::Oracle;
use super::panics::caught;
use super::profile::Profile;
use super::scenario::Scenario;
use super::shape::Shape;
use super::stage::Stage;
use super::starved::Starved;
use super::trace::{Event, EventKind, Trace};
use super::world::{Check, SMALL, World, ensure};
use crate::probes;
use crate::replication::Limits;
use crate::topology::settings::Topology;

/// How a scenario is run.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// Whether to keep all events, to be read.
    pub keeps_events: bool,
}

/// What a run came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// What was found wrong first.
    pub failure: Option<Failure>,
    /// The hash of everything that happened.
    pub trace: u64,
    /// How many things happened.
    pub events: u64,
    /// Frames that arrived.
    pub deliveries: u64,
    /// Writes that disks had.
    pub writes: u64,
    /// How long it took, in virtual milliseconds.
    pub virtual_ms: u64,
    /// All events, if they were kept.
    pub timeline: Vec<Event>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Which check found it.
    pub check: String,
    /// What it found, where and when.
    pub what: String,
}

impl RunOptions {
    /// Keeps all events.
    pub const KEEPING_EVENTS: Self = Self { keeps_events: true };
}

/// Runs a scenario to its end, or to the first thing that is wrong.
pub fn run(scenario: &Scenario, options: RunOptions) -> Run {
    let mut stage = None;
    probes::take_never();
    let ended = caught(|| play(scenario, options, &mut stage));
    let never = probes::take_never();
    // What is played again no peer has said.
    let is_honest = stage.as_ref().is_none_or(|stage| !stage.has_replayed);
    let ended = ended.and_then(|()| match never.is_empty() || !is_honest {
        true => Ok(()),
        false => Err(format!("probes: an honest peer {never:?}")),
    });
    let Some(mut stage) = stage else {
        let what = ended.err().unwrap_or_default();
        return Run::unfounded(Failure::of(what));
    };
    let world = &mut stage.world;
    if let Err(why) = &ended {
        let (now_ms, why) = (world.now_ms, why.clone());
        world.trace.note(now_ms, 0, EventKind::Violation, &[], || why);
    }
    Run {
        failure: ended.err().map(Failure::of),
        trace: world.trace.hash(),
        events: world.trace.events(),
        deliveries: world.net.deliveries,
        writes: world.oracle.as_ref().map_or(0, |oracle| oracle.written() as u64),
        virtual_ms: world.now_ms,
        timeline: world.trace.take_events(),
    }
}

fn play(scenario: &Scenario, options: RunOptions, stage: &mut Option<Stage>) -> Check {
    let limits = if scenario.is_small { SMALL } else { Limits::default() };
    let trace = Trace::new(options.keeps_events);
    let mut world = found(scenario, limits, trace);
    world.set_collection(scenario.collection());
    if scenario.is_indexed {
        world.declare_indexes();
    }
    world.net.is_taping = true;
    let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed ^ 0x6a75_6467);
    world.observer = Some(Box::new(move |world, node| {
        watch(world, node, rng.next_u32().is_multiple_of(THOROUGH_IN))
    }));
    if scenario.is_adaptive && scenario.shape.is_none() {
        world.set_topology(&Topology::default());
    }
    let stage = stage.insert(Stage::new(world));
    stage.starved = scenario.shape.as_ref().map(|_| Starved::default());
    while stage.world.nodes.len() < scenario.nodes {
        stage.world.join();
    }
    let duplicates = match scenario.profile {
        Profile::Quiet => {
            stage.world.settle()?;
            duplicates(&mut stage.world)
        }
        _ => 0,
    };
    for step in &scenario.steps {
        stage.pass(step.after_ms)?;
        stage.admit();
        stage.perform(&step.action);
        stage.world.observed.clone()?;
    }
    stage.pass(AFTERMATH_MS)?;
    stage.admit_all();
    stage.mend();
    stage.judge()?;
    if scenario.profile == Profile::Quiet {
        let twice = self::duplicates(&mut stage.world) - duplicates;
        ensure!(twice == 0, "ripple: {twice} rows were received twice, and nothing had failed");
    }
    Ok(())
}

/// The nodes as the scenario has them in the beginning: the first one, which the others will join, or all.
fn found(scenario: &Scenario, limits: Limits, trace: Trace) -> World {
    let (seed, oracle) = (scenario.seed, Some(Oracle::default()));
    let Some(shape) = &scenario.shape else {
        return World::found(seed, limits, scenario.is_on_files, oracle, trace);
    };
    let Shape { round_trips, members } = shape.clone();
    let founding = Founding { seed, limits, members, round_trips: Some(round_trips) };
    World::found_mesh(founding, oracle, trace)
}

/// Rows that nodes received though they had them.
fn duplicates(world: &mut World) -> u64 {
    let nodes = 0..world.nodes.len();
    nodes.map(|id| world.counted(id, |counters| counters.rows_duplicate)).sum()
}

impl Run {
    fn unfounded(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            trace: 0,
            events: 0,
            deliveries: 0,
            writes: 0,
            virtual_ms: 0,
            timeline: Vec::new(),
        }
    }
}

impl Failure {
    fn of(what: String) -> Self {
        let check = what.split(':').next().unwrap_or_default().to_owned();
        Self { check, what }
    }
}

/// One commit in so many is followed by a full look.
const THOROUGH_IN: u32 = 6;
/// How long the last faults go on.
const AFTERMATH_MS: u64 = 500;
