//! Rare cases worth reaching, and how often runs of this process reached them.

use crate::probes;

/// A rare case, and how often runs came to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RareCase {
    /// Its name in the code.
    pub name: String,
    /// What it is.
    pub about: &'static str,
    /// How often it was met.
    pub hits: u64,
}

/// All rare cases, with what all runs of this process so far have met.
pub fn rare_cases() -> Vec<RareCase> {
    let case = |(probe, hits): (probes::Probe, u64)| RareCase {
        name: format!("{probe:?}"),
        about: probe.about(),
        hits,
    };
    probes::hits().map(case).collect()
}
