//! `replay`: one scenario, and what happens in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use millpond::sim::{Profile, Run, RunOptions, Scenario};

use crate::refuse;
use crate::timeline::{self, Story};

#[derive(Args)]
pub struct Arguments {
    /// The seed to draw the scenario from.
    #[arg(required_unless_present = "file", requires = "profile", conflicts_with = "file")]
    seed: Option<u64>,
    /// Which mixture of work and faults the seed was of.
    #[arg(long)]
    profile: Option<Profile>,
    /// The scenario of a file instead.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Take steps out of the scenario as long as it fails.
    #[arg(long)]
    shrink: bool,
    /// In how many runs at most.
    #[arg(long, default_value_t = 400)]
    shrink_runs: usize,
    /// Write the scenario.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the timeline as a page: a chart of nodes, messages, faults and findings.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Write the timeline as a text; `-` is standard output, where it goes if nothing is said.
    #[arg(long)]
    text: Option<PathBuf>,
    /// Print the outcome only.
    #[arg(long)]
    quiet: bool,
    /// Take a rule of the code out; needs the feature `planted-bugs`.
    #[arg(long, value_name = "RULE")]
    without: Option<String>,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let told = read(arguments).and_then(|scenario| {
        let play = || play(arguments, &scenario);
        let (scenario, run) = match &arguments.without {
            Some(rule) => crate::mutants::with_bug(rule, play)?,
            None => play(),
        };
        tell(arguments, &scenario, &run)?;
        Ok(run.failure.is_none())
    });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => refuse(why),
    }
}

fn read(arguments: &Arguments) -> Result<Scenario, String> {
    match (arguments.seed, arguments.profile, &arguments.file) {
        (Some(seed), Some(profile), _) => Ok(Scenario::draw(profile, seed)),
        (.., Some(file)) => {
            let text = fs::read_to_string(file).map_err(|error| said(file, error))?;
            Scenario::from_json(&text).map_err(|error| said(file, error))
        }
        _ => Err("a seed with its profile, or a file".into()),
    }
}

fn play(arguments: &Arguments, scenario: &Scenario) -> (Scenario, Run) {
    let scenario =
        if arguments.shrink { scenario.shrink(arguments.shrink_runs) } else { scenario.clone() };
    let run = millpond::sim::run(&scenario, RunOptions::KEEPING_EVENTS);
    (scenario, run)
}

fn tell(arguments: &Arguments, scenario: &Scenario, run: &Run) -> Result<(), String> {
    let story = Story::new(scenario, run);
    let write = |file: &PathBuf, text: String| fs::write(file, text).map_err(|it| said(file, it));
    if let Some(file) = &arguments.json {
        let about = story.outcome();
        write(file, scenario.clone().with_about(about).to_json())?;
    }
    if let Some(file) = &arguments.html {
        write(file, timeline::page(&story))?;
    }
    match arguments.text.as_ref().filter(|file| *file != Path::new("-")) {
        Some(file) => write(file, timeline::text(&story))?,
        None if arguments.quiet => println!("{}", timeline::head(&story)),
        None => println!("{}", timeline::text(&story)),
    }
    Ok(())
}

fn said(file: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}
