//! A link between two nodes: its ends, and the frames on their way.

use std::collections::VecDeque;

use bytes::Bytes;
use millpond_core::message::CloseCode;

use super::net::NodeId;
use super::road::Roads;
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
    Dial(u64),
}

impl Connection {
    /// What happens next on it.
    pub(crate) fn next(&self, id: u64, roads: &Roads) -> Option<(u64, Place)> {
        (0..2).flat_map(|end| self.events_at(id, end, roads)).flatten().min()
    }

    fn events_at(&self, id: u64, end: usize, roads: &Roads) -> [Option<(u64, Place)>; 4] {
        let (this, other) = (&self.ends[end], &self.ends[1 - end]);
        if this.is_gone {
            return [None; 4];
        }
        let road = roads.look(other.node, this.node);
        let unheard_ms = road.cut_since_ms.map(|since_ms| since_ms + IDLE_MS);
        let told_ms = this.down.as_ref().map(|down| down.at_ms);
        let down_ms = unheard_ms.into_iter().chain(told_ms).min();
        let passes =
            |lane: usize| this.link.is_some() && road.cut_since_ms.is_none() && !road.is_held[lane];
        let frame = |lane: usize| {
            let first = self.frames[1 - end][lane].front().filter(|_| passes(lane));
            first.map(|first| (first.at_ms, Place::Frame(id, 1 - end, lane)))
        };
        [
            this.up_ms.map(|at_ms| (at_ms, Place::Up(id, end))),
            down_ms.map(|at_ms| (at_ms, Place::Down(id, end))),
            frame(0),
            frame(1),
        ]
    }

    /// Breaks it: what is under way is gone, and both ends learn it soon.
    pub(crate) fn fail(&mut self, now_ms: u64) {
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
