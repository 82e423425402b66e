//! The rig's network: links of two lanes over roads that can be slow, held or cut, each direction for itself.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use millpond_core::message::CloseCode;
use millpond_core::transport::Lane;

use crate::replication::LinkId;

/// A node's number.
pub(crate) type NodeId = usize;

/// All links, and the roads between nodes. Lanes are ordered and reliable; they overtake each other.
#[derive(Default)]
pub(crate) struct Net {
    links: BTreeMap<u64, Connection>,
    roads: BTreeMap<(NodeId, NodeId), Road>,
    dials: VecDeque<Dial>,
    last_connection: u64,
    last_link: u64,
}

/// One direction between two nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Road {
    /// How long a frame travels, on each lane.
    pub(crate) delay_ms: [u64; 2],
    /// How long a lane is busy with one frame.
    pub(crate) frame_ms: [u64; 2],
    /// Whether a lane's frames wait.
    pub(crate) is_held: [bool; 2],
    /// Since when nothing passes.
    pub(crate) cut_since_ms: Option<u64>,
}

impl Default for Road {
    fn default() -> Self {
        Self { delay_ms: [1, 1], frame_ms: [0, 0], is_held: [false, false], cut_since_ms: None }
    }
}

struct Connection {
    ends: [End; 2],
    /// Frames on their way, from each end, on each lane.
    frames: [[VecDeque<(u64, Bytes)>; 2]; 2],
}

struct End {
    node: NodeId,
    /// `None` until it is up, and once it is down.
    link: Option<LinkId>,
    up_ms: Option<u64>,
    down: Option<Down>,
    is_gone: bool,
}

/// How an end will learn of the link's end.
#[derive(Debug, Clone)]
pub(crate) struct Down {
    pub(crate) at_ms: u64,
    pub(crate) code: Option<CloseCode>,
    pub(crate) reason: String,
}

struct Dial {
    at_ms: u64,
    from: NodeId,
    to: NodeId,
    is_answered: bool,
}

/// What the network does next.
#[derive(Debug)]
pub(crate) enum NetEvent {
    Dialed { from: NodeId, to: NodeId, is_answered: bool },
    Up { node: NodeId, link: LinkId, peer: NodeId, dialed: bool },
    Frame { node: NodeId, link: LinkId, lane: Lane, frame: Bytes, sender: Option<(NodeId, LinkId)> },
    Down { node: NodeId, link: LinkId, peer: NodeId, down: Down },
}

/// Where an event is, so that it can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Up(u64, usize),
    Frame(u64, usize, usize),
    Down(u64, usize),
    Dial(usize),
}

impl Net {
    pub(crate) fn road(&mut self, from: NodeId, to: NodeId) -> &mut Road {
        self.roads.entry((from, to)).or_default()
    }

    fn look(&self, from: NodeId, to: NodeId) -> Road {
        self.roads.get(&(from, to)).copied().unwrap_or_default()
    }

    pub(crate) fn dial(&mut self, now_ms: u64, from: NodeId, to: NodeId, is_there: bool) {
        let (there, back) = (self.look(from, to), self.look(to, from));
        let is_cut = there.cut_since_ms.is_some() || back.cut_since_ms.is_some();
        let is_answered = is_there && !is_cut;
        let round_trip_ms = there.delay_ms[0] + back.delay_ms[0];
        let wait_ms = if is_answered || !is_cut { round_trip_ms } else { DIAL_MS_MAX };
        self.dials.push_back(Dial { at_ms: now_ms + wait_ms, from, to, is_answered });
    }

    /// Links two nodes: the dialler's end is up at once, the other when word has come.
    pub(crate) fn connect(&mut self, now_ms: u64, from: NodeId, to: NodeId) {
        self.last_connection += 1;
        let arrives_ms = now_ms + self.look(from, to).delay_ms[0];
        let end =
            |node, up_ms| End { node, link: None, up_ms: Some(up_ms), down: None, is_gone: false };
        let ends = [end(from, now_ms), end(to, arrives_ms)];
        self.links.insert(self.last_connection, Connection { ends, frames: Default::default() });
    }

    pub(crate) fn send(&mut self, now_ms: u64, link: LinkId, lane: Lane, frame: Bytes) {
        let Some((id, end)) = self.find(link) else { return };
        let connection = &self.links[&id];
        let road = self.look(connection.ends[end].node, connection.ends[1 - end].node);
        let queue = &mut self.links.get_mut(&id).unwrap().frames[end][lane as usize];
        let gap_ms = road.frame_ms[lane as usize];
        let earliest_ms = queue.back().map_or(0, |(at_ms, _)| *at_ms + gap_ms);
        queue.push_back((earliest_ms.max(now_ms + road.delay_ms[lane as usize]), frame));
    }

    /// An end closes: it learns so at once, the other one as soon as word can come.
    pub(crate) fn close(&mut self, now_ms: u64, link: LinkId, code: CloseCode, reason: String) {
        let Some((id, end)) = self.find(link) else { return };
        let connection = self.links.get_mut(&id).unwrap();
        let (here, there) = (connection.ends[end].node, connection.ends[1 - end].node);
        let closed = Down { at_ms: now_ms, code: None, reason: "closed here".into() };
        connection.ends[end].down = Some(closed);
        let road = self.look(here, there);
        let told = match road.cut_since_ms {
            None => Down { at_ms: now_ms + road.delay_ms[0], code: Some(code), reason },
            Some(_) => silence(now_ms + IDLE_MS),
        };
        self.links.get_mut(&id).unwrap().ends[1 - end].set_down(told);
    }

    /// A node vanishes without a word; what it has sent still arrives.
    pub(crate) fn vanish(&mut self, now_ms: u64, node: NodeId) {
        for connection in self.links.values_mut() {
            for end in 0..2 {
                if connection.ends[end].node == node {
                    connection.ends[end].is_gone = true;
                    connection.ends[end].link = None;
                    connection.ends[1 - end].set_down(silence(now_ms + IDLE_MS));
                }
            }
        }
        self.dials.retain(|dial| dial.from != node);
        self.sweep();
    }

    /// Cuts one direction, or mends it.
    pub(crate) fn set_cut(&mut self, now_ms: u64, from: NodeId, to: NodeId, is_cut: bool) {
        let road = self.road(from, to);
        road.cut_since_ms = is_cut.then(|| road.cut_since_ms.unwrap_or(now_ms));
    }

    /// Makes the frames on their way from one node to another late.
    pub(crate) fn postpone(&mut self, from: NodeId, to: NodeId, ms: u64) {
        for connection in self.links.values_mut() {
            for end in 0..2 {
                if (connection.ends[end].node, connection.ends[1 - end].node) == (from, to) {
                    let frames = connection.frames[end].iter_mut().flatten();
                    frames.for_each(|(at_ms, _)| *at_ms += ms);
                }
            }
        }
    }

    /// Links both of whose ends are up.
    pub(crate) fn is_linked(&self, a: NodeId, b: NodeId) -> bool {
        self.links.values().any(|connection| {
            let [x, y] = &connection.ends;
            (x.link.is_some() && y.link.is_some())
                && ((x.node, y.node) == (a, b) || (x.node, y.node) == (b, a))
        })
    }

    /// The node at the other end of a link, and what it calls the link.
    pub(crate) fn other_end(&self, link: LinkId) -> Option<(NodeId, LinkId)> {
        let (id, end) = self.find(link)?;
        let other = &self.links[&id].ends[1 - end];
        Some((other.node, other.link?))
    }

    /// Bytes of frames on their way.
    pub(crate) fn bytes_under_way(&self) -> usize {
        let lanes = self.links.values().flat_map(|link| link.frames.iter().flatten());
        lanes.flatten().map(|(_, frame)| frame.len()).sum()
    }

    /// When something happens next.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.next().map(|(at_ms, _)| at_ms)
    }

    /// Takes what happens next.
    pub(crate) fn take(&mut self) -> Option<NetEvent> {
        let (at_ms, place) = self.next()?;
        let event = match place {
            Place::Dial(index) => {
                let Dial { from, to, is_answered, .. } = self.dials.remove(index)?;
                NetEvent::Dialed { from, to, is_answered }
            }
            Place::Up(id, end) => {
                self.last_link += 1;
                let link = LinkId(self.last_link);
                let connection = self.links.get_mut(&id)?;
                connection.ends[end].link = Some(link);
                connection.ends[end].up_ms = None;
                let (node, peer) = (connection.ends[end].node, connection.ends[1 - end].node);
                NetEvent::Up { node, link, peer, dialed: end == 0 }
            }
            Place::Frame(id, from, lane) => {
                let connection = self.links.get_mut(&id)?;
                let (_, frame) = connection.frames[from][lane].pop_front()?;
                let sender = connection.ends[from].link.map(|it| (connection.ends[from].node, it));
                let (node, link) =
                    (connection.ends[1 - from].node, connection.ends[1 - from].link?);
                let lane = if lane == Lane::Control as usize { Lane::Control } else { Lane::Bulk };
                NetEvent::Frame { node, link, lane, frame, sender }
            }
            Place::Down(id, end) => {
                let silent = silence(at_ms + IDLE_MS / 2);
                let connection = self.links.get_mut(&id)?;
                let (node, peer) = (connection.ends[end].node, connection.ends[1 - end].node);
                let link = connection.ends[end].link.take();
                let down = connection.ends[end].down.take().unwrap_or_else(|| silence(at_ms));
                connection.ends[end].is_gone = true;
                connection.ends[1 - end].set_down(silent);
                self.sweep();
                // An end that was never up has nothing to lose.
                let Some(link) = link else { return self.take() };
                NetEvent::Down { node, link, peer, down }
            }
        };
        Some(event)
    }

    fn next(&self) -> Option<(u64, Place)> {
        let links = self.links.iter().flat_map(|(&id, link)| self.events_of(id, link));
        let dials = self.dials.iter().enumerate().map(|(index, it)| (it.at_ms, Place::Dial(index)));
        links.chain(dials).min()
    }

    fn events_of(&self, id: u64, connection: &Connection) -> Vec<(u64, Place)> {
        let mut events = Vec::new();
        for end in 0..2 {
            let (this, other) = (&connection.ends[end], &connection.ends[1 - end]);
            if this.is_gone {
                continue;
            }
            events.extend(this.up_ms.map(|at_ms| (at_ms, Place::Up(id, end))));
            let road = self.look(other.node, this.node);
            let unheard_ms = road.cut_since_ms.map(|since_ms| since_ms + IDLE_MS);
            let told_ms = this.down.as_ref().map(|down| down.at_ms);
            let down_ms = unheard_ms.into_iter().chain(told_ms).min();
            events.extend(down_ms.map(|at_ms| (at_ms, Place::Down(id, end))));
            if this.link.is_none() || road.cut_since_ms.is_some() {
                continue;
            }
            for lane in 0..2 {
                let first = connection.frames[1 - end][lane].front();
                if let Some((at_ms, _)) = first.filter(|_| !road.is_held[lane]) {
                    events.push((*at_ms, Place::Frame(id, 1 - end, lane)));
                }
            }
        }
        events
    }

    fn find(&self, link: LinkId) -> Option<(u64, usize)> {
        self.links.iter().find_map(|(&id, connection)| {
            let end = connection.ends.iter().position(|end| end.link == Some(link))?;
            Some((id, end))
        })
    }

    fn sweep(&mut self) {
        self.links.retain(|_, connection| connection.ends.iter().any(|end| !end.is_gone));
    }
}

impl End {
    fn set_down(&mut self, down: Down) {
        if self.down.as_ref().is_none_or(|held| held.at_ms > down.at_ms) {
            self.down = Some(down);
        }
    }
}

fn silence(at_ms: u64) -> Down {
    Down { at_ms, code: None, reason: "timed out".into() }
}

/// How long an end waits for a sign of life.
pub(crate) const IDLE_MS: u64 = 3_000;
/// How long a dial waits for an answer.
const DIAL_MS_MAX: u64 = 1_000;
