//! Scenario `chaos`: real nodes, each in a network namespace of its own, that are killed, frozen and cut off
//! from each other while clients write and read at all of them. What is judged, and how, says `millpond_rig`.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use millpond_rig::{Chaos, Network, Verdict};
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::machine::{self, Machine};
use crate::report::Outcome;
use crate::{Printing, Result, fanout};

pub const NAME: &str = "chaos";
pub const ABOUT: &str = "real nodes are killed, frozen and cut off from each other under load; needs root. \
                         Bar (B7): nothing that was acknowledged is lost, nothing that was deleted returns, \
                         no reader sees half a transaction, all are equal in the end";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub printing: Printing,
    /// Draws what happens, and when. From the clock if not given; a run says its own.
    #[arg(long)]
    seed: Option<u64>,
    /// How long it lasts.
    #[arg(long, default_value_t = 20.0)]
    minutes: f64,
    /// How many nodes there are.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=20))]
    nodes: u16,
    /// Writers for each node.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=20))]
    writers: u16,
    /// The program `millpond`. Beside this one if not given.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Where the nodes' folders go. Beside this program if not given; those of a run that failed stay there.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// The outcome of the scenario.
pub struct ChaosReport {
    chaos: Chaos,
    verdict: Verdict,
    machine: Machine,
    commit: String,
}

pub async fn run(parameters: &Parameters) -> Result<ChaosReport> {
    if let Some(why) = Network::why_not() {
        return Err(format!("SKIPPED, nothing was tried: {why}").into());
    }
    let program = fanout::program(parameters.program.as_deref())?;
    // Killed processes lose nothing in memory, too: only a machine that stops does.
    let folder = ScratchFolder::create(parameters.dir.as_deref(), true)?;
    let parent = folder.path().parent().ok_or("a folder is in a folder")?;
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let chaos = Chaos {
        seed: parameters.seed.unwrap_or_else(|| clock() as u64),
        nodes: parameters.nodes.into(),
        writers_per_node: parameters.writers.into(),
        duration: Duration::try_from_secs_f64(parameters.minutes * 60.0)?,
    };
    // It waits for processes and their answers, and nothing else is to be done here.
    let verdict = tokio::task::block_in_place(|| chaos.run(&program, Some(parent)))
        .map_err(|error| format!("seed {}: {error}", chaos.seed))?;
    let machine = Machine::here(Some(&folder));
    Ok(ChaosReport { chaos, verdict, machine, commit: machine::commit() })
}

impl Outcome for ChaosReport {
    fn to_json(&self) -> String {
        let Verdict { answered, unknown, transfers, reads, records, .. } = self.verdict;
        let Verdict { killed, frozen, ended, cuts, .. } = self.verdict;
        let Chaos { seed, nodes, writers_per_node, duration } = self.chaos;
        let parameters = json!({
            "seed": seed, "nodes": nodes, "writers_per_node": writers_per_node,
            "seconds": duration.as_secs_f64(),
        });
        let report = json!({
            "scenario": NAME, "parameters": parameters, "answered": answered, "unknown": unknown,
            "transfers": transfers, "reads": reads, "records": records, "killed": killed, "frozen": frozen,
            "ended": ended, "cuts": cuts, "equal_s": self.verdict.equal_after.as_secs_f64(),
            "violations": self.verdict.violations, "kept": self.verdict.kept,
            "machine": self.machine, "commit": self.commit,
        });
        report.to_string()
    }

    fn missed(&self) -> Vec<String> {
        let Verdict { violations, kept, .. } = &self.verdict;
        if violations.is_empty() {
            return Vec::new();
        }
        let folder = kept.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
        let said = format!("B7 seed {}; the nodes' folders are in {folder}", self.chaos.seed);
        [said].into_iter().chain(violations.iter().cloned()).collect()
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chaos { seed, nodes, writers_per_node, duration } = &self.chaos;
        let it = &self.verdict;
        writeln!(f, "{NAME} of {nodes} nodes, {writers_per_node} writers for each, {duration:?}")?;
        writeln!(f, "  seed        {seed}")?;
        let (killed, frozen, ended, cuts) = (it.killed, it.frozen, it.ended, it.cuts);
        writeln!(f, "  happened    {killed} killed, {frozen} frozen, {ended} ended, {cuts} cuts")?;
        let (answered, unknown, reads) = (it.answered, it.unknown, it.reads);
        let transfers = it.transfers;
        writeln!(
            f,
            "  writes      {answered} acknowledged ({transfers} transfers), {unknown} unknown"
        )?;
        writeln!(f, "  reads       {reads}")?;
        writeln!(f, "  in the end  {} records, equal after {:?}", it.records, it.equal_after)?;
        writeln!(f, "  wrong       {}", it.violations.len())?;
        let machine = serde_json::to_string(&self.machine).map_err(|_| fmt::Error)?;
        writeln!(f, "  machine     {machine}\n  commit      {}", self.commit)
    }
}
