//! What happened in a run: a hash of it always, the events themselves when somebody wants to read them.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use super::net::NodeId;

/// The trace of a run. Equal scenarios give equal traces, in every build (R11).
pub(crate) struct Trace {
    hash: Xxh3,
    events: u64,
    kept: Option<Vec<Event>>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in virtual milliseconds.
    pub at_ms: u64,
    /// At which node.
    pub node: usize,
    /// What.
    pub kind: EventKind,
    /// In words; the first of them are its [`label`](Self::label).
    pub text: String,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A frame came from another node.
    Frame {
        /// From whom.
        from: usize,
        /// When it was sent.
        sent_ms: u64,
        /// Whether on the bulk lane.
        is_bulk: bool,
    },
    /// A link came up, went down, or could not be made.
    Link {
        /// To whom.
        peer: usize,
    },
    /// The disk finished a commit, or failed to.
    Disk,
    /// A client asked, or was answered.
    Client,
    /// The scenario did something to the node.
    Fault {
        /// The other node, if it happens between two.
        peer: Option<usize>,
    },
    /// The process was started.
    Started,
    /// The process ended, or did not start.
    Ended,
    /// A checker found something wrong.
    Violation,
}

impl Trace {
    /// A trace that keeps events only if they are wanted.
    pub(crate) fn new(is_kept: bool) -> Self {
        Self { hash: Xxh3::new(), events: 0, kept: is_kept.then(Vec::new) }
    }

    /// Notes an event. Its text is made only if somebody reads it; `content` is hashed always.
    pub(crate) fn note(
        &mut self,
        at_ms: u64,
        node: NodeId,
        kind: EventKind,
        content: &[u8],
        text: impl FnOnce() -> String,
    ) {
        self.events += 1;
        let (code, about) = match kind {
            EventKind::Frame { from, is_bulk, .. } => (u64::from(is_bulk), from as u64),
            EventKind::Link { peer } => (2, peer as u64),
            EventKind::Disk => (3, 0),
            EventKind::Client => (4, 0),
            EventKind::Fault { peer } => (5, peer.map_or(0, |peer| peer as u64 + 1)),
            EventKind::Violation => (6, 0),
            EventKind::Started => (7, 0),
            EventKind::Ended => (8, 0),
        };
        for number in [at_ms, node as u64, code, about, content.len() as u64] {
            self.hash.update(&number.to_le_bytes());
        }
        self.hash.update(content);
        if let Some(kept) = &mut self.kept {
            kept.push(Event { at_ms, node, kind, text: text() });
        }
    }

    /// The hash of all events so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.digest()
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The events, if they were kept.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.kept.take().unwrap_or_default()
    }
}

impl Event {
    /// The first words: what tells events of one kind apart.
    pub fn label(&self) -> &str {
        let end = self.text.find([':', '{', '(']).unwrap_or(self.text.len());
        self.text[..end].trim_end()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_ms, node, kind, text } = self;
        write!(f, "{at_ms:>8} ms  node {node}  ")?;
        match kind {
            EventKind::Frame { from, sent_ms, is_bulk } => {
                let lane = if *is_bulk { "bulk" } else { "control" };
                write!(f, "<- {from} ({lane}, sent {sent_ms} ms)  {text}")
            }
            EventKind::Link { peer } => write!(f, "link to {peer}  {text}"),
            EventKind::Disk => write!(f, "disk  {text}"),
            EventKind::Client => write!(f, "client  {text}"),
            EventKind::Fault { .. } => write!(f, "fault  {text}"),
            EventKind::Started | EventKind::Ended => write!(f, "process  {text}"),
            EventKind::Violation => write!(f, "VIOLATION  {text}"),
        }
    }
}
