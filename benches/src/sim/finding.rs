//! A finding: a seed that failed, and the files that show why.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use millpond::sim::{Failure, Profile, RunOptions, Scenario, run};
use serde::Serialize;

use crate::commit::commit;
use crate::timeline::{self, Story};

/// A seed that failed.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub profile: String,
    pub seed: u64,
    pub check: String,
    pub what: String,
}

impl Finding {
    pub fn new(profile: Profile, seed: u64, failure: &Failure) -> Self {
        let Failure { check, what, .. } = failure.clone();
        Self { profile: profile.to_string(), seed, check, what }
    }

    /// Says what was found and how to see it again.
    pub fn tell(&self) {
        let Self { profile, seed, what, .. } = self;
        eprintln!("FAILED: profile {profile}, seed {seed}, commit {}", commit());
        eprintln!("  {what}");
        eprintln!("  again: millpond-sim replay {seed} --profile {profile}");
    }

    /// Shrinks the scenario, and writes it and its timelines into a folder.
    pub fn write(&self, folder: &Path, scenario: &Scenario, runs_max: usize) -> io::Result<()> {
        let about = format!("commit {}: {}", commit(), self.what);
        let shrunk = scenario.shrink(runs_max).with_about(about);
        let told = run(&shrunk, RunOptions::KEEPING_EVENTS);
        fs::create_dir_all(folder)?;
        let name = format!("{}-{}", self.profile, self.seed);
        let file = |ending| -> PathBuf { folder.join(format!("{name}.{ending}")) };
        let story = Story::new(&shrunk, &told);
        fs::write(file("json"), shrunk.to_json())?;
        fs::write(file("txt"), timeline::text(&story))?;
        fs::write(file("html"), timeline::page(&story))?;
        let (steps, all) = (shrunk.steps(), scenario.steps());
        eprintln!("  shrunk to {steps} of {all} steps: {}", file("json").display());
        eprintln!("  timelines: {} and {}", file("txt").display(), file("html").display());
        Ok(())
    }
}
