//! A cluster under loss, cuts and crashes, which must keep every promise.

use crate::plan::{Plan, Step};
use crate::rig::{Fault, Rig};
use crate::road::{Datagram, hash};
use crate::wires::Wires;

/// What a seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What was wrong, by the name of the check.
    pub failure: Option<String>,
    /// Each datagram.
    pub trace: Vec<Datagram>,
    /// How much virtual time went by.
    pub virtual_ms: u64,
    /// Rows that were written.
    pub rows: u64,
}

impl Run {
    /// A number for the trace: equal ones have equal numbers.
    pub fn trace_hash(&self) -> u64 {
        hash(&self.trace)
    }
}

/// What is done in a seed, line by line.
pub fn describe(seed: u64) -> String {
    format!("{:#?}", Plan::draw(seed, NODES))
}

/// Runs a seed, with a fault if one is planted.
pub fn run(seed: u64, fault: Option<Fault>) -> Run {
    run_on(seed, fault, &Wires::default())
}

/// Runs a seed, and tells what was said, frame by frame.
pub fn run_in_words(seed: u64) -> (Run, Vec<String>) {
    let wires = Wires::default();
    wires.keep_words();
    let run = run_on(seed, None, &wires);
    (run, wires.words())
}

fn run_on(seed: u64, fault: Option<Fault>, wires: &Wires) -> Run {
    let plan = Plan::draw(seed, NODES);
    let mut rig = Rig::new(seed, NODES, plan.latency_ms, fault, wires);
    let failure = live(&mut rig, &plan).err();
    let (virtual_ms, rows) = (rig.now_ms(), rig.cluster.written());
    Run { failure, trace: rig.finish(), virtual_ms, rows }
}

fn live(rig: &mut Rig, plan: &Plan) -> Result<(), String> {
    rig.come_together()?;
    rig.road.set_weather(plan.lost_ppm, plan.doubled_ppm);
    let begun_ms = rig.now_ms();
    for &(at_ms, step) in &plan.steps {
        rig.pass((begun_ms + at_ms).saturating_sub(rig.now_ms()))?;
        carry_out(rig, step);
    }
    mend(rig);
    rig.pass_until(SETTLED_MS, "linked and level", Rig::is_settled)?;
    rig.calm(plan.latency_ms.0);
    try_out(rig)?;
    // Which frame is missing tells more than that it is not quiet.
    let quiet = rig.pass_until(QUIET_MS, "quiet", |rig| rig.wires.are_quiet(&rig.keys));
    rig.wires.judge(&rig.keys)?;
    quiet?;
    rig.cluster.judge()
}

fn carry_out(rig: &mut Rig, step: Step) {
    match step {
        Step::Write { node } => rig.write(node),
        Step::Cut { from, to } => rig.cut(from, to),
        Step::Mend { a, b } => rig.mend(a, b),
        Step::Crash { node } => rig.crash(node),
        Step::Start { node } => rig.start(node),
    }
}

fn mend(rig: &mut Rig) {
    for a in 0..rig.count() {
        (0..a).for_each(|b| rig.mend(a, b));
    }
    (0..rig.count()).for_each(|node| rig.start(node));
}

/// All is well, and everything must work as on the first day. Who takes what from whom soon fits the roads as they are
/// now, each change for one copy more; from then on each row takes as many copies as there are others.
fn try_out(rig: &mut Rig) -> Result<(), String> {
    // The first write of a boot may open an incarnation.
    write_everywhere(rig)?;
    let (mut told, mut exact) = (Vec::new(), 0);
    while exact < EXACT_ROUNDS {
        let (written, received) = (rig.cluster.written(), rig.received()?);
        write_everywhere(rig)?;
        let (written, received) = (rig.cluster.written() - written, rig.received()? - received);
        let copies = written * (rig.count() as u64 - 1);
        told.push((written, received));
        exact = if received == copies { exact + 1 } else { 0 };
        if received < copies || told.len() > ROUNDS_MAX {
            return Err(format!("ripple: rows written, and copies: {told:?}"));
        }
    }
    Ok(())
}

fn write_everywhere(rig: &mut Rig) -> Result<(), String> {
    (0..rig.count()).for_each(|node| rig.put(node));
    rig.pass(CALM_MS)?;
    rig.pass_until(SETTLED_MS, "level after a write", Rig::is_settled)?;
    Ok(())
}

/// Nodes of a run.
const NODES: usize = 3;
/// How long nodes may take to be linked and level once all is mended.
const SETTLED_MS: u64 = 60_000;
/// How long a write and what is said of it may be under way when all is well.
const CALM_MS: u64 = 8_000;
/// Rounds of writes without a needless copy, one after the other, that show that sources are settled.
const EXACT_ROUNDS: usize = 3;
/// Rounds by which they must be: two for each of six sources that may change.
const ROUNDS_MAX: usize = 12;
/// How long it may take until no frame is under way.
const QUIET_MS: u64 = 10_000;
