//! `mesh`: measures big meshes with known round trips.

use std::num::NonZero;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};
use millpond::sim::mesh::{
    self, Disturbance, Heal, MeshError, MeshFigures, MeshOptions, Reunion, RoundTrips, Spread,
};
use millpond::{Mode, Ripple};
use millpond_benches::fan_out::{Done, fan_out, progress, threads};
use serde::Serialize;

use crate::refuse;

#[derive(Args)]
pub struct Arguments {
    /// How many nodes.
    #[arg(long, default_value_t = 64)]
    nodes: usize,
    /// How many of them write; up to 16 if not given.
    #[arg(long)]
    writers: Option<usize>,
    /// Updates in a second, of all writers together.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// Updates before anything is measured.
    #[arg(long, default_value_t = 200)]
    warm_up: usize,
    /// Updates that are measured.
    #[arg(long, default_value_t = 1_000)]
    updates: usize,
    /// How many seeds, each with its own round trips.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Links with so many members only, instead of all.
    #[arg(long)]
    fanout: Option<usize>,
    /// What becomes of data that came by replication.
    #[arg(long, value_enum, default_value_t = RippleChoice::Adaptive)]
    ripple: RippleChoice,
    /// So many regions of equal size, with short round trips within.
    #[arg(long)]
    regions: Option<usize>,
    /// Nodes tell their regions, so that links between them cost more.
    #[arg(long)]
    costs: bool,
    /// Of a hundred frames so many take 100 ms longer.
    #[arg(long)]
    late: Option<u32>,
    /// Of a hundred frames so many are held back one more round trip.
    #[arg(long, conflicts_with = "late")]
    held_back: Option<u32>,
    /// Instead of measuring updates: cut the link that feeds a node, so often in each seed's mesh.
    #[arg(long, conflicts_with = "split_ms")]
    cut_trials: Option<usize>,
    /// Instead of measuring updates: split the mesh in two halves for so long.
    #[arg(long)]
    split_ms: Option<u64>,
    /// How many threads; all cores if not given.
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// Print a JSON line for each seed instead of a text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RippleChoice {
    Adaptive,
    HoldDown,
}

#[derive(Serialize)]
struct Measured {
    seed: u64,
    seconds: f64,
    #[serde(flatten)]
    found: Found,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    Figures(Box<MeshFigures>),
    Heals(Vec<Heal>),
    Reunion(Reunion),
}

pub fn run(arguments: &Arguments) -> ExitCode {
    if arguments.regions.is_some_and(|regions| !arguments.nodes.is_multiple_of(regions)) {
        return refuse("the nodes must divide evenly over the regions");
    }
    let bar = progress(arguments.seeds, "mesh".into());
    let measured = fan_out(arguments.seeds, threads(arguments.threads), &bar, |number| {
        let began = Instant::now();
        let seed = arguments.first_seed + number;
        let found = arguments.measure(seed);
        let seconds = began.elapsed().as_secs_f64();
        let is_last = found.is_err();
        Done { result: found.map(|found| Measured { seed, seconds, found }), is_last }
    });
    bar.finish_and_clear();
    for measured in measured {
        match measured {
            Ok(measured) => measured.print(arguments.json),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

impl Arguments {
    fn measure(&self, seed: u64) -> Result<Found, MeshError> {
        let options = self.options(seed);
        match (self.cut_trials, self.split_ms) {
            (Some(trials), _) => mesh::cut_trials(&options, trials).map(Found::Heals),
            (_, Some(ms)) => mesh::split_trial(&options, ms).map(Found::Reunion),
            _ => mesh::run(&options).map(|figures| Found::Figures(Box::new(figures))),
        }
    }

    fn options(&self, seed: u64) -> MeshOptions {
        let round_trips = match self.regions {
            Some(regions) => RoundTrips::regions(regions, self.nodes / regions, seed),
            None => RoundTrips::random(self.nodes, seed),
        };
        let mut options = MeshOptions::over(round_trips, seed);
        options.writers = self.writers.unwrap_or(options.writers).clamp(1, self.nodes);
        (options.rate, options.warm_up, options.updates) = (self.rate, self.warm_up, self.updates);
        options.region_nodes = self.regions.map(|regions| self.nodes / regions);
        options.tells_regions = self.costs;
        options.topology.mode = match self.fanout {
            Some(fanout) => Mode::SpanningTree { fanout },
            None => Mode::FullMesh,
        };
        options.topology.ripple = match self.ripple {
            RippleChoice::Adaptive => Ripple::Adaptive,
            RippleChoice::HoldDown => Ripple::HoldDown,
        };
        let late = self.late.map(|percent| Disturbance::Late { percent, ms: LATE_MS });
        let held_back = self.held_back.map(|percent| Disturbance::HeldBack { percent });
        options.disturbance = late.or(held_back).unwrap_or_default();
        options
    }
}

impl Measured {
    fn print(&self, as_json: bool) {
        if as_json {
            let line = serde_json::to_string(self).expect("figures always encode");
            return println!("{line}");
        }
        println!("seed {}: in {:.1} s", self.seed, self.seconds);
        match &self.found {
            Found::Figures(figures) => print_figures(figures),
            Found::Heals(heals) => print_heals(heals),
            Found::Reunion(Reunion { ms, updates, max_round_trip_ms, .. }) => {
                println!(
                    "  {updates} updates equal after {ms} ms; longest round trip {max_round_trip_ms} ms"
                );
            }
        }
    }
}

fn print_figures(figures: &MeshFigures) {
    println!("  {} links, {} virtual s", figures.links, figures.virtual_s);
    println!("  copies per update     {:.4}", figures.copies_per_update);
    print_spread("to the last node", figures.latency);
    print_spread("shortest paths", figures.shortest);
    print_spread("a direct star", figures.star);
    print_spread("behind shortest", figures.behind_shortest);
    println!("  control bytes/update  {:.0}", figures.control_bytes_per_update);
    println!("  status bytes/s/node   {:.0}", figures.status_bytes_per_s_per_node);
    println!("  idle bytes/s/node     {:.0}", figures.idle_bytes_per_s_per_node);
    if let Some(copies) = figures.inter_region_copies_per_update {
        println!("  inter-region copies   {copies:.2}");
    }
    for kind in &figures.kinds {
        println!("  {:<12} {:>9} messages {:>11} bytes", kind.kind, kind.messages, kind.bytes);
    }
}

fn print_heals(heals: &[Heal]) {
    print_spread("healed after", Spread::of(heals.iter().map(|heal| heal.ms)));
    print_spread("the next update", Spread::of(heals.iter().map(|heal| heal.next_ms)));
    let soon = heals.iter().filter(|heal| heal.ms <= 2 * heal.max_round_trip_ms + SLACK_MS).count();
    let copies: f64 = heals.iter().map(|heal| heal.copies_of_that_update).sum();
    println!("  within 2 round trips + {SLACK_MS} ms: {soon} of {}", heals.len());
    println!("  copies of the first   {:.4}", copies / heals.len().max(1) as f64);
}

fn print_spread(name: &str, spread: Spread) {
    let Spread { p50_ms, p99_ms, max_ms, .. } = spread;
    println!("  {name:<20}  p50 {p50_ms} p99 {p99_ms} max {max_ms} ms");
}

/// How late a late frame is.
const LATE_MS: u32 = 100;
/// How much longer than two round trips a node may lack an update after its link was cut.
const SLACK_MS: u64 = 50;
