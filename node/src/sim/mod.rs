//! The simulator: whole clusters in one thread and in virtual time, driving the code that ships.
//!
//! A [`Scenario`] says what is done to a cluster, step by step: what clients ask, and what networks, disks,
//! clocks and operators do to the nodes. It is drawn from a seed, by a [`Profile`], or read from a file.
//! [`run`] carries it out on production engines over stores that keep the production contract; frames are
//! really encoded and decoded. Then everything is mended, and a judge looks at what is left.
//!
//! One seed decides everything, so that a run can be repeated to the last frame, on any machine and in any
//! build. `TESTING.md` tells how to add a fault, a checker and a planted bug; the runner is `millpond-sim`.
//!
//! | module | is |
//! |---|---|
//! | `scenario`, `profile`, `shape`, `mix`, `draw`, `episode` | what is done, and how a seed draws it |
//! | `world`, `founding`, `nodes`, `node`, `net`, `connection`, `road`, `due`, `disk`, `clock`, `later` | the nodes, and what lies beneath and between them |
//! | `stage` | carries steps out |
//! | `oracle`, `judge`, `speech`, `audit`, `wishes`, `starved`, `delays`, `trials` | what must hold: at each moment, of each word, in the end |
//! | `trace`, `describe` | what happened |
//! | `stranger` | what peers say before, in and after a hello, for the fuzzer |
//! | `churn` | members that come and go, and what vectors cost then |
//! | `mesh` | big meshes, and how far their nodes are from each other |
//! | `kit` | the test kit: applications on simulated clusters |
//! | `shell` | the other way round: the real shell, on a machine that somebody else simulates |
//! | `run`, `shrink`, `panics`, `rare`, `mutants` | from a scenario to a verdict |
//!
//! **For applications**: [`Sim`] is a cluster on which a test writes and reads its own records while nodes are cut
//! off, crash, have wrong clocks and come back from backups; [`check`] runs a test over many seeds, which draw such
//! things; [`laws`] checks a type of record. That is the test kit; all else here tests Millpond itself, and is free
//! to change.
//!
//! ```
//! use millpond::sim::{Profile, RunOptions, Scenario, run};
//!
//! let scenario = Scenario::draw(Profile::Quiet, 7);
//! let first = run(&scenario, RunOptions::default());
//! assert_eq!(first.failure, None);
//! assert_eq!(first.trace, run(&scenario, RunOptions::default()).trace);
//! ```

mod asking;
pub(crate) mod audit;
mod churn;
mod clock;
mod connection;
mod delays;
mod describe;
pub(crate) mod disk;
mod doubles;
mod draw;
mod due;
mod episode;
mod folders;
mod founding;
mod guests;
mod held;
mod indexed;
mod judge;
pub(crate) mod keys;
mod kit;
mod later;
mod mending;
pub mod mesh;
mod mix;
#[cfg(any(test, feature = "planted-bugs"))]
mod mutants;
pub(crate) mod net;
pub(crate) mod node;
mod nodes;
mod oracle;
mod panics;
mod profile;
mod rare;
#[cfg(test)]
mod rig;
mod road;
mod rollback;
mod run;
mod scenario;
mod sessions;
mod shape;
pub mod shell;
mod shrink;
mod speech;
mod stage;
mod starved;
mod stranger;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
mod trials;
mod wishes;
pub(crate) mod world;

pub use churn::{ChurnOptions, ChurnReport, KindWeight, Weights, churn};
pub use kit::{Sim, SimWait, SimWrite, check, laws};
#[cfg(any(test, feature = "planted-bugs"))]
#[doc(hidden)]
pub use mutants::Mutant;
pub use panics::silence_panics;
pub use profile::{Profile, UnknownProfile};
pub use rare::{RareCase, rare_cases};
pub use run::{Failure, Run, RunOptions, run};
pub use scenario::{Scenario, ScenarioError};
#[doc(hidden)]
pub use stranger::fuzz_hello;
pub use trace::{Event, EventKind};
