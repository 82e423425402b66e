//! What a run comes to, for people and for programs.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::folder::ScratchFolder;
use crate::machine::{self, Machine};

/// What a scenario comes to.
pub trait Outcome: fmt::Display {
    /// One line of JSON.
    fn to_json(&self) -> String;

    /// The bars that are missed, in words.
    fn missed(&self) -> Vec<String>;
}

/// The outcome of a scenario that has one figure, and one limit.
#[derive(Debug, Serialize)]
pub struct Report {
    scenario: &'static str,
    parameters: Value,
    /// Of samples, median and limit.
    unit: &'static str,
    samples: Vec<f64>,
    median: f64,
    /// The physical limit, measured in the same run.
    limit: f64,
    /// Median over limit.
    ratio: f64,
    /// What the ratio, or more, must reach.
    pub bar: Bar,
    machine: Machine,
    commit: String,
    /// What else the scenario found.
    #[serde(flatten)]
    details: Map<String, Value>,
}

/// A bar, and whether it is met.
#[derive(Debug, Serialize)]
pub struct Bar {
    /// In words.
    pub text: String,
    /// `None` when it cannot be judged here.
    pub met: Option<bool>,
}

/// The figures of a scenario.
#[derive(Debug)]
pub struct Figures {
    /// Of all of them.
    pub unit: &'static str,
    /// Measured.
    pub samples: Vec<f64>,
    /// Their physical limit.
    pub limit: f64,
}

impl Report {
    /// The report of a scenario; `is_met` judges the ratio.
    pub fn new(
        scenario: &'static str,
        parameters: Value,
        figures: Figures,
        folder: &ScratchFolder,
    ) -> Self {
        let Figures { unit, samples, limit } = figures;
        let median = median(&samples);
        Self {
            scenario,
            parameters,
            unit,
            samples,
            median,
            limit,
            ratio: median / limit,
            bar: Bar { text: String::new(), met: None },
            machine: Machine::here(Some(folder)),
            commit: machine::commit(),
            details: Map::new(),
        }
    }

    /// Adds what else was found.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }

    /// Judges the bar, unless the stores are in memory.
    pub fn judged(mut self, folder: &ScratchFolder, text: String, met: bool) -> Self {
        self.bar = Bar { text, met: (!folder.is_memory()).then_some(met) };
        self
    }

    /// Median over limit.
    pub fn ratio(&self) -> f64 {
        self.ratio
    }

    /// The median of the samples.
    pub fn median(&self) -> f64 {
        self.median
    }
}

impl Outcome for Report {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report has text keys and finite numbers")
    }

    fn missed(&self) -> Vec<String> {
        let is_missed = self.bar.met == Some(false);
        is_missed.then(|| self.bar.text.clone()).into_iter().collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = match self.bar.met {
            Some(true) => "met",
            Some(false) => "bar missed",
            None => "not judged: the stores are in memory",
        };
        writeln!(f, "{}", self.scenario)?;
        line(f, "parameters", &self.parameters.to_string())?;
        line(f, "unit", self.unit)?;
        let samples: Vec<String> = self.samples.iter().map(|sample| number(*sample)).collect();
        line(f, "samples", &samples.join(" "))?;
        line(f, "median", &number(self.median))?;
        line(f, "limit", &number(self.limit))?;
        line(f, "ratio", &format!("{:.3}", self.ratio))?;
        line(f, "bar", &format!("{}: {judged}", self.bar.text))?;
        for (name, value) in &self.details {
            match value.as_f64() {
                Some(figure) => line(f, name, &number(figure))?,
                None => line(f, name, &value.to_string())?,
            }
        }
        let machine = serde_json::to_string(&self.machine).map_err(|_| fmt::Error)?;
        line(f, "machine", &machine)?;
        line(f, "commit", &self.commit)
    }
}

/// The middle of these figures, of which there is one at least.
pub fn median(figures: &[f64]) -> f64 {
    percentile(figures, 0.5)
}

/// The figure below which a share of these lies; of two in the middle their mean.
pub fn percentile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {name:<28} {value}")
}

fn number(figure: f64) -> String {
    match figure {
        _ if figure.fract() == 0.0 || figure >= 1000.0 => format!("{figure:.0}"),
        _ => format!("{figure:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(percentile(&[0.0, 10.0], 0.99), 9.9);
    }
}
