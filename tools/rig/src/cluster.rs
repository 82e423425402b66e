//! Nodes of one domain.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::host::Host;
use crate::node::Node;
use crate::wait::{DEADLINE, until, until_within};

/// Nodes of one domain, in one temporary folder, which know each other when it has started.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    folder: TempDir,
}

impl Cluster {
    /// Starts a node on each host; the first founds the domain, the others join there. Folders go into
    /// `parent`, or where temporary files go.
    ///
    /// # Panics
    /// There is no host.
    ///
    /// # Errors
    /// A node does not start, or never hears of the others.
    pub fn start(
        program: &Path,
        hosts: &[Host],
        settings: &str,
        parent: Option<&Path>,
    ) -> io::Result<Self> {
        assert!(!hosts.is_empty(), "a cluster has a node at least");
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = TempDir::with_prefix_in("millpond-rig-", parent)?;
        let mut nodes: Vec<Node> = Vec::new();
        for (number, host) in hosts.iter().enumerate() {
            let invite = match nodes.first() {
                Some(first) => Some(first.run(&["invite"])?),
                None => None,
            };
            let place = folder.path().join(format!("node-{}", number + 1));
            let invite = invite.as_deref().map(str::trim);
            nodes.push(Node::start(program, host, &place, invite, settings)?);
        }
        let cluster = Self { nodes, folder };
        until("all nodes know each other", || cluster.have_peers(|_| true, hosts.len() - 1))?;
        Ok(cluster)
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Leaves its folder behind when it ends, and tells where that is.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Its nodes, to be stopped and started.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Waits until each node is linked with so many others, and each of the two feeds the other.
    ///
    /// # Errors
    /// It takes too long.
    pub fn until_linked(&self, others: usize) -> io::Result<()> {
        let is_linked = |peer: &Value| {
            let link = &peer["link"];
            link["fed"] == true && link["feeding"] == true
        };
        until("all nodes are linked", || self.have_peers(is_linked, others))
    }

    /// Whether each node knows the names of so many members of which this holds.
    fn have_peers(&self, holds: impl Fn(&Value) -> bool, count: usize) -> bool {
        let is_named = |peer: &Value| self.nodes.iter().any(|node| peer["name"] == node.name());
        self.nodes.iter().all(|node| {
            let status = node.status().unwrap_or_default();
            let peers = status["peers"].as_array().map_or(&[][..], Vec::as_slice);
            peers.iter().filter(|peer| is_named(peer) && holds(peer)).count() >= count
        })
    }

    /// Waits until all nodes hold the same.
    ///
    /// # Errors
    /// It takes too long; the error shows how each node is.
    pub fn until_equal(&self) -> io::Result<()> {
        self.until_equal_within(DEADLINE)
    }

    /// Waits until all nodes hold the same.
    ///
    /// # Errors
    /// It takes longer than this; the error shows how each node is.
    pub fn until_equal_within(&self, patience: Duration) -> io::Result<()> {
        let digests = || self.nodes.iter().map(Node::digest).collect::<io::Result<Vec<_>>>();
        let are_equal =
            || digests().is_ok_and(|digests| digests.windows(2).all(|pair| pair[0] == pair[1]));
        until_within(patience, "all nodes hold the same", are_equal).map_err(|error| {
            let states: Vec<String> =
                self.nodes.iter().map(|node| node.run(&["status"]).unwrap_or_default()).collect();
            io::Error::other(format!("{error}: {:?}\n{}", digests(), states.join("\n")))
        })
    }
}
