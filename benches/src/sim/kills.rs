//! The seeds that are known to find each planted bug: a file in the repository, for those who have no hours.
//! When drawing changes, they may not find it any more; `mutants --record` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use millpond::sim::Profile;

/// A seed of a profile.
pub type Seed = (Profile, u64);

/// Known seeds for each bug, by the name of its rules.
pub struct Kills(BTreeMap<String, Vec<Seed>>);

impl Kills {
    /// Those of the repository.
    pub fn known() -> Self {
        Self(serde_json::from_str(KNOWN).expect("the file was written here"))
    }

    /// Those that find a bug.
    pub fn of(&self, rule: &str) -> &[Seed] {
        self.0.get(rule).map_or(&[], Vec::as_slice)
    }

    /// These, and what was known about other bugs.
    pub fn with(mut self, found: impl Iterator<Item = (String, Profile, u64)>) -> Self {
        self.0.extend(found.map(|(rule, profile, seed)| (rule, vec![(profile, seed)])));
        self
    }

    /// Writes them, a line for each bug.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let line = |(rule, seeds): (&String, &Vec<Seed>)| {
            let seeds = serde_json::to_string(seeds).expect("names and numbers are JSON");
            format!("  {rule:?}: {seeds}")
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        fs::write(file, format!("{{\n{}\n}}\n", lines.join(",\n")))
    }
}

const KNOWN: &str = include_str!("kills.json");
