//! The simulator: whole clusters in one thread and in virtual time, driving the code that ships.

mod asking;
pub(crate) mod audit;
mod clock;
mod describe;
pub(crate) mod disk;
mod draw;
mod episode;
mod held;
mod judge;
mod later;
mod mix;
#[cfg(any(test, feature = "planted-bugs"))]
mod mutants;
pub(crate) mod net;
pub(crate) mod node;
mod oracle;
mod panics;
mod profile;
mod rare;
#[cfg(test)]
mod rig;
mod run;
mod scenario;
mod shrink;
mod speech;
mod stage;
#[cfg(test)]
mod tests;
mod trace;
pub(crate) mod world;

#[cfg(any(test, feature = "planted-bugs"))]
#[doc(hidden)]
pub use mutants::Mutant;
pub use panics::silence_panics;
pub use profile::{Profile, UnknownProfile};
pub use rare::{RareCase, rare_cases};
pub use run::{Failure, Run, RunOptions, run};
pub use scenario::{Scenario, ScenarioError};
pub use trace::{Event, EventKind};
