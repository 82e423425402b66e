//! Scenario `mesh-sim`: how often an update crosses each node of a mesh, how soon it is everywhere, and what
//! that costs, in virtual time, for this engine and for the protocols to compare with.
//!
//! | module | is |
//! |---|---|
//! | `options` | what can be varied |
//! | `campaign` | all trials of a run, over all cores |
//! | `cell`, `disturbance` | what all protocols run under |
//! | `subject`, `engine` | what is measured; this engine |
//! | `models`, `baseline` | the protocols to compare with |
//! | `trial`, `row` | one run of one protocol; the trials of one setting as one row |
//! | `cut`, `heals` | a cut of the link that feeds a node; many cuts or splits as one row |
//! | `bars`, `reference` | what is demanded; the figures that the models must come near |
//! | `report` | what a run comes to |
//! | `chart`, `charts` | the same as pictures |

mod bars;
mod baseline;
mod campaign;
mod cell;
mod chart;
mod charts;
mod cut;
mod disturbance;
mod engine;
mod heals;
mod models;
mod options;
mod reference;
mod report;
mod row;
mod subject;
mod trial;

pub use campaign::run;
pub use options::Parameters;

pub const NAME: &str = "mesh-sim";
pub const ABOUT: &str = "simulated meshes of random round trips, this engine beside a flood, RavenDB's \
                         rule, Plumtree and a static tree. Limit: the shortest ways, one copy for each \
                         node. Bars: those of copies, latency, healing and control bytes";
