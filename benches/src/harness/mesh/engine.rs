//! This engine, in the mode that is asked for.

use std::fmt;
use std::str::FromStr;

use millpond::sim::mesh::{self, MeshError, MeshOptions, Purpose};
use millpond::{Mode, Ripple, Topology};

use super::cell::Cell;
use super::trial::Trial;

/// How all nodes of this engine take part: `full-mesh` or `spanning-tree:8`, followed by `+hold-down` if they
/// announce nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine(Topology);

impl Engine {
    /// Whether its nodes announce what came by replication.
    pub fn is_adaptive(&self) -> bool {
        self.0.ripple == Ripple::Adaptive
    }

    /// The mesh of a seed, its nodes in this mode.
    pub fn options(&self, cell: &Cell, seed: u64) -> MeshOptions {
        let mut options = cell.options(seed);
        options.topology = self.0.clone();
        options
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// If the members do not link, or an update does not come to a node.
    pub fn trial(&self, cell: &Cell, seed: u64) -> Result<Trial, MeshError> {
        let figures = mesh::run(&self.options(cell, seed))?;
        let control = figures.kinds.iter().filter(|kind| kind.purpose == Purpose::Ripple);
        let messages: u64 = control.map(|kind| kind.messages).sum();
        Ok(Trial {
            copies_per_update: figures.copies_per_update,
            latency: figures.latency,
            shortest: figures.shortest,
            star: figures.star,
            behind_shortest: figures.behind_shortest,
            max_round_trip_ms: figures.max_round_trip_ms,
            control_bytes_per_update: figures.control_bytes_per_update,
            control_messages_per_update: messages as f64 / cell.updates as f64,
            acks_bytes_per_s_per_node: Some(figures.status_bytes_per_s_per_node),
            idle_bytes_per_s_per_node: figures.idle_bytes_per_s_per_node,
            inter_region_copies_per_update: figures.inter_region_copies_per_update,
            latencies_ms: Vec::new(),
        })
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mode, ripple) = match text.strip_suffix("+hold-down") {
            Some(mode) => (mode, Ripple::HoldDown),
            None => (text, Ripple::Adaptive),
        };
        let mode = match mode.split_once(':') {
            None if mode == "full-mesh" => Mode::FullMesh,
            Some(("spanning-tree", fanout)) => match fanout.parse() {
                Ok(fanout) if fanout > 0 => Mode::SpanningTree { fanout },
                _ => return Err("a spanning tree needs a fanout of 1 or more".into()),
            },
            _ => {
                return Err(
                    "full-mesh or spanning-tree:FANOUT is needed, +hold-down may follow".into()
                );
            }
        };
        let mut topology = Topology::default();
        (topology.mode, topology.ripple) = (mode, ripple);
        Ok(Self(topology))
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.mode {
            Mode::FullMesh => f.write_str("full-mesh")?,
            Mode::SpanningTree { fanout } => write!(f, "spanning-tree:{fanout}")?,
            _ => f.write_str("static")?,
        }
        match self.0.ripple {
            Ripple::HoldDown => f.write_str("+hold-down"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_as_it_is_written() {
        for text in ["full-mesh", "spanning-tree:8", "full-mesh+hold-down"] {
            assert_eq!(text.parse::<Engine>().unwrap().to_string(), text);
        }
        for wrong in ["", "mesh", "spanning-tree", "spanning-tree:0", "full-mesh+", "full-mesh:2"] {
            assert!(wrong.parse::<Engine>().is_err(), "{wrong}");
        }
    }
}
