//! The network: links of two lanes over roads that can be slow, lossy, narrow, held or cut, each direction for
//! itself.
//!
//! A link is what a transport promises: ordered and reliable lanes, which overtake each other. So loss shows
//! as delay, and an end learns of the other's death by silence.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use millpond_core::message::CloseCode;
use millpond_core::transport::Lane;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::connection::{Connection, Down, End, IDLE_MS, Place, Travelling, silence};
use super::due::Due;
use super::mesh::{Disturbance, RoundTrips};
use super::road::{Road, Roads};
use crate::replication::LinkId;

/// A node's number.
pub(crate) type NodeId = usize;

/// All links, and the roads between nodes.
pub(crate) struct Net {
    links: BTreeMap<u64, Connection>,
    /// The links of each node, by the node at the other end.
    links_of: BTreeSet<(NodeId, NodeId, u64)>,
    /// The connection and the end of it that each link is, in the order in which they came up; some are gone.
    ends: Vec<(u64, usize)>,
    /// What happens next on each link.
    due: Due<u64, (u64, Place)>,
    roads: Roads,
    dials: BTreeMap<(u64, u64), Dial>,
    last_dial: u64,
    last_connection: u64,
    rng: ChaCha8Rng,
    /// Frames that a road's eavesdropper has kept, to be played again.
    taped: BTreeMap<(NodeId, NodeId), VecDeque<(Lane, Bytes)>>,
    /// What happens to frames on all roads.
    pub(crate) disturbance: Disturbance,
    /// Whether frames are kept for that.
    pub(crate) is_taping: bool,
    /// Frames that arrived.
    pub(crate) deliveries: u64,
}

struct Dial {
    from: NodeId,
    to: NodeId,
    started_ms: u64,
    is_there: bool,
    /// Whether there is an answer, once that is known.
    is_answered: Option<bool>,
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
            links_of: BTreeSet::new(),
            ends: Vec::new(),
            due: Due::new(),
            roads: Roads::default(),
            dials: BTreeMap::new(),
            last_dial: 0,
            last_connection: 0,
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x006e_6574),
            taped: BTreeMap::new(),
            disturbance: Disturbance::None,
            is_taping: false,
            deliveries: 0,
        }
    }

    /// Puts nodes so far from each other, before there is a link.
    pub(crate) fn spread(&mut self, round_trips: RoundTrips) {
        self.roads = Roads::with(round_trips);
    }

    /// One direction between two nodes, to be changed.
    pub(crate) fn road(&mut self, from: NodeId, to: NodeId) -> &mut Road {
        between(&self.links_of, from, to).for_each(|id| self.due.touch(id));
        self.roads.change(from, to)
    }

    pub(crate) fn dial(&mut self, now_ms: u64, from: NodeId, to: NodeId, is_there: bool) {
        self.last_dial += 1;
        let dial = Dial { from, to, started_ms: now_ms, is_there, is_answered: None };
        self.ask(now_ms, self.last_dial, dial);
    }

    /// How many dials there have been.
    #[cfg(test)]
    pub(crate) fn dials(&self) -> u64 {
        self.last_dial
    }

    /// A dial asks for an answer: it comes, or is asked for again, or not waited for any longer.
    fn ask(&mut self, now_ms: u64, number: u64, dial: Dial) {
        let (there, back) =
            (self.roads.look(dial.from, dial.to), self.roads.look(dial.to, dial.from));
        let is_cut = there.cut_since_ms.is_some() || back.cut_since_ms.is_some();
        let mut asks = DIAL_ASKS_MS.iter().map(|ms| dial.started_ms + ms);
        let (at_ms, is_answered) = match asks.find(|&at_ms| at_ms > now_ms) {
            _ if !is_cut => (now_ms + there.delay_ms[0] + back.delay_ms[0], Some(dial.is_there)),
            Some(again_ms) => (again_ms, None),
            None => (dial.started_ms + DIAL_MS_MAX, Some(false)),
        };
        self.dials.insert((at_ms, number), Dial { is_answered, ..dial });
    }

    /// Links two nodes: the dialler's end is up at once, the other when word has come.
    pub(crate) fn connect(&mut self, now_ms: u64, from: NodeId, to: NodeId) {
        self.last_connection += 1;
        let arrives_ms = now_ms + self.roads.look(from, to).delay_ms[0];
        let end =
            |node, up_ms| End { node, link: None, up_ms: Some(up_ms), down: None, is_gone: false };
        let ends = [end(from, now_ms), end(to, arrives_ms)];
        let connection = Connection {
            ends,
            frames: Default::default(),
            busy_ms: Default::default(),
            is_broken: false,
        };
        let id = self.last_connection;
        self.links.insert(id, connection);
        self.links_of.extend([(from, to, id), (to, from, id)]);
        self.due.touch(id);
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
        let way = (ends[end].node, ends[1 - end].node);
        let road = self.roads.look(way.0, way.1);
        let mut travel_ms = road.delay_ms[lane as usize];
        if road.jitter_ms > 0 {
            travel_ms += self.rng.next_u64() % (road.jitter_ms + 1);
        }
        travel_ms += self.disturbance.draw(&mut self.rng, || {
            travel_ms + self.roads.look(way.1, way.0).delay_ms[lane as usize]
        });
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
        self.due.touch(id);
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
        let found = between(&self.links_of, from, to).find_map(|id| {
            let ends = &self.links[&id].ends;
            Some((id, ends.iter().position(|it| it.node == from && it.link.is_some())?))
        });
        let Some((id, end)) = found else { return };
        for (lane, frame) in frames {
            self.queue(now_ms, id, end, lane, frame, false);
        }
    }

    /// Breaks the links between two nodes: both ends learn it soon.
    pub(crate) fn break_links(&mut self, now_ms: u64, a: NodeId, b: NodeId) {
        for id in between(&self.links_of, a, b) {
            self.links.get_mut(&id).expect("links are indexed").fail(now_ms);
            self.due.touch(id);
        }
    }

    /// An end closes: it learns so at once, the other one as soon as word can come.
    pub(crate) fn close(&mut self, now_ms: u64, link: LinkId, code: CloseCode, reason: String) {
        let Some((id, end)) = self.find(link) else { return };
        let connection = self.links.get_mut(&id).unwrap();
        let (here, there) = (connection.ends[end].node, connection.ends[1 - end].node);
        let closed = Down { at_ms: now_ms, code: None, reason: "closed here".into() };
        connection.ends[end].down = Some(closed);
        self.due.touch(id);
        let road = self.roads.look(here, there);
        let told = match road.cut_since_ms {
            None => Down { at_ms: now_ms + road.delay_ms[0], code: Some(code), reason },
            Some(_) => silence(now_ms + IDLE_MS),
        };
        self.links.get_mut(&id).unwrap().ends[1 - end].set_down(told);
    }

    /// A node vanishes without a word; what it has sent still arrives.
    pub(crate) fn vanish(&mut self, now_ms: u64, node: NodeId) {
        let of_node = self.links_of.range((node, 0, 0)..(node + 1, 0, 0));
        for id in of_node.map(|(_, _, id)| *id).collect::<Vec<_>>() {
            let ends = &mut self.links.get_mut(&id).expect("links are indexed").ends;
            let end = ends.iter().position(|end| end.node == node).expect("it is one of the two");
            ends[end].is_gone = true;
            ends[end].link = None;
            ends[1 - end].set_down(silence(now_ms + IDLE_MS));
            self.due.touch(id);
            self.sweep(id);
        }
        self.dials.retain(|_, dial| dial.from != node);
        // What one boot has sent is never the word of the next.
        self.taped.retain(|(from, _), _| *from != node);
    }

    /// Cuts one direction, or mends it.
    pub(crate) fn set_cut(&mut self, now_ms: u64, from: NodeId, to: NodeId, is_cut: bool) {
        let road = self.road(from, to);
        road.cut_since_ms = is_cut.then(|| road.cut_since_ms.unwrap_or(now_ms));
    }

    /// All roads are as they were in the beginning, and what waited for a narrow or slow one goes on.
    pub(crate) fn mend(&mut self, now_ms: u64) {
        self.roads.mend();
        for (id, connection) in &mut self.links {
            self.due.touch(*id);
            connection.busy_ms = Default::default();
            for travelling in connection.frames.iter_mut().flatten().flatten() {
                travelling.at_ms = travelling.at_ms.min(now_ms + MENDED_MS);
            }
        }
    }

    /// Makes the frames on their way from one node to another late.
    pub(crate) fn postpone(&mut self, from: NodeId, to: NodeId, ms: u64) {
        for id in between(&self.links_of, from, to) {
            let connection = self.links.get_mut(&id).expect("links are indexed");
            let [frames, back] = &mut connection.frames;
            let frames = if connection.ends[0].node == from { frames } else { back };
            frames.iter_mut().flatten().for_each(|frame| frame.at_ms += ms);
            self.due.touch(id);
        }
    }

    /// Whether something is on its way from one node to another that arrives after this.
    pub(crate) fn is_postponed(&self, from: NodeId, to: NodeId, until_ms: u64) -> bool {
        between(&self.links_of, from, to).any(|id| {
            let connection = &self.links[&id];
            let [frames, back] = &connection.frames;
            let frames = if connection.ends[0].node == from { frames } else { back };
            frames.iter().flatten().any(|frame| frame.at_ms > until_ms)
        })
    }

    /// How long a frame and its answer take between two nodes, while nothing delays them.
    pub(crate) fn round_trip_ms(&self, a: NodeId, b: NodeId) -> u64 {
        self.roads.look(a, b).delay_ms[0] + self.roads.look(b, a).delay_ms[0]
    }

    /// Whether nodes have a link both of whose ends are up.
    pub(crate) fn is_linked(&self, a: NodeId, b: NodeId) -> bool {
        between(&self.links_of, a, b)
            .any(|id| self.links[&id].ends.iter().all(|end| end.link.is_some()))
    }

    /// Whether a direction is neither cut, held, lossy nor narrow.
    pub(crate) fn is_clear(&self, from: NodeId, to: NodeId) -> bool {
        let road = self.roads.look(from, to);
        let is_open = road.cut_since_ms.is_none() && road.is_held == [false; 2];
        is_open && (road.loss_percent, road.bytes_per_ms) == (0, 0) && road.breaks_after.is_none()
    }

    /// How many links are up at both ends.
    pub(crate) fn links_up(&self) -> usize {
        let is_up = |it: &&Connection| it.ends.iter().all(|end| end.link.is_some());
        self.links.values().filter(is_up).count()
    }

    /// In how many parts so many nodes are that reach each other over links.
    pub(crate) fn parts(&self, nodes: usize) -> usize {
        let mut part: Vec<NodeId> = (0..nodes).collect();
        let ups = self.links.values().filter(|it| it.ends.iter().all(|end| end.link.is_some()));
        for ends in ups.map(|link| &link.ends) {
            let (a, b) = (root(&mut part, ends[0].node), root(&mut part, ends[1].node));
            part[a] = b;
        }
        (0..nodes).filter(|node| part[*node] == *node).count()
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
    pub(crate) fn next_ms(&mut self) -> Option<u64> {
        self.next().map(|(at_ms, _)| at_ms)
    }

    /// Takes what happens next; nothing, if it is nobody's concern.
    pub(crate) fn take(&mut self) -> Option<NetEvent> {
        let (at_ms, place) = self.next()?;
        let event = match place {
            Place::Dial(number) => {
                let dial = self.dials.remove(&(at_ms, number))?;
                let Some(is_answered) = dial.is_answered else {
                    self.ask(at_ms, number, dial);
                    return None;
                };
                NetEvent::Dialed { from: dial.from, to: dial.to, is_answered }
            }
            Place::Up(id, end) => {
                self.ends.push((id, end));
                let link = LinkId(self.ends.len() as u64);
                let connection = self.links.get_mut(&id)?;
                self.due.touch(id);
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
                    self.due.touch(id);
                    return self.take();
                }
                let connection = self.links.get_mut(&id)?;
                self.due.touch(id);
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
                self.due.touch(id);
                let (node, peer) = (connection.ends[end].node, connection.ends[1 - end].node);
                let link = connection.ends[end].link.take();
                let down = connection.ends[end].down.take().unwrap_or_else(|| silence(at_ms));
                connection.ends[end].is_gone = true;
                connection.ends[1 - end].set_down(silent);
                self.sweep(id);
                // An end that was never up has nothing to lose.
                let Some(link) = link else { return self.take() };
                NetEvent::Down { node, link, peer, down }
            }
        };
        Some(event)
    }

    fn breaks_now(&mut self, from: NodeId, to: NodeId) -> bool {
        if self.roads.look(from, to).breaks_after.is_none() {
            return false;
        }
        let road = self.roads.change(from, to);
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

    fn next(&mut self) -> Option<(u64, Place)> {
        self.due.ask(|id| self.links.get(&id)?.next(id, &self.roads));
        let dial = self.dials.keys().next().map(|&(at_ms, number)| (at_ms, Place::Dial(number)));
        self.due.first().into_iter().chain(dial).min()
    }

    fn find(&self, link: LinkId) -> Option<(u64, usize)> {
        let &(id, end) = self.ends.get(link.0.checked_sub(1)? as usize)?;
        (self.links.get(&id)?.ends[end].link == Some(link)).then_some((id, end))
    }

    /// Forgets a link that both ends have given up.
    fn sweep(&mut self, id: u64) {
        let ends = &self.links[&id].ends;
        if ends.iter().all(|end| end.is_gone) {
            let (a, b) = (ends[0].node, ends[1].node);
            self.links_of.remove(&(a, b, id));
            self.links_of.remove(&(b, a, id));
            self.links.remove(&id);
        }
    }
}

/// Who stands for the part that a node is in.
fn root(part: &mut [NodeId], mut node: NodeId) -> NodeId {
    while part[node] != node {
        part[node] = part[part[node]];
        node = part[node];
    }
    node
}

/// The links between two nodes, in the order in which they were made.
fn between(
    links_of: &BTreeSet<(NodeId, NodeId, u64)>,
    a: NodeId,
    b: NodeId,
) -> impl Iterator<Item = u64> {
    links_of.range((a, b, 0)..=(a, b, u64::MAX)).map(|(_, _, id)| *id)
}

/// How long a lost frame waits to be sent again.
const RESEND_MS: u64 = 200;
/// Frames of each direction that are kept to be played again.
const TAPE_FRAMES: usize = 64;
/// How long frames travel at most that were on their way when all was mended.
const MENDED_MS: u64 = 20;
/// When a dial asks for an answer, as QUIC does: each time it waits twice as long.
const DIAL_ASKS_MS: [u64; 3] = [0, 300, 900];
/// How long a dial waits for an answer.
const DIAL_MS_MAX: u64 = 1_500;
