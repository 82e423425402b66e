//! What delays single messages.

use clap::ValueEnum;
use millpond::sim::mesh;
use serde::Serialize;

use crate::workload::Random;

/// What delays single messages. Links keep their order: what is sent after such a message waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Disturbance {
    /// Nothing does.
    #[default]
    None,
    /// One of a hundred messages comes 100 ms late.
    Late,
    /// Two of a hundred come one more round trip later, as after a loss that a reliable transport repairs.
    HeldBack,
}

impl Disturbance {
    /// In reports and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Late => "late",
            Self::HeldBack => "held-back",
        }
    }

    /// How much later a message comes on a link of this round trip.
    pub fn late_ms(self, round_trip_ms: u64, random: &mut Random) -> u64 {
        match self {
            Self::None => 0,
            Self::Late if random.below(100) < LATE_PERCENT.into() => LATE_MS.into(),
            Self::HeldBack if random.below(100) < HELD_BACK_PERCENT.into() => round_trip_ms,
            Self::Late | Self::HeldBack => 0,
        }
    }
}

impl From<Disturbance> for mesh::Disturbance {
    fn from(disturbance: Disturbance) -> Self {
        match disturbance {
            Disturbance::None => Self::None,
            Disturbance::Late => Self::Late { percent: LATE_PERCENT, ms: LATE_MS },
            Disturbance::HeldBack => Self::HeldBack { percent: HELD_BACK_PERCENT },
        }
    }
}

const LATE_PERCENT: u32 = 1;
const LATE_MS: u32 = 100;
const HELD_BACK_PERCENT: u32 = 2;
