//! Real processes, each in a network namespace of its own, between which wires are really cut.
//!
//! They need root and `ip`; elsewhere each test says that it did not happen, and why. With
//! `MILLPOND_NETNS=required` that is a failure.

mod heal;
mod split;

use std::io::Write;
use std::path::Path;

use millpond_rig::{Cluster, Network};

/// Nodes on hosts of their own, all linked.
struct Rig {
    // The nodes end before their hosts do.
    cluster: Cluster,
    network: Network,
}

impl Rig {
    /// `None`, with words, where there can be no namespaces.
    fn start(nodes: usize) -> Option<Self> {
        if let Some(why) = Network::why_not() {
            let is_required = std::env::var("MILLPOND_NETNS").is_ok_and(|it| it == "required");
            assert!(!is_required, "{why}");
            // Past the capture: a test that did not happen must not look like one that passed.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
            return None;
        }
        let network = Network::mesh(nodes).expect("a network");
        let program = Path::new(env!("CARGO_BIN_EXE_millpond"));
        let cluster = Cluster::start(program, network.hosts(), "", None).expect("a cluster");
        Some(Self { cluster, network })
    }
}
