//! Big meshes: many nodes that know each other from the start, with known round trips between them, measured
//! from outside.
//!
//! ```
//! use millpond::sim::mesh::{self, MeshOptions};
//!
//! let mut options = MeshOptions::new(4, 7);
//! (options.warm_up, options.updates) = (20, 20);
//! let figures = mesh::run(&options)?;
//! assert!(figures.latency.p50_ms >= figures.shortest.p50_ms);
//! # Ok::<(), mesh::MeshError>(())
//! ```
//!
//! | module | is |
//! |---|---|
//! | `disturbance` | what happens to frames on the way |
//! | `field` | a mesh in which updates are written and followed |
//! | `figures`, `kinds`, `meter` | what is measured |
//! | `founding` | makes the members, and lets them know each other |
//! | `options` | what is asked for |
//! | `round_trips` | how far the nodes are from each other |
//! | `run`, `trials` | the measurements |
//! | `writes` | who writes when |

mod disturbance;
mod field;
mod figures;
pub(crate) mod founding;
mod kinds;
pub(crate) mod meter;
mod options;
mod round_trips;
mod run;
mod trials;
mod writes;

pub use disturbance::Disturbance;
pub use field::MeshError;
pub use figures::{MeshFigures, Spread};
pub use kinds::{KindFigures, Purpose};
pub use options::MeshOptions;
pub use round_trips::{NoRoundTrips, RoundTrips};
pub use run::run;
pub use trials::{Heal, Reunion, cut_trials, split_trial};
pub use writes::{Write, Writes};
