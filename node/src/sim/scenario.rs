//! Scenarios: what is done to a cluster, step by step, drawn from a seed or read from a file.

use serde::{Deserialize, Serialize};

use super::clock::ClockFault;
use super::node::COLLECTION;
use super::profile::Profile;
use super::sessions::AskedFor;
use super::shape::Shape;
use crate::replication::Collection;
use crate::topology::settings::{Direction, Topology};

/// What is done to a cluster and when. Everything that happens in a run follows from it: the same scenario
/// gives the same trace, on every machine and in every build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    pub(crate) version: u32,
    /// For people: what it found, and when.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) about: String,
    pub(crate) profile: Profile,
    pub(crate) seed: u64,
    /// How many nodes found the cluster.
    pub(crate) nodes: usize,
    /// Whether sizes are so small that a few rows are a large catch-up.
    pub(crate) is_small: bool,
    /// Whether nodes keep their data in real files, on disks of sectors that a power cut tears.
    #[serde(default)]
    pub(crate) is_on_files: bool,
    /// Whether nodes keep indexes, which change with their programs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_indexed: bool,
    /// Whether what came by replication is announced, not held for a fixed time.
    #[serde(default)]
    pub(crate) is_adaptive: bool,
    /// How far the nodes are from each other and how they take part, if they know each other from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shape: Option<Shape>,
    pub(crate) steps: Vec<Step>,
}

/// An action, and how long after the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) after_ms: u64,
    #[serde(flatten)]
    pub(crate) action: Action,
}

/// What is done. What makes no sense at its moment, such as starting a node that runs, is passed over, so
/// that a scenario stays one when steps are taken out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Action {
    /// A client asks a node to do something.
    Ask { node: usize, operation: Operation },
    /// A client reads everything at a node.
    Read { node: usize },
    /// One of the clients that move comes to a node, waits until it shows what the client has seen elsewhere, and
    /// then perhaps writes there.
    Visit {
        session: usize,
        node: usize,
        timeout_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then: Option<Operation>,
    },
    /// Nothing passes in one direction.
    Cut { from: usize, to: usize },
    /// Both directions are mended.
    Mend { a: usize, b: usize },
    /// These nodes are cut off from all others.
    Split { nodes: Vec<usize> },
    /// All cuts are mended.
    MendAll,
    /// The links between two nodes break.
    Break { a: usize, b: usize },
    /// The link breaks after so many more bulk frames.
    BreakAfter { from: usize, to: usize, frames: u64 },
    /// How a road is from now on.
    Road {
        from: usize,
        to: usize,
        delay_ms: u64,
        jitter_ms: u64,
        loss_percent: u64,
        bytes_per_ms: u64,
    },
    /// A lane's frames wait, or go on.
    Hold { from: usize, to: usize, is_bulk: bool, is_held: bool },
    /// What is under way comes so much later.
    Postpone { from: usize, to: usize, ms: u64 },
    /// Old frames come again.
    Replay { from: usize, to: usize, frames: usize },
    /// The process is killed; what its disk was writing is there or not.
    Kill { node: usize, is_written: bool },
    /// The process ends in order.
    Stop { node: usize },
    /// The process is started.
    Start { node: usize },
    /// How long a commit takes from now on.
    Disk { node: usize, commit_ms: u64 },
    /// The disk has no room, or has again.
    Full { node: usize, is_full: bool },
    /// The next sync fails, and leaves its commit on the disk or not.
    FailSync { node: usize, is_kept: bool },
    /// A bit flips in the entry of a key.
    Rot { node: usize, key: u64 },
    /// A copy of the folder is put aside.
    Backup { node: usize },
    /// The folder is replaced by that copy, and the node started; with the lease, if it is told.
    Restore { node: usize, with_lease: bool },
    /// The folder falls back to that copy before the lease was written again, and the node started: the store
    /// cannot tell. The window is less than a second.
    Rollback { node: usize },
    /// A copy of the folder is started elsewhere, beside the node.
    Clone { node: usize },
    /// The folder moves to another host; the node never comes back.
    Move { node: usize },
    /// The node's machine burns: it never comes back.
    Bury { node: usize },
    /// The lease is gone, or is written again.
    Lease { node: usize, is_kept: bool },
    /// Something happens to a clock.
    Clock { node: usize, fault: ClockFault },
    /// The operator pauses the links to a peer, or resumes them.
    Pause { node: usize, peer: usize, is_paused: bool },
    /// The operator pauses all links of a node, or resumes them.
    PauseAll { node: usize, is_paused: bool },
    /// The operator looks at a node's status.
    Status { node: usize },
    /// A further node joins by an invite of the first.
    Join,
    /// A node is asked for an invite, good for so long and for so many; so many further nodes dial with it, so
    /// much later.
    Invite {
        by: usize,
        is_reader: bool,
        lasts_ms: u64,
        guests: usize,
        comes_ms: u64,
        #[serde(default = "once")]
        uses: u32,
        /// Whether each waits until the inviter's operator approves it.
        #[serde(default)]
        asks: bool,
    },
    /// The operator of the first node approves who waits there longest, or denies it.
    Decide { is_approved: bool },
    /// A member is given an invite to another domain.
    Stray { node: usize },
    /// The first node revokes the invite that it has handed out last.
    Revoke,
    /// The operator changes how a running node takes part in the mesh.
    Topology { node: usize, topology: Topology },
    /// The operator changes which way data goes between a node and a peer.
    Turn { node: usize, peer: usize, direction: Direction },
    /// A node is started again as a delayed replica, or as an ordinary one.
    Delay { node: usize, apply_after_ms: Option<u64> },
    /// The operator of a delayed replica says what becomes of what waits.
    Order { node: usize, order: Order },
    /// A node is asked to make one member the only one that takes writes, or all.
    Promote { by: usize, primary: Option<usize> },
    /// A node changes its key; the old one is valid for so long.
    Rotate { node: usize, overlap_ms: u64 },
    /// A node runs a later version from now on, or this one again.
    Upgrade { node: usize, is_newer: bool },
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// Its number: in the value that it writes, so that no two write the same.
    pub(crate) number: usize,
    #[serde(flatten)]
    pub(crate) kind: OperationKind,
    /// Whose acks it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) concern: Option<AskedFor>,
}

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum OperationKind {
    /// Writes values at some keys, and deletes others.
    Write { puts: Vec<u64>, deletes: Vec<u64>, padding: usize },
    /// Adds to the one counter.
    Count { delta: i64 },
    /// Resets it.
    Reset,
    /// Ends a conflict at a key by one of its values, if there is one.
    Keep { key: u64, which: usize },
    /// Writes a value beside those at a key, if there are any, with the stamp of one of them.
    Beside { key: u64 },
    /// Writes at a key, and then refuses itself.
    Refuse { key: u64 },
}

/// What becomes of what a delayed replica has yet to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// It waits.
    Pause,
    /// It is shown when it is old enough.
    Resume,
    /// What had arrived so long ago, by the node's wall clock, is shown now; then all waits.
    ApplyUntil { ago_ms: u64 },
    /// All is shown, and the delay ends.
    Promote,
}

impl Action {
    /// The node that it happens to, and the other one if it happens between two.
    pub(crate) fn place(&self) -> (usize, Option<usize>) {
        match *self {
            Self::Ask { node, .. }
            | Self::Read { node }
            | Self::Visit { node, .. }
            | Self::Kill { node, .. }
            | Self::Stop { node }
            | Self::Start { node }
            | Self::Disk { node, .. }
            | Self::Full { node, .. }
            | Self::FailSync { node, .. }
            | Self::Rot { node, .. }
            | Self::Backup { node }
            | Self::Restore { node, .. }
            | Self::Rollback { node }
            | Self::PauseAll { node, .. }
            | Self::Status { node }
            | Self::Stray { node }
            | Self::Invite { by: node, .. }
            | Self::Clone { node }
            | Self::Move { node }
            | Self::Bury { node }
            | Self::Lease { node, .. }
            | Self::Clock { node, .. }
            | Self::Topology { node, .. }
            | Self::Delay { node, .. }
            | Self::Order { node, .. }
            | Self::Promote { by: node, .. }
            | Self::Rotate { node, .. }
            | Self::Upgrade { node, .. } => (node, None),
            Self::Cut { from, to }
            | Self::BreakAfter { from, to, .. }
            | Self::Road { from, to, .. }
            | Self::Hold { from, to, .. }
            | Self::Postpone { from, to, .. }
            | Self::Replay { from, to, .. } => (from, Some(to)),
            Self::Mend { a, b } | Self::Break { a, b } => (a, Some(b)),
            Self::Pause { node, peer, .. } | Self::Turn { node, peer, .. } => (node, Some(peer)),
            Self::Split { ref nodes } => (nodes.first().copied().unwrap_or(0), None),
            Self::MendAll | Self::Join | Self::Revoke | Self::Decide { .. } => (0, None),
        }
    }

    /// The last node that must be there for it. Roads may lead to nodes that are not.
    pub(crate) fn needs(&self) -> usize {
        match (self, self.place()) {
            (Self::Pause { .. } | Self::Turn { .. }, (node, Some(peer))) => node.max(peer),
            (Self::Promote { primary, .. }, (node, _)) => node.max(primary.unwrap_or(0)),
            (_, (node, None)) => node,
            (_, (_, Some(_))) => 0,
        }
    }
}

impl Scenario {
    /// As JSON, to be kept and replayed.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain values always encode") + "\n"
    }

    /// The scenario of a file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn from_json(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = serde_json::from_str(text)?;
        match scenario.version {
            VERSION => Ok(scenario),
            found => Err(ScenarioError::Version { found }),
        }
    }

    /// The same with words for people: what it found, and when.
    pub fn with_about(self, about: impl Into<String>) -> Self {
        Self { about: about.into(), ..self }
    }

    /// Words for people.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The profile that it was drawn from.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The seed that it was drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// When its nodes collect tombstones. In some runs they wait for so short a time that members are evicted, and
    /// come back by a refresh.
    pub(crate) fn collection(&self) -> Collection {
        let is_buried = self.steps.iter().any(|step| matches!(step.action, Action::Bury { .. }));
        let is_about_absence = matches!(
            self.profile,
            Profile::Offline
                | Profile::DeleteHeavy
                | Profile::Clone
                | Profile::Restore
                | Profile::Sessions
        );
        let offline_window_ms = match is_about_absence && self.seed.is_multiple_of(2) {
            _ if is_buried => BURIED_MS,
            // Longer than words take from end to end, and shorter than a run.
            _ if self.profile == Profile::Mesh && self.seed.is_multiple_of(2) => BURIED_MS,
            true => SHORT_WINDOW_MS,
            false => return COLLECTION,
        };
        Collection { offline_window_ms, ..COLLECTION }
    }

    /// How many steps it has.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }
}

/// Why a file is no scenario.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is not the JSON of one.
    #[error("not a scenario: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a version that this one does not read.
    #[error(
        "a scenario of version {found}, and this simulator reads {VERSION}; use the one that wrote it"
    )]
    Version {
        /// In the file.
        found: u32,
    },
}

fn once() -> u32 {
    1
}

/// For how long nodes wait for one that never comes back: longer than any other one is away.
pub(crate) const BURIED_MS: u64 = 240_000;
/// Shorter than many absences.
pub(crate) const SHORT_WINDOW_MS: u64 = 20_000;
/// The version of the file.
pub(crate) const VERSION: u32 = 1;
