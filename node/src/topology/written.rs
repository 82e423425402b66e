//! Settings of a topology as they are written in configuration files and requests: one flat table.

use serde::{Deserialize, Deserializer, Serialize};

use super::settings::{LinkSettings, Mode, Ripple, Topology, TopologyError};

/// The settings as they are written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default)]
    mode: ModeWord,
    #[serde(default, deserialize_with = "fanout", skip_serializing_if = "Option::is_none")]
    fanout: Option<usize>,
    #[serde(default)]
    ripple: Ripple,
    #[serde(default)]
    link: Vec<LinkSettings>,
}

#[derive(Default, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModeWord {
    #[default]
    FullMesh,
    SpanningTree,
    Static,
}

impl TryFrom<Written> for Topology {
    type Error = TopologyError;

    fn try_from(written: Written) -> Result<Self, TopologyError> {
        let Written { mode, fanout, ripple, link: links } = written;
        let mode = match (mode, fanout) {
            (ModeWord::SpanningTree, fanout) => {
                Mode::SpanningTree { fanout: fanout.unwrap_or(Mode::FANOUT) }
            }
            (_, Some(_)) => return Err(TopologyError::FanoutWithoutTree),
            (ModeWord::FullMesh, None) => Mode::FullMesh,
            (ModeWord::Static, None) => Mode::Static,
        };
        let topology = Self { mode, ripple, links };
        topology.check()?;
        Ok(topology)
    }
}

impl From<Topology> for Written {
    fn from(topology: Topology) -> Self {
        let Topology { mode, ripple, links: link } = topology;
        let (mode, fanout) = match mode {
            Mode::FullMesh => (ModeWord::FullMesh, None),
            Mode::SpanningTree { fanout } => (ModeWord::SpanningTree, Some(fanout)),
            Mode::Static => (ModeWord::Static, None),
        };
        Self { mode, fanout, ripple, link }
    }
}

/// Refused where it is read, so that a file's reader can point at it.
fn fanout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    match usize::deserialize(deserializer) {
        Ok(fanout) if fanout > 0 => Ok(Some(fanout)),
        _ => Err(serde::de::Error::custom(TopologyError::Fanout)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::settings::Direction;
    use millpond_core::limits::TEXT_BYTES_MAX;
    use serde_json::json;

    fn read(written: serde_json::Value) -> Result<Topology, String> {
        serde_json::from_value(written).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_written_as_they_are_read() {
        let pull =
            LinkSettings { direction: Direction::Pull, cost: Some(3), ..LinkSettings::new("hub") };
        for (topology, written) in [
            (Topology::default(), json!({"mode": "full-mesh", "ripple": "adaptive", "link": []})),
            (
                Topology { mode: Mode::SpanningTree { fanout: 3 }, ..Topology::default() },
                json!({"mode": "spanning-tree", "fanout": 3, "ripple": "adaptive", "link": []}),
            ),
            (
                Topology { mode: Mode::Static, ripple: Ripple::HoldDown, links: vec![pull] },
                json!({"mode": "static", "ripple": "hold-down",
                    "link": [{"peer": "hub", "cost": 3, "direction": "pull", "dial": true}]}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&topology).unwrap(), written);
            assert_eq!(read(written), Ok(topology));
        }
    }

    #[test]
    fn what_is_left_out_is_at_its_default() {
        assert_eq!(read(json!({})), Ok(Topology::default()));
        let tree = read(json!({"mode": "spanning-tree"})).unwrap();
        assert_eq!(tree.mode, Mode::SpanningTree { fanout: Mode::FANOUT });
        let link = read(json!({"link": [{"peer": "hub"}]})).unwrap().links;
        assert_eq!(link, [LinkSettings::new("hub")]);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (written, why) in [
            (json!({"mode": "mesh"}), "unknown variant `mesh`"),
            (json!({"mode": "spanning-tree", "fanout": 0}), "1 or more"),
            (json!({"mode": "spanning-tree", "fanout": "8"}), "1 or more"),
            (json!({"fanout": 8}), "\"spanning-tree\" only"),
            (json!({"mode": "static"}), "none is named"),
            (json!({"link": [{"peer": ""}]}), "`peer` is"),
            (json!({"link": [{"peer": "a".repeat(TEXT_BYTES_MAX + 1)}]}), "`peer` is"),
            (json!({"link": [{"peer": "a"}, {"peer": "a"}]}), "two links of peer \"a\""),
            (json!({"link": [{"peer": "a", "weight": 1}]}), "unknown field `weight`"),
            (json!({"link": [{"peer": "a", "cost": -1}]}), "invalid value"),
        ] {
            let refused = read(written.clone()).unwrap_err();
            assert!(refused.contains(why), "{written}: {refused}");
        }
        let none = Topology { mode: Mode::SpanningTree { fanout: 0 }, ..Topology::default() };
        assert_eq!(none.check(), Err(TopologyError::Fanout));
    }
}
