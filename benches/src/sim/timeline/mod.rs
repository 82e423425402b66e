//! A run as a story to be read: as a text, and as a chart.

mod chart;

use std::fmt::Write;

use millpond::sim::{Run, Scenario};

pub use chart::page;

/// A scenario and what came of it.
pub struct Story<'a> {
    pub scenario: &'a Scenario,
    pub run: &'a Run,
    pub commit: String,
}

impl<'a> Story<'a> {
    pub fn new(scenario: &'a Scenario, run: &'a Run) -> Self {
        Self { scenario, run, commit: crate::commit::commit() }
    }

    /// What was found, if anything was.
    pub fn outcome(&self) -> String {
        match &self.run.failure {
            Some(failure) => failure.what.clone(),
            None => "all holds".into(),
        }
    }

    pub fn title(&self) -> String {
        format!("{} {}", self.scenario.profile(), self.scenario.seed())
    }
}

/// The few lines above the events.
pub fn head(story: &Story<'_>) -> String {
    let Story { scenario, run, commit } = story;
    let (profile, seed, steps) = (scenario.profile(), scenario.seed(), scenario.steps());
    let mut text = format!("profile {profile}, seed {seed}, {steps} steps, commit {commit}\n");
    if !scenario.about().is_empty() {
        writeln!(text, "about: {}", scenario.about()).expect("a text takes all");
    }
    let Run { events, deliveries, writes, virtual_ms, trace, .. } = run;
    writeln!(
        text,
        "{events} events, {deliveries} frames, {writes} writes in {virtual_ms} ms, trace {trace:016x}"
    )
    .expect("a text takes all");
    let word = if run.failure.is_some() { "FAILED" } else { "passed" };
    write!(text, "{word}: {}", story.outcome()).expect("a text takes all");
    text
}

/// The head, and a line for each event.
pub fn text(story: &Story<'_>) -> String {
    let mut text = head(story);
    text.push_str("\n\n");
    for event in &story.run.timeline {
        writeln!(text, "{event}").expect("a text takes all");
    }
    text
}
