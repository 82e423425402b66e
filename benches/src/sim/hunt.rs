//! The hunt for planted bugs: for each, seeds of the profiles that should notice, until one does.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use millpond::sim::{Failure, Mutant, Profile, RunOptions, Scenario, run as play};
use serde::Serialize;

use crate::kills::{Kills, Seed};
use crate::mutants::Arguments;
use crate::refuse;
use millpond_benches::fan_out::{Done, fan_out, progress, threads};

/// What all hunts came to.
#[derive(Serialize)]
struct Report {
    /// Bugs that the simulator is to notice.
    mutants: usize,
    killed: usize,
    survivors: Vec<Survivor>,
    kills: Vec<Kill>,
    /// Bugs that only directed tests can notice.
    by_tests: Vec<String>,
    /// Seeds that fail with all rules in place, too: real bugs, and no kills.
    unsound: Vec<Seed>,
    seconds: f64,
}

/// A bug that was noticed.
#[derive(Serialize)]
struct Kill {
    rule: String,
    source: &'static str,
    profile: Profile,
    seed: u64,
    check: String,
    what: String,
    /// Seeds until then.
    seeds: u64,
    seconds: f64,
}

/// A bug that was not.
#[derive(Serialize)]
struct Survivor {
    rule: String,
    source: &'static str,
    bug: &'static str,
    seeds: u64,
    /// Of them, those that came to where the rule is missing.
    met: u64,
    seconds: f64,
}

enum Ending {
    Killed(Kill),
    Survived(Survivor),
    ByTests(String),
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let mut mutants = Mutant::all();
    if let Some(words) = &arguments.only {
        mutants.retain(|mutant| mutant.name().contains(words));
        if mutants.is_empty() {
            return refuse(format!("no rule has {words:?} in its name"));
        }
    }
    let start = Instant::now();
    let known = Kills::known();
    let bar = progress(mutants.len() as u64, "mutants".into());
    let endings = fan_out(mutants.len() as u64, threads(arguments.threads), &bar, |number| {
        let mutant = &mutants[number as usize];
        let hunt = Hunt::new(mutant, arguments, known.of(&mutant.name()));
        Done { result: hunt.run(&bar), is_last: false }
    });
    bar.finish_and_clear();
    let report = Report::of(endings, start.elapsed());
    if let Some(file) = &arguments.record {
        let kills = report.kills.iter().map(|kill| (kill.rule.clone(), kill.profile, kill.seed));
        if let Err(error) = known.with(kills).write(file) {
            return refuse(format!("{}: {error}", file.display()));
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&report).expect("numbers and texts are JSON"));
    } else {
        println!("{report}");
    }
    let percent = arguments.percent.unwrap_or(if arguments.quick { 80 } else { 100 });
    let is_well = report.is_enough(percent) && report.unsound.is_empty();
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does something with the bug of this rule.
pub fn with_bug<T>(rule: &str, work: impl FnOnce() -> T) -> Result<T, String> {
    let all = Mutant::all();
    let found = all.iter().find(|mutant| mutant.name() == rule || mutant.rules == [rule]);
    let found = found.or_else(|| all.iter().find(|mutant| mutant.rules.contains(&rule)));
    match found {
        Some(mutant) => Ok(mutant.in_place(work).0),
        None => Err(format!("there is no rule {rule:?}")),
    }
}

/// The hunt for one bug.
struct Hunt<'a> {
    mutant: &'a Mutant,
    /// The seeds to begin with.
    known: &'a [Seed],
    first_seed: u64,
    seconds: u64,
    start: Instant,
    seeds: u64,
    met: u64,
    unsound: Vec<Seed>,
}

/// What a hunt came to, and seeds that fail without any bug.
type Hunted = (Ending, Vec<Seed>);

impl<'a> Hunt<'a> {
    fn new(mutant: &'a Mutant, arguments: &Arguments, known: &'a [Seed]) -> Self {
        let seconds = if arguments.quick { QUICK_SECONDS } else { SECONDS };
        Self {
            mutant,
            known: if arguments.quick { known } else { &[] },
            first_seed: arguments.first_seed,
            seconds: arguments.seconds_each.unwrap_or(seconds),
            start: Instant::now(),
            seeds: 0,
            met: 0,
            unsound: Vec::new(),
        }
    }

    fn run(mut self, bar: &ProgressBar) -> Hunted {
        let (rule, source) = (self.mutant.name(), self.mutant.source);
        if self.mutant.profiles.is_empty() {
            return (Ending::ByTests(rule), Vec::new());
        }
        let kill = self.find();
        let (seeds, met, seconds) = (self.seeds, self.met, self.start.elapsed().as_secs_f64());
        let ending = match kill {
            Some(((profile, seed), Failure { check, what, .. })) => {
                Ending::Killed(Kill { rule, source, profile, seed, check, what, seeds, seconds })
            }
            None => {
                bar.println(format!("survives: {rule} ({met} of {seeds} seeds met it)"));
                let bug = self.mutant.bug;
                Ending::Survived(Survivor { rule, source, bug, seeds, met, seconds })
            }
        };
        (ending, self.unsound)
    }

    /// The first seed that notices: known ones at first, then some of each profile in turn.
    fn find(&mut self) -> Option<(Seed, Failure)> {
        for &seed in self.known {
            if let Some(failure) = self.try_seed(seed) {
                return Some((seed, failure));
            }
        }
        let profiles = self.mutant.profiles.clone();
        for batch in 0.. {
            let profile = profiles[batch as usize % profiles.len()];
            let first = self.first_seed + batch / profiles.len() as u64 * BATCH;
            for seed in first..first + BATCH {
                if self.start.elapsed().as_secs() >= self.seconds {
                    return None;
                }
                if let Some(failure) = self.try_seed((profile, seed)) {
                    return Some(((profile, seed), failure));
                }
            }
        }
        None
    }

    /// Whether a seed fails with the bug, and only with it.
    fn try_seed(&mut self, (profile, seed): Seed) -> Option<Failure> {
        let scenario = Scenario::draw(profile, seed);
        let play = || play(&scenario, RunOptions::default()).failure;
        let (failure, is_met) = self.mutant.in_place(play);
        self.seeds += 1;
        self.met += u64::from(is_met);
        let failure = failure?;
        if play().is_some() {
            self.unsound.push((profile, seed));
            return None;
        }
        Some(failure)
    }
}

impl Report {
    fn of(hunted: Vec<Hunted>, elapsed: Duration) -> Self {
        let mut report = Self {
            mutants: 0,
            killed: 0,
            survivors: Vec::new(),
            kills: Vec::new(),
            by_tests: Vec::new(),
            unsound: Vec::new(),
            seconds: elapsed.as_secs_f64(),
        };
        for (ending, unsound) in hunted {
            report.unsound.extend(unsound);
            match ending {
                Ending::Killed(kill) => report.kills.push(kill),
                Ending::Survived(survivor) => report.survivors.push(survivor),
                Ending::ByTests(rule) => report.by_tests.push(rule),
            }
        }
        report.unsound.sort_unstable();
        report.unsound.dedup();
        report.killed = report.kills.len();
        report.mutants = report.killed + report.survivors.len();
        report
    }

    fn is_enough(&self, percent: u64) -> bool {
        self.killed as u64 * 100 >= percent * self.mutants as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Kill { rule, source, profile, seed, check, seconds, .. } in &self.kills {
            let by = format!("{profile} {seed}");
            writeln!(f, "killed    {source:12} {by:20} {check:14.14} {seconds:>6.1} s  {rule}")?;
        }
        for Survivor { rule, source, seeds, met, seconds, .. } in &self.survivors {
            let seeds = format!("met by {met} of {seeds}");
            writeln!(f, "SURVIVES  {source:12} {seeds:35} {seconds:>6.1} s  {rule}")?;
        }
        for rule in &self.by_tests {
            writeln!(f, "by tests  {rule}")?;
        }
        for (profile, seed) in &self.unsound {
            writeln!(f, "FAILS WITHOUT ANY BUG: profile {profile}, seed {seed}")?;
        }
        let Self { mutants, killed, seconds, .. } = self;
        let (survive, tests) = (self.survivors.len(), self.by_tests.len());
        write!(f, "{mutants} mutants: {killed} killed, {survive} survive; {tests} more are ")?;
        write!(f, "the tests'; {seconds:.0} s")
    }
}

/// Seeds of a profile before the next one has its turn.
const BATCH: u64 = 10;
/// How long to look for a bug.
const SECONDS: u64 = 600;
/// How long with known seeds: for what they do not find any more.
const QUICK_SECONDS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn survivor() -> Ending {
        let rule = "a rule".to_owned();
        Ending::Survived(Survivor { rule, source: "own", bug: "", seeds: 9, met: 3, seconds: 1. })
    }

    fn kill() -> Ending {
        let (rule, check, what) = ("a rule".to_owned(), "R6".to_owned(), "R6: so".to_owned());
        let (profile, seed) = (Profile::Disk, 7);
        let (source, seeds, seconds) = ("own", 9, 1.);
        Ending::Killed(Kill { rule, source, profile, seed, check, what, seeds, seconds })
    }

    #[test]
    fn bugs_that_are_the_tests_count_neither_way() {
        let endings = [kill(), survivor(), kill(), Ending::ByTests("other".into()), kill(), kill()];
        let report = Report::of(endings.map(|it| (it, vec![])).into(), Duration::ZERO);
        assert_eq!((report.mutants, report.killed), (5, 4));
        assert!(report.is_enough(80) && !report.is_enough(81));
        assert_eq!(report.by_tests, ["other"]);
    }

    /// A rule that no seed of this version can do without, so that its absence is noticed at once.
    #[test]
    fn a_hunt_ends_with_the_first_seed_that_notices() {
        let all = Mutant::all();
        let mutant = all.iter().find(|mutant| mutant.rules == ["seqs have no gaps"]).unwrap();
        let mut hunt = Hunt {
            mutant,
            known: &[],
            first_seed: 0,
            seconds: 600,
            start: Instant::now(),
            seeds: 0,
            met: 0,
            unsound: Vec::new(),
        };
        let ((profile, seed), failure) = hunt.find().expect("a gap is noticed");
        assert_eq!(hunt.try_seed((profile, seed)), Some(failure));
        assert!(hunt.met > 0);
    }
}
