//! What is measured: this engine, or a protocol to compare with.

use millpond::sim::mesh::{self, Reunion};

use super::baseline::Baseline;
use super::cell::Cell;
use super::cut;
use super::engine::Engine;
use super::heals::Heal;
use super::trial::{self, Trial};
use crate::Result;

/// What is measured.
#[derive(Debug, Clone)]
pub enum Subject {
    Engine(Engine),
    Baseline(Baseline),
}

impl Subject {
    /// What reports call it.
    pub fn name(&self) -> String {
        match self {
            Self::Engine(engine) => engine.to_string(),
            Self::Baseline(baseline) => baseline.name().into(),
        }
    }

    /// Whether it is this engine, as it is meant to be used.
    pub fn is_judged(&self) -> bool {
        matches!(self, Self::Engine(engine) if engine.is_adaptive())
    }

    /// Runs it.
    pub fn trial(&self, cell: &Cell, seed: u64) -> Result<Trial> {
        let failed =
            |why: String| format!("{} of {} nodes, seed {seed}: {why}", self.name(), cell.nodes);
        match self {
            Self::Engine(engine) => {
                Ok(engine.trial(cell, seed).map_err(|why| failed(why.to_string()))?)
            }
            Self::Baseline(baseline) => Ok(trial::run(*baseline, cell, seed)
                .ok_or_else(|| failed("an update did not come to a node".into()))?),
        }
    }

    /// Runs it over so many cuts of a link that feeds a node.
    pub fn cuts(&self, cell: &Cell, seed: u64, cuts: u64) -> Result<Vec<Heal>> {
        match self {
            Self::Engine(engine) => {
                let heals = mesh::cut_trials(&engine.options(cell, seed), cuts as usize)?;
                Ok(heals.into_iter().map(Heal::from).collect())
            }
            Self::Baseline(baseline) => {
                let seeds = (0..cuts).map(|cut| seed * cuts + cut);
                Ok(seeds.map(|seed| cut::run(*baseline, cell, seed)).collect())
            }
        }
    }

    /// Splits it in two halves for so long; nothing of baselines.
    pub fn split(&self, cell: &Cell, seed: u64, split_ms: u64) -> Result<Option<Reunion>> {
        match self {
            Self::Engine(engine) => {
                Ok(Some(mesh::split_trial(&engine.options(cell, seed), split_ms)?))
            }
            Self::Baseline(_) => Ok(None),
        }
    }
}
