//! The planted bugs, as mutants for the simulator's runner.

use super::profile::Profile;
use crate::planted::{PlantedBug, all_planted, met, without};

/// A planted bug.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Mutant {
    /// The rules taken out: more than one where each of them holds alone.
    pub rules: &'static [&'static str],
    /// What the code does instead.
    pub bug: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// The profiles that should notice, the best one first; none when only a directed test can.
    pub profiles: Vec<Profile>,
}

impl Mutant {
    /// All of them.
    pub fn all() -> Vec<Self> {
        all_planted().map(Self::of).collect()
    }

    /// All rules that are taken out, as one name.
    pub fn name(&self) -> String {
        self.rules.join(" + ")
    }

    /// Does something with the bug, on this thread. Says also whether it ever came to where a rule was
    /// missing: if not, it says nothing about the bug.
    pub fn in_place<T>(&self, work: impl FnOnce() -> T) -> (T, bool) {
        without(self.rules, || (work(), met()))
    }

    fn of(planted: &PlantedBug) -> Self {
        let PlantedBug { rules, bug, source, profiles } = planted;
        let profile =
            |name: &&str| name.parse().expect("the registry names profiles that there are");
        Self { rules, bug, source, profiles: profiles.iter().map(profile).collect() }
    }
}
