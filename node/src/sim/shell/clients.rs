//! Who writes and reads at the nodes, and what they were answered.

use std::collections::BTreeMap;
use std::time::Duration;

use millpond_core::{Dot, VersionVector};
use rand_core::Rng;

use super::cluster::Cluster;
use crate::concern::{AckLevel, Concern};
use crate::replica::{AtLeastError, Bookmark, Replica};
use crate::replication::{Answer, Request, Wanted};
use crate::sim::net::NodeId;
use crate::sim::oracle::{Effect, Ran};
use crate::sim::scenario::OperationKind;
use crate::sim::stage::carry_out;
use crate::state::WriteError;

/// A transaction of a client.
#[derive(Debug, Clone)]
pub struct ClientWrite {
    number: usize,
    kind: OperationKind,
    /// Whether it waits until another node has it on its disk.
    waits: bool,
    /// The client that carries what it has seen from node to node.
    client: Option<usize>,
}

/// What clients have asked for, and seen.
#[derive(Default)]
pub(super) struct Clients {
    asked: BTreeMap<usize, Asked>,
    sessions: BTreeMap<usize, Session>,
    next: usize,
}

/// A transaction that was asked for.
pub(super) struct Asked {
    pub(super) node: NodeId,
    pub(super) boot: u64,
    pub(super) is_refusing: bool,
    pub(super) answer: Option<Result<Option<Dot>, String>>,
}

/// What a client has really seen, and what it has been given to say so.
#[derive(Default)]
struct Session {
    seen: VersionVector,
    bookmark: Bookmark,
}

impl Clients {
    pub(super) fn asked(&self) -> impl Iterator<Item = (usize, &Asked)> {
        self.asked.iter().map(|(number, asked)| (*number, asked))
    }
}

impl Cluster {
    /// The next transaction of somebody.
    pub fn draw_write(&self) -> ClientWrite {
        let state = &mut *self.state();
        let mut below = |count: u64| state.rng.next_u64() % count;
        let kind = match below(10) {
            0 | 1 => OperationKind::Count { delta: below(19) as i64 - 9 },
            2 => OperationKind::Reset,
            3 => OperationKind::Refuse { key: below(KEYS) },
            _ => {
                let puts = (0..1 + below(3)).map(|_| below(KEYS)).collect();
                let deletes = (0..below(3) / 2).map(|_| below(KEYS)).collect();
                let padding = if below(8) == 0 { below(PADDING_MAX) as usize } else { 0 };
                OperationKind::Write { puts, deletes, padding }
            }
        };
        let (waits, client) = (below(4) == 0, (below(2) == 0).then(|| below(CLIENTS) as usize));
        state.clients.next += 1;
        ClientWrite { number: state.clients.next, kind, waits, client }
    }

    /// The next transaction of somebody who writes one value, and waits for nobody.
    pub fn draw_put(&self) -> ClientWrite {
        let state = &mut *self.state();
        let puts = vec![state.rng.next_u64() % KEYS];
        let kind = OperationKind::Write { puts, deletes: Vec::new(), padding: 0 };
        state.clients.next += 1;
        ClientWrite { number: state.clients.next, kind, waits: false, client: None }
    }

    /// Carries a transaction out at a node, and looks at what is answered. A client that moves between nodes reads
    /// first.
    pub async fn write(&self, id: usize, replica: &Replica, write: ClientWrite) {
        let ClientWrite { number, kind, waits, client } = write;
        if let Some(client) = client
            && !self.visit(id, replica, client).await
        {
            return;
        }
        let effect = match kind {
            OperationKind::Count { delta } => Effect::Count(delta),
            OperationKind::Reset => Effect::Reset,
            _ => Effect::None,
        };
        let is_refusing = matches!(kind, OperationKind::Refuse { .. });
        let witness = {
            let state = &mut *self.state();
            let boot = state.members[id].boots;
            let asked = Asked { node: id, boot, is_refusing, answer: None };
            state.clients.asked.insert(number, asked);
            state.judge.witness()
        };
        let closure = Box::new(move |tx: &mut crate::state::WriteTx<'_>| {
            let ran = Ran { operation: number, vv: tx.vv().clone(), effect };
            witness.lock().expect("no closure panics").push(ran);
            carry_out(tx, number, &kind, false)
        });
        let request = match waits {
            false => Request::Write(closure),
            true => {
                let (concern, level) = (Concern::Replicas(1), AckLevel::Durable);
                let wanted = Some(Wanted { concern, level, timeout_ms: PATIENCE_MS });
                Request::WriteWith { closure, min_connected: 0, wanted }
            }
        };
        let answer = replica.ask(request).await;
        self.answered(id, replica, number, client, answer);
    }

    /// A client reads at a node, once that says that it shows what the client has seen; false if it does not say so
    /// in time.
    async fn visit(&self, id: NodeId, replica: &Replica, client: usize) -> bool {
        let (bookmark, seen) = {
            let session = self.state().clients.sessions.entry(client).or_default().clone_of();
            (session.bookmark, session.seen)
        };
        let within = Duration::from_millis(PATIENCE_MS);
        let view = match replica.at_least(&bookmark, within).await {
            Ok(view) => view,
            Err(AtLeastError::Store(error)) => {
                self.violated(Err(format!("the store of {id}: {error}")));
                return false;
            }
            Err(_) => return false,
        };
        if !view.vv().covers_all(&seen) {
            let why = format!("sessions: {id} shows {:?} to who has seen {seen:?}", view.vv());
            self.violated(Err(why));
        }
        let bookmark = replica.bookmark(&view);
        self.sees(client, view.vv(), &bookmark);
        true
    }

    fn sees(&self, client: usize, vv: &VersionVector, bookmark: &Bookmark) {
        let state = &mut *self.state();
        let session = state.clients.sessions.entry(client).or_default();
        session.seen.join(vv);
        session.bookmark.join(bookmark);
    }

    fn answered(
        &self,
        id: NodeId,
        replica: &Replica,
        number: usize,
        client: Option<usize>,
        answer: Option<Answer>,
    ) {
        let (dot, vv, is_met) = match answer {
            Some(Answer::Written(Ok((dot, vv)))) => (dot, vv, false),
            Some(Answer::Stored { dot, vv, waited }) => (Some(dot), vv, waited.is_met),
            Some(Answer::Written(Err(WriteError::Closed))) | None => return,
            Some(Answer::Written(Err(error))) => {
                return self.note_answer(number, Err(error.to_string()));
            }
            Some(other) => return self.violated(Err(format!("answers: {number} got {other:?}"))),
        };
        if let Some(client) = client {
            self.sees(client, &vv, &replica.bookmark_of(&vv));
        }
        let holds = self.state().judge.acknowledged(id, dot, &vv, is_met);
        self.violated(holds);
        self.note_answer(number, Ok(dot));
    }

    fn note_answer(&self, number: usize, answer: Result<Option<Dot>, String>) {
        if let Some(asked) = self.state().clients.asked.get_mut(&number) {
            asked.answer = Some(answer);
        }
    }
}

impl Session {
    fn clone_of(&self) -> Self {
        Self { seen: self.seen.clone(), bookmark: self.bookmark.clone() }
    }
}

/// Few, so that nodes write over each other.
const KEYS: u64 = 12;
/// Clients that move between nodes.
const CLIENTS: u64 = 3;
/// Bytes of the largest values: some datagrams.
const PADDING_MAX: u64 = 6_000;
/// How long a client waits for other nodes.
const PATIENCE_MS: u64 = 3_000;
