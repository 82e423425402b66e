//! The network: links of two lanes over roads that can be slow, lossy, narrow, held or cut, each direction for
//! itself.
//!
//! A link is what a transport promises: ordered and reliable lanes, which overtake each other. So loss shows
//! as delay, and an end learns of the other's death by silence.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use millpond_core::message::CloseCode;
use millpond_core::transport::Lane;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::connection::{Connection, Down, End, IDLE_MS, Place, Travelling, silence};
use super::road::Road;
use crate::replication::LinkId;

/// A node's number.
pub(crate) type NodeId = usize;

/// All links, and the roads between nodes.
pub(crate) struct Net {
    links: BTreeMap<u64, Connection>,
    roads: BTreeMap<(NodeId, NodeId), Road>,
    dials: VecDeque<Dial>,
    last_connection: u64,
    last_link: u64,
    rng: ChaCha8Rng,
    /// Frames that a road's eavesdropper has kept, to be played again.
    taped: BTreeMap<(NodeId, NodeId), VecDeque<(Lane, Bytes)>>,
    /// Whether frames are kept for that.
    pub(crate) is_taping: bool,
    /// Frames that arrived.
    pub(crate) deliveries: u64,
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
    Dialed {
        from: NodeId,
        to: NodeId,
        is_answered: bool,
    },
    Up {
        node: NodeId,
        link: LinkId,
        peer: NodeId,
        dialed: bool,
    },
    Frame {
        node: NodeId,
        link: LinkId,
        lane: Lane,
        frame: Bytes,
        from: NodeId,
        sent_ms: u64,
        /// What the sender calls the link, while it holds it.
        sender: Option<LinkId>,
    },
    Down {
        node: NodeId,
        link: LinkId,
        peer: NodeId,
        down: Down,
    },
}

impl Net {
    /// A network without nodes.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            links: BTreeMap::new(),
            roads: BTreeMap::new(),
            dials: VecDeque::new(),
            last_connection: 0,
            last_link: 0,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x006e_6574),
            taped: BTreeMap::new(),
            is_taping: false,
            deliveries: 0,
        }
    }

    /// One direction between two nodes, to be changed.
    pub(crate) fn road(&mut self, from: NodeId, to: NodeId) -> &mut Road {
        self.links.values().for_each(|connection| connection.next.set(None));
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
        let connection = Connection {
            ends,
            frames: Default::default(),
            busy_ms: Default::default(),
            is_broken: false,
            next: Cell::new(None),
        };
        self.links.insert(self.last_connection, connection);
    }

    /// Puts a frame on its way.
    pub(crate) fn send(&mut self, now_ms: u64, link: LinkId, lane: Lane, frame: Bytes) {
        let Some((id, end)) = self.find(link) else { return };
        let ends = &self.links[&id].ends;
        let way = (ends[end].node, ends[1 - end].node);
        if self.is_taping {
            let tape = self.taped.entry(way).or_default();
            tape.push_back((lane, frame.clone()));
            if tape.len() > TAPE_FRAMES {
                tape.pop_front();
            }
        }
        self.queue(now_ms, id, end, lane, frame, true);
    }

    /// Puts a frame on its way of which the engine does not know.
    pub(crate) fn send_beside(&mut self, now_ms: u64, link: LinkId, lane: Lane, frame: Bytes) {
        if let Some((id, end)) = self.find(link) {
            self.queue(now_ms, id, end, lane, frame, false);
        }
    }

    fn queue(
        &mut self,
        now_ms: u64,
        id: u64,
        end: usize,
        lane: Lane,
        frame: Bytes,
        is_engines: bool,
    ) {
        let ends = &self.links[&id].ends;
        let road = self.look(ends[end].node, ends[1 - end].node);
        let mut travel_ms = road.delay_ms[lane as usize];
        if road.jitter_ms > 0 {
            travel_ms += self.rng.next_u64() % (road.jitter_ms + 1);
        }
        if road.loss_percent > 0 && self.rng.next_u64() % 100 < road.loss_percent {
            travel_ms = 2 * travel_ms + RESEND_MS;
        }
        let Some(connection) = self.links.get_mut(&id).filter(|it| !it.is_broken) else { return };
        let busy_ms = &mut connection.busy_ms[end][lane as usize];
        let sent_ms = now_ms.max(*busy_ms);
        *busy_ms = sent_ms + road.frame_ms[lane as usize];
        *busy_ms += (frame.len() as u64).checked_div(road.bytes_per_ms).unwrap_or(0);
        let queue = &mut connection.frames[end][lane as usize];
        let last_ms = queue.back().map_or(0, |last| last.at_ms + road.frame_ms[lane as usize]);
        let at_ms = last_ms.max(sent_ms + travel_ms);
        queue.push_back(Travelling { at_ms, sent_ms: now_ms, frame, is_engines });
        connection.next.set(None);
    }

    /// Plays frames of earlier links again, on the link of now: pushes and rows that are long out of date.
    pub(crate) fn replay(
        &mut self,
        now_ms: u64,
        from: NodeId,
        to: NodeId,
        count: usize,
        is_data: impl Fn(&Bytes) -> bool,
    ) {
        let tape = self.taped.get(&(from, to));
        let frames: Vec<(Lane, Bytes)> =
            tape.into_iter().flatten().filter(|(_, it)| is_data(it)).take(count).cloned().collect();
        let found = self.links.iter().find_map(|(&id, connection)| {
            let end = connection.ends.iter().position(|it| it.node == from && it.link.is_some())?;
            (connection.ends[1 - end].node == to).then_some((id, end))
        });
        let Some((id, end)) = found else { return };
        for (lane, frame) in frames {
            self.queue(now_ms, id, end, lane, frame, false);
        }
    }

    /// Breaks the links between two nodes: both ends learn it soon.
    pub(crate) fn break_links(&mut self, now_ms: u64, a: NodeId, b: NodeId) {
        for connection in self.links.values_mut() {
            let [x, y] = &connection.ends;
            if (x.node, y.node) == (a, b) || (x.node, y.node) == (b, a) {
                connection.fail(now_ms);
            }
        }
    }

    /// An end closes: it learns so at once, the other one as soon as word can come.
    pub(crate) fn close(&mut self, now_ms: u64, link: LinkId, code: CloseCode, reason: String) {
        let Some((id, end)) = self.find(link) else { return };
        let connection = self.links.get_mut(&id).unwrap();
        let (here, there) = (connection.ends[end].node, connection.ends[1 - end].node);
        let closed = Down { at_ms: now_ms, code: None, reason: "closed here".into() };
        connection.next.set(None);
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
            connection.next.set(None);
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

    /// All roads are as they were in the beginning, and what waited for a narrow or slow one goes on.
    pub(crate) fn mend(&mut self, now_ms: u64) {
        self.roads.clear();
        for connection in self.links.values_mut() {
            connection.next.set(None);
            connection.busy_ms = Default::default();
            for travelling in connection.frames.iter_mut().flatten().flatten() {
                travelling.at_ms = travelling.at_ms.min(now_ms + MENDED_MS);
            }
        }
    }

    /// Makes the frames on their way from one node to another late.
    pub(crate) fn postpone(&mut self, from: NodeId, to: NodeId, ms: u64) {
        for connection in self.links.values_mut() {
            connection.next.set(None);
            for end in 0..2 {
                if (connection.ends[end].node, connection.ends[1 - end].node) == (from, to) {
                    let frames = connection.frames[end].iter_mut().flatten();
                    frames.for_each(|frame| frame.at_ms += ms);
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
        lanes.flatten().map(|travelling| travelling.frame.len()).sum()
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
                connection.next.set(None);
                connection.ends[end].link = Some(link);
                connection.ends[end].up_ms = None;
                let (node, peer) = (connection.ends[end].node, connection.ends[1 - end].node);
                NetEvent::Up { node, link, peer, dialed: end == 0 }
            }
            Place::Frame(id, from, lane) => {
                let ends = &self.links.get(&id)?.ends;
                let (sender, node) = (ends[from].node, ends[1 - from].node);
                if lane == Lane::Bulk as usize && self.breaks_now(sender, node) {
                    self.links.get_mut(&id)?.fail(at_ms);
                    return self.take();
                }
                let connection = self.links.get_mut(&id)?;
                connection.next.set(None);
                let Travelling { sent_ms, frame, is_engines, .. } =
                    connection.frames[from][lane].pop_front()?;
                let link = connection.ends[1 - from].link?;
                let lane = if lane == Lane::Control as usize { Lane::Control } else { Lane::Bulk };
                let (from, sender) = (sender, connection.ends[from].link.filter(|_| is_engines));
                self.deliveries += 1;
                NetEvent::Frame { node, link, lane, frame, from, sent_ms, sender }
            }
            Place::Down(id, end) => {
                let silent = silence(at_ms + IDLE_MS / 2);
                let connection = self.links.get_mut(&id)?;
                connection.next.set(None);
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

    fn breaks_now(&mut self, from: NodeId, to: NodeId) -> bool {
        let Some(road) = self.roads.get_mut(&(from, to)) else { return false };
        match road.breaks_after {
            Some(0) => {
                road.breaks_after = None;
                true
            }
            Some(more) => {
                road.breaks_after = Some(more - 1);
                false
            }
            None => false,
        }
    }

    fn next(&self) -> Option<(u64, Place)> {
        let links = self.links.iter().filter_map(|(&id, connection)| {
            if let Some(known) = connection.next.get() {
                return known;
            }
            let next = self.events_of(id, connection).into_iter().min();
            connection.next.set(Some(next));
            next
        });
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
                if let Some(first) = first.filter(|_| !road.is_held[lane]) {
                    events.push((first.at_ms, Place::Frame(id, 1 - end, lane)));
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

/// How long a lost frame waits to be sent again.
const RESEND_MS: u64 = 200;
/// Frames of each direction that are kept to be played again.
const TAPE_FRAMES: usize = 64;
/// How long frames travel at most that were on their way when all was mended.
const MENDED_MS: u64 = 20;
/// How long a dial waits for an answer.
const DIAL_MS_MAX: u64 = 1_000;
