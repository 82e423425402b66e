//! What delays single messages.

use std::fmt;

use clap::ValueEnum;
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

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Late => "late",
            Self::HeldBack => "held-back",
        })
    }
}

impl Disturbance {
    /// How much later a message comes on a link of this round trip.
    pub fn late_ms(self, round_trip_ms: u64, random: &mut Random) -> u64 {
        match self {
            Self::None => 0,
            Self::Late if random.below(100) < 1 => 100,
            Self::HeldBack if random.below(100) < 2 => round_trip_ms,
            Self::Late | Self::HeldBack => 0,
        }
    }
}
