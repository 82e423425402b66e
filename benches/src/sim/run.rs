//! `run`: many seeds of one profile, or of each.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use millpond::sim::{Failure, Profile, RareCase, RunOptions, Scenario, rare_cases};
use serde::Serialize;

use crate::finding::Finding;
use crate::refuse;
use millpond_benches::fan_out::{Done, fan_out, progress, threads};

#[derive(Args)]
pub struct Arguments {
    /// Which mixture of work and faults; `all` for each in turn.
    #[arg(long, value_parser = Choice::parse)]
    profile: Choice,
    /// How many seeds of each profile.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// How many threads; all cores if not given. What is found does not depend on it.
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// Go no further in a profile than to its first failing seed.
    #[arg(long)]
    stop_at_first: bool,
    /// Where the files about failing seeds go.
    #[arg(long, default_value = "target/sim")]
    out: PathBuf,
    /// For how many failing seeds of a profile to write files; the others are only named.
    #[arg(long, default_value_t = 3)]
    reports: usize,
    /// In how many runs at most to shrink a failing scenario.
    #[arg(long, default_value_t = 400)]
    shrink_runs: usize,
    /// Write a line for each seed: the profile, the seed, the hash of its trace. Equal commits give equal
    /// files, whatever the build.
    #[arg(long)]
    traces: Option<PathBuf>,
    /// Let a run of all profiles pass although there are rare cases that it did not come to, as a short one
    /// will.
    #[arg(long)]
    allow_unhit: bool,
    /// Print one JSON object instead of a text.
    #[arg(long)]
    json: bool,
}

/// Which profiles.
#[derive(Clone)]
enum Choice {
    One(Profile),
    All,
}

/// What one profile came to.
#[derive(Serialize)]
struct Report {
    profile: String,
    first_seed: u64,
    seeds: u64,
    failures: usize,
    first_failing_seed: Option<u64>,
    failing: Vec<Finding>,
    /// Frames that arrived.
    deliveries: u64,
    /// Writes that disks had.
    writes: u64,
    events: u64,
    virtual_s: u64,
    seconds: f64,
    seeds_per_s: f64,
    /// Seeds that ran twice.
    replays: u64,
    /// Whether each of them gave the same trace.
    replays_equal: bool,
    probes_unhit: Vec<String>,
}

/// What all profiles came to.
#[derive(Serialize)]
struct Totals {
    profile: &'static str,
    seeds: u64,
    failures: usize,
    first_failing_profile: Option<String>,
    first_failing_seed: Option<u64>,
    deliveries: u64,
    writes: u64,
    seconds: f64,
    seeds_per_s: f64,
    replays: u64,
    replays_equal: bool,
    probes_unhit: Vec<String>,
    profiles: Vec<Report>,
}

/// What one seed came to.
struct Ran {
    seed: u64,
    trace: u64,
    failure: Option<Failure>,
    deliveries: u64,
    writes: u64,
    events: u64,
    virtual_ms: u64,
    /// The trace of its second run, if it ran twice.
    again: Option<u64>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let traces = arguments.traces.as_ref().map(File::create).transpose();
    let mut traces = match traces {
        Ok(file) => file.map(BufWriter::new),
        Err(error) => return refuse(format!("the file for traces: {error}")),
    };
    let mut reports = Vec::new();
    for &profile in arguments.profile.profiles() {
        match run_profile(arguments, profile, traces.as_mut()) {
            Ok(report) => reports.push(report),
            Err(error) => return refuse(format!("what was found cannot be written: {error}")),
        }
    }
    let is_well = match arguments.profile {
        Choice::One(_) => {
            let report = reports.pop().expect("one profile was run");
            print(&report, arguments.json);
            report.is_well()
        }
        Choice::All => {
            let totals = Totals::of(reports);
            print(&totals, arguments.json);
            totals.is_well(arguments.allow_unhit)
        }
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_profile(
    arguments: &Arguments,
    profile: Profile,
    traces: Option<&mut impl Write>,
) -> io::Result<Report> {
    let (start, before) = (Instant::now(), rare_cases());
    let bar = progress(arguments.seeds, profile.to_string());
    let ran = fan_out(arguments.seeds, threads(arguments.threads), &bar, |number| {
        let ran = Ran::of(profile, arguments.first_seed + number);
        let is_last = arguments.stop_at_first && ran.failure.is_some();
        Done { result: ran, is_last }
    });
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if let Some(traces) = traces {
        for Ran { seed, trace, .. } in &ran {
            writeln!(traces, "{profile} {seed} {trace:016x}")?;
        }
        traces.flush()?;
    }
    let report = Report::of(profile, arguments, &ran, seconds, &before);
    for (index, finding) in report.failing.iter().enumerate() {
        finding.tell();
        if index < arguments.reports {
            let scenario = Scenario::draw(profile, finding.seed);
            finding.write(&arguments.out, &scenario, arguments.shrink_runs)?;
        }
    }
    Ok(report)
}

impl Ran {
    fn of(profile: Profile, seed: u64) -> Self {
        let scenario = Scenario::draw(profile, seed);
        let run = || millpond::sim::run(&scenario, RunOptions::default());
        let first = run();
        let again = seed.is_multiple_of(REPLAYED_EVERY).then(|| run().trace);
        Self {
            seed,
            trace: first.trace,
            failure: first.failure,
            deliveries: first.deliveries,
            writes: first.writes,
            events: first.events,
            virtual_ms: first.virtual_ms,
            again,
        }
    }

    fn finding(&self, profile: Profile) -> Option<Finding> {
        if let Some(failure) = &self.failure {
            return Some(Finding::new(profile, self.seed, failure));
        }
        let again = self.again.filter(|again| *again != self.trace)?;
        let what = format!("R11: its traces are {:016x} and {again:016x}", self.trace);
        let (profile, seed) = (profile.to_string(), self.seed);
        Some(Finding { profile, seed, check: "R11".into(), what })
    }
}

impl Report {
    fn of(
        profile: Profile,
        arguments: &Arguments,
        ran: &[Ran],
        seconds: f64,
        before: &[RareCase],
    ) -> Self {
        let failing: Vec<Finding> = ran.iter().filter_map(|ran| ran.finding(profile)).collect();
        let sum = |count: fn(&Ran) -> u64| ran.iter().map(count).sum();
        Self {
            profile: profile.to_string(),
            first_seed: arguments.first_seed,
            seeds: ran.len() as u64,
            failures: failing.len(),
            first_failing_seed: failing.first().map(|finding| finding.seed),
            failing,
            deliveries: sum(|ran| ran.deliveries),
            writes: sum(|ran| ran.writes),
            events: sum(|ran| ran.events),
            virtual_s: sum(|ran| ran.virtual_ms) / 1_000,
            seconds,
            seeds_per_s: ran.len() as f64 / seconds,
            replays: ran.iter().filter(|ran| ran.again.is_some()).count() as u64,
            replays_equal: ran.iter().all(|ran| ran.again.is_none_or(|again| again == ran.trace)),
            probes_unhit: probes_unhit(before),
        }
    }

    fn is_well(&self) -> bool {
        self.failures == 0
    }
}

impl Totals {
    fn of(profiles: Vec<Report>) -> Self {
        let sum = |count: fn(&Report) -> u64| profiles.iter().map(count).sum();
        let first = profiles.iter().find(|report| report.failures > 0);
        let seconds = profiles.iter().map(|report| report.seconds).sum();
        let seeds = sum(|report| report.seeds);
        Self {
            profile: "all",
            seeds,
            failures: profiles.iter().map(|report| report.failures).sum(),
            first_failing_profile: first.map(|report| report.profile.clone()),
            first_failing_seed: first.and_then(|report| report.first_failing_seed),
            deliveries: sum(|report| report.deliveries),
            writes: sum(|report| report.writes),
            seconds,
            seeds_per_s: seeds as f64 / seconds,
            replays: sum(|report| report.replays),
            replays_equal: profiles.iter().all(|report| report.replays_equal),
            probes_unhit: probes_unhit(&[]),
            profiles,
        }
    }

    fn is_well(&self, allows_unhit: bool) -> bool {
        self.failures == 0 && (allows_unhit || self.probes_unhit.is_empty())
    }
}

impl Choice {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            name => name.parse().map(Self::One).map_err(|unknown| format!("{unknown}, and all")),
        }
    }

    fn profiles(&self) -> &[Profile] {
        match self {
            Self::One(profile) => std::slice::from_ref(profile),
            Self::All => Profile::ALL,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile, seeds, failures, deliveries, writes, seeds_per_s, .. } = self;
        write!(
            f,
            "{profile:12} {seeds:>6} seeds, {failures} failed, {deliveries:>9} frames, \
             {writes:>8} writes, {seeds_per_s:>7.1} seeds/s, {} of {} replayed {}",
            self.replays,
            seeds,
            if self.replays_equal { "alike" } else { "DIFFERENTLY" }
        )?;
        match self.first_failing_seed {
            Some(seed) => write!(f, "; the first that failed is {seed}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.profiles.iter().try_for_each(|report| writeln!(f, "{report}"))?;
        let Self { seeds, failures, deliveries, writes, seeds_per_s, .. } = self;
        write!(
            f,
            "{:12} {seeds:>6} seeds, {failures} failed, {deliveries:>9} frames, \
             {writes:>8} writes, {seeds_per_s:>7.1} seeds/s",
            "all"
        )?;
        if self.probes_unhit.is_empty() {
            return Ok(());
        }
        write!(f, "\nprobes that no run hit: {}", self.probes_unhit.join(", "))
    }
}

/// The rare cases that no run came to since these counts.
fn probes_unhit(before: &[RareCase]) -> Vec<String> {
    let hits = |name: &str| before.iter().find(|case| case.name == name).map_or(0, |it| it.hits);
    let unhit = rare_cases().into_iter().filter(|case| case.hits == hits(&case.name));
    unhit.map(|case| case.name).collect()
}

fn print(report: &(impl Serialize + fmt::Display), json: bool) {
    if json {
        println!("{}", serde_json::to_string(report).expect("numbers and texts are JSON"));
    } else {
        println!("{report}");
    }
}

/// Every so-manieth seed runs twice, and must give the same trace.
const REPLAYED_EVERY: u64 = 50;
