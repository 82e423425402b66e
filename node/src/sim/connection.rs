//! A link between two nodes: its ends, and the frames on their way.

use std::cell::Cell;
use std::collections::VecDeque;

use bytes::Bytes;
use millpond_core::message::CloseCode;

use super::net::NodeId;
use crate::replication::LinkId;

/// A link's two ends, and what is on its way between them.
pub(crate) struct Connection {
    pub(crate) ends: [End; 2],
    /// Frames on their way, from each end, on each lane.
    pub(crate) frames: [[VecDeque<Travelling>; 2]; 2],
    /// Until when each lane is busy, from each end.
    pub(crate) busy_ms: [[u64; 2]; 2],
    /// Whether it broke: nothing more passes.
    pub(crate) is_broken: bool,
    /// What happens next on it, if that is known.
    pub(crate) next: Cell<Option<Option<(u64, Place)>>>,
}

/// A frame on its way.
pub(crate) struct Travelling {
    pub(crate) at_ms: u64,
    pub(crate) sent_ms: u64,
    pub(crate) frame: Bytes,
    /// Whether the sender's engine gave it, and waits for word that it is off the queue.
    pub(crate) is_engines: bool,
}

/// One end of a link.
pub(crate) struct End {
    pub(crate) node: NodeId,
    /// `None` until it is up, and once it is down.
    pub(crate) link: Option<LinkId>,
    pub(crate) up_ms: Option<u64>,
    pub(crate) down: Option<Down>,
    pub(crate) is_gone: bool,
}

/// How an end will learn of the link's end.
#[derive(Debug, Clone)]
pub(crate) struct Down {
    pub(crate) at_ms: u64,
    pub(crate) code: Option<CloseCode>,
    pub(crate) reason: String,
}

/// Where an event is, so that it can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Up(u64, usize),
    Frame(u64, usize, usize),
    Down(u64, usize),
    Dial(usize),
}

impl Connection {
    /// Breaks it: what is under way is gone, and both ends learn it soon.
    pub(crate) fn fail(&mut self, now_ms: u64) {
        self.next.set(None);
        self.is_broken = true;
        self.frames.iter_mut().flatten().for_each(VecDeque::clear);
        for end in &mut self.ends {
            let reason = "the connection broke".into();
            end.set_down(Down { at_ms: now_ms + 1, code: None, reason });
        }
    }
}

impl End {
    pub(crate) fn set_down(&mut self, down: Down) {
        if self.down.as_ref().is_none_or(|held| held.at_ms > down.at_ms) {
            self.down = Some(down);
        }
    }
}

/// An end learns by silence that the other one is gone.
pub(crate) fn silence(at_ms: u64) -> Down {
    Down { at_ms, code: None, reason: "timed out".into() }
}

/// How long an end waits for a sign of life.
pub(crate) const IDLE_MS: u64 = 3_000;
