//! The figures that the model of RavenDB's rule must come near: those of an independent simulation of the
//! same rule on the same scenarios.
//!
//! They are of the updates of all trials together, and so is what is compared with them.

/// Of one size: random round trips of 5 to 200 ms, up to 16 writers.
pub struct RavenDb {
    pub nodes: usize,
    /// At 2 updates a second.
    pub copies: f64,
    /// At 200 updates a second.
    pub copies_under_load: f64,
    /// At 2 updates a second, for the whole mesh.
    pub control_bytes: f64,
    /// At 2 updates a second: p50, p99 and the longest.
    pub latency_ms: [f64; 3],
    /// Of the first update after a silent cut: p50, p99 and the longest.
    pub heal_ms: [f64; 3],
    /// Of how many cuts the longest is the longest.
    pub cuts: usize,
}

pub const RAVENDB: [RavenDb; 6] = [
    RavenDb {
        nodes: 3,
        copies: 1.05,
        copies_under_load: 1.79,
        control_bytes: 589.0,
        latency_ms: [80.0, 97.0, 102.0],
        heal_ms: [5755.0, 14730.0, 14882.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 5,
        copies: 1.08,
        copies_under_load: 3.05,
        control_bytes: 3_200.0,
        latency_ms: [89.0, 107.0, 114.0],
        heal_ms: [2650.0, 10887.0, 12223.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 8,
        copies: 1.11,
        copies_under_load: 4.55,
        control_bytes: 14_000.0,
        latency_ms: [94.0, 108.0, 113.0],
        heal_ms: [1854.0, 6618.0, 8071.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 16,
        copies: 1.16,
        copies_under_load: 6.97,
        control_bytes: 115_000.0,
        latency_ms: [99.0, 108.0, 114.0],
        heal_ms: [768.0, 3955.0, 4825.0],
        cuts: 200,
    },
    RavenDb {
        nodes: 32,
        copies: 1.22,
        copies_under_load: 7.31,
        control_bytes: 925_000.0,
        latency_ms: [102.0, 109.0, 114.0],
        heal_ms: [426.0, 2490.0, 2490.0],
        cuts: 50,
    },
    RavenDb {
        nodes: 64,
        copies: 1.35,
        copies_under_load: 7.57,
        control_bytes: 7_400_000.0,
        latency_ms: [103.0, 110.0, 116.0],
        heal_ms: [298.0, 932.0, 932.0],
        cuts: 50,
    },
];
