//! Big meshes: many nodes that know each other from the start, with known round trips between them.
//!
//! | module | is |
//! |---|---|
//! | `round_trips` | how far the nodes are from each other |

mod round_trips;

pub use round_trips::{NoRoundTrips, RoundTrips};
