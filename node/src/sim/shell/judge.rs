//! What must hold of a cluster whose shell is real: the simulator's checks, as far as they need no look into engines.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use millpond_core::message::Message;
use millpond_core::types::counter::{self, Slot};
use millpond_core::wire::Decoder;
use millpond_core::{Dot, Namespace, VersionVector};

use super::cluster::{Cluster, State};
use crate::replication::{Answer, Request};
use crate::seal::Seal;
use crate::sim::audit::audit_store;
use crate::sim::disk::SimDisk;
use crate::sim::net::NodeId;
use crate::sim::node::Done;
use crate::sim::oracle::{Oracle, Ran};
use crate::sim::stage::counter_path;
use crate::sim::world::{Check, NAMESPACES, ensure};
use crate::state::{Heads, View};
use crate::store::Store;

/// Hears of every commit, and keeps the first thing that was wrong.
pub(super) struct Judge {
    oracle: Oracle,
    found: Check,
    commits: u64,
    count: usize,
}

impl Judge {
    pub(super) fn new(count: usize) -> Self {
        Self { oracle: Oracle::default(), found: Ok(()), commits: 0, count }
    }

    pub(super) fn witness(&self) -> Arc<Mutex<Vec<Ran>>> {
        self.oracle.witness()
    }

    pub(super) fn violated(&mut self, check: Check, now_ms: u64) {
        if let (Ok(()), Err(why)) = (&self.found, check) {
            self.found = Err(format!("{why} (at {now_ms} ms)"));
        }
    }

    /// A disk has these jobs: their writes are lawful, its vectors grow, and now and then all that it holds is looked
    /// at.
    pub(super) fn committed(&mut self, id: NodeId, disk: &SimDisk, done: Vec<Done>, now_ms: u64) {
        let noted = self.oracle.committed(id, done);
        self.violated(noted, now_ms);
        self.commits += 1;
        let is_thorough = self.commits.is_multiple_of(THOROUGH_EVERY);
        let looked = self.look(id, disk, is_thorough);
        self.violated(looked, now_ms);
    }

    fn look(&mut self, id: NodeId, disk: &SimDisk, is_thorough: bool) -> Check {
        for namespace in NAMESPACES {
            let view = view(disk, namespace)?;
            self.oracle.advance(id, namespace, view.vv())?;
            if is_thorough {
                self.oracle.compare(id, namespace, &view)?;
            }
        }
        if is_thorough { audit_store(disk) } else { Ok(()) }
    }

    /// An answered write is on the disk of the node that answered, and on another one's if that was waited for (R6).
    pub(super) fn acknowledged(
        &self,
        id: NodeId,
        dot: Option<Dot>,
        vv: &VersionVector,
        is_met: bool,
    ) -> Check {
        let main = Namespace::MAIN;
        let here = self.oracle.vv(id, main);
        let is_here = dot.is_none_or(|dot| here.covers(dot)) && here.covers_all(vv);
        ensure!(is_here, "R6: {id} answers {dot:?} at {vv:?}, and its disk is at {here:?}");
        let mut others = (0..self.count).filter(|other| *other != id);
        let is_there =
            dot.is_none_or(|dot| others.any(|other| self.oracle.vv(other, main).covers(dot)));
        ensure!(!is_met || is_there, "R6: {dot:?} counts as acknowledged, and {id} alone has it");
        Ok(())
    }

    /// What leaves a node is on its disk (R6). Frames that name what was said before them on their lane are passed
    /// over.
    fn may_say(&self, id: NodeId, frame: &Bytes) -> Check {
        let holds = |namespace: Namespace, vv: &VersionVector| {
            let here = self.oracle.vv(id, namespace);
            ensure!(here.covers_all(vv), "R6: {id} says in a hello that it holds {vv:?}");
            Ok(())
        };
        match Decoder::new().decode(frame.clone()) {
            Ok(Some(Message::Hello(hello))) => {
                hello.namespaces.iter().try_for_each(|it| holds(it.namespace, &it.durable))
            }
            Ok(Some(Message::Push(push))) if push.table().is_none() => {
                let (last, vv) = (push.last_dot(), self.oracle.vv(id, push.namespace()));
                ensure!(vv.covers(last), "R6: {id} sends {last}, and its disk is at {vv:?}");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Cluster {
    /// A frame leaves a node.
    pub fn may_say(&self, id: usize, frame: &Bytes) {
        let state = &mut *self.state();
        let said = state.judge.may_say(id, frame);
        state.judge.violated(said, self.now_ms());
    }

    /// The first thing that was wrong so far.
    ///
    /// # Errors
    /// In words, by the name of the check.
    pub fn so_far(&self) -> Result<(), String> {
        self.state().judge.found.clone()
    }

    /// Whether all nodes hold the same.
    pub fn is_level(&self) -> bool {
        let state = self.state();
        NAMESPACES.into_iter().all(|namespace| {
            let vectors: Vec<VersionVector> =
                (0..state.members.len()).map(|id| state.judge.oracle.vv(id, namespace)).collect();
            vectors.windows(2).all(|pair| pair[0] == pair[1])
        })
    }

    /// Whether no tombstone is left anywhere.
    pub fn is_collected(&self) -> bool {
        let state = self.state();
        state.members.iter().all(|member| {
            let heads = member.disk.snapshot().and_then(|snapshot| Heads::load(&*snapshot));
            heads.is_ok_and(|it| NAMESPACES.iter().all(|of| it.tombstones(*of).count == 0))
        })
    }

    /// How far the nodes are, for who wonders why they are not level.
    pub fn standing(&self) -> String {
        let state = self.state();
        let of_node = |id| {
            let vectors = NAMESPACES.map(|it| state.judge.oracle.vv(id, it));
            format!("{id} is at {vectors:?}")
        };
        (0..state.members.len()).map(of_node).collect::<Vec<_>>().join("; ")
    }

    /// How many rows were written so far.
    pub fn written(&self) -> u64 {
        self.state().judge.oracle.written() as u64
    }

    /// How many rows a node has received since it was opened, and how often it has been linked.
    pub async fn traffic(&self, id: usize) -> (u64, u64) {
        let Some(replica) = self.replica(id) else { return (0, 0) };
        let request = Request::Status { links: Vec::new(), store_bytes: 0, warnings: Vec::new() };
        let Some(Answer::Status(status)) = replica.ask(request).await else { return (0, 0) };
        let counters = || status.peers.iter().map(|peer| &peer.counters);
        (counters().map(|it| it.rows_received).sum(), counters().map(|it| it.links).sum())
    }

    /// Judges the end: all is mended and level.
    ///
    /// # Errors
    /// In words, by the name of the check.
    pub fn judge(&self) -> Result<(), String> {
        let state = self.state();
        state.judge.found.clone()?;
        for id in 0..state.members.len() {
            state.judge_node(id)?;
        }
        for namespace in NAMESPACES {
            let seal = |disk: &SimDisk| -> Result<Seal, String> {
                Seal::of(&view(disk, namespace)?).map_err(|error| error.to_string())
            };
            let seals: Result<Vec<Seal>, String> =
                state.members.iter().map(|member| seal(&member.disk)).collect();
            let seals = seals?;
            let are_equal = seals.windows(2).all(|pair| pair[0] == pair[1]);
            ensure!(are_equal, "fingerprints: they differ at equal vectors: {seals:?}");
        }
        state.judge_answers()
    }
}

impl State {
    fn judge_node(&self, id: NodeId) -> Check {
        let (oracle, disk) = (&self.judge.oracle, &*self.members[id].disk);
        for namespace in NAMESPACES {
            oracle.compare(id, namespace, &view(disk, namespace)?)?;
        }
        oracle.nothing_is_lost(id)?;
        audit_store(disk).map_err(|why| format!("{why}, at node {id}"))?;
        let mut slots = Vec::new();
        let read =
            view(disk, Namespace::MAIN)?.entries(Some(&counter_path()), None, &mut |_, entry| {
                slots.extend(Slot::read(&entry));
                std::ops::ControlFlow::Continue(())
            });
        read.map_err(|error| error.to_string())?;
        let (found, expected) = (counter::read(slots).unwrap_or(0), oracle.count(id));
        ensure!(found == expected, "the counter: {id} reads {found}, and it is {expected}");
        Ok(())
    }

    /// An acknowledged transaction happened, a refused one did not, and every one is answered while its node lives.
    fn judge_answers(&self) -> Check {
        for (number, asked) in self.clients.asked() {
            let became = self.judge.oracle.transaction(number).and_then(|it| it.last);
            match &asked.answer {
                Some(Ok(dot)) => {
                    ensure!(!asked.is_refusing, "answers: {number} was acknowledged, and refused");
                    ensure!(became == *dot, "answers: {number} is {became:?}, and not {dot:?}");
                }
                Some(Err(why)) => {
                    ensure!(asked.is_refusing, "answers: {number} was refused: {why}");
                    ensure!(became.is_none(), "answers: {number} was refused, and is {became:?}");
                }
                None => {
                    let has_ended = self.members[asked.node].boots != asked.boot;
                    ensure!(has_ended, "liveness: {number} was never answered at {}", asked.node);
                }
            }
        }
        Ok(())
    }
}

fn view(disk: &SimDisk, namespace: Namespace) -> Result<View, String> {
    let view = disk.snapshot().and_then(|snapshot| View::new(snapshot, namespace));
    view.map_err(|error| error.to_string())
}

/// How many commits go by between two looks at everything.
const THOROUGH_EVERY: u64 = 8;
