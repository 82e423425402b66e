//! Bar B7: nodes that are killed, frozen and cut off while clients write lose nothing that they answered.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millpond_rig::Chaos;

use super::is_possible;

/// `harness run chaos` is the long form.
#[test]
fn chaos_loses_nothing_that_was_acknowledged() {
    if !is_possible() {
        return;
    }
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("MILLPOND_CHAOS_SEED").unwrap_or(now.as_micros() as u64);
    println!("repeat with MILLPOND_CHAOS_SEED={seed}");
    let duration = Duration::from_secs(20);
    let chaos = Chaos { seed, nodes: 5, writers_per_node: 2, duration };
    let verdict = chaos.run(Path::new(env!("CARGO_BIN_EXE_millpond")), None).expect("it starts");
    println!("{verdict:#?}");
    assert!(verdict.violations.is_empty(), "seed {seed}");
    assert!(verdict.answered > 200 && verdict.reads > 200, "seed {seed}");
}
