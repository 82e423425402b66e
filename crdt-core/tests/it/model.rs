//! A naive replica: ordered maps, no store, no engine, but the rules of both. What travels goes through the
//! wire format. [`Rules`] can be taken out one by one, to show what each of them prevents.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::message::Message;
use millpond_core::wire::{Decoder, PushFrame, RowsFrame, RowsWriter, encode};
use millpond_core::*;

/// The rules that a replica keeps.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A batch carries the paths of delete dots too (red team 1).
    pub deletes_in_batches: bool,
    /// Removing a subtree takes a dot for each path that held a live one (red team 2).
    pub dot_for_each_path: bool,
    /// A write overwrites only dots that are live here; a context beyond my vv is refused (R12, red team 3).
    pub overwrites_what_is_here: bool,
    /// A batch is committed only where its base is covered (R4, red team 4).
    pub base_check: bool,
    /// A delete dot travels though a later dot of its incarnation at the path does too. Not needed to
    /// converge: that is why [`RowsWriter::push`] may leave it out.
    pub superseded_deletes: bool,
}

impl Rules {
    pub const ALL: Self = Self {
        deletes_in_batches: true,
        dot_for_each_path: true,
        overwrites_what_is_here: true,
        base_check: true,
        superseded_deletes: true,
    };
}

pub type State = BTreeMap<Path, Entry>;

/// A change of one path as its author asks for it; `None` deletes.
pub type Change = (Path, Option<Payload>);

#[derive(Debug, Clone)]
pub struct Replica {
    pub id: Incarnation,
    pub vv: VersionVector,
    pub entries: State,
    /// Where each live dot and each delete dot wrote, and the stamp of the latter.
    pub log: BTreeMap<Dot, (Path, Option<Hlc>)>,
    rules: Rules,
    clock: HybridClock,
    waiting: Vec<PushFrame>,
    vv_at_last_write: VersionVector,
}

/// All that a supplier holds beyond `from`.
#[derive(Debug, Clone)]
pub struct Batch {
    pub from: VersionVector,
    pub upto: VersionVector,
    pub rows: RowsFrame,
}

impl Replica {
    pub fn new(id: u8, rules: Rules) -> Self {
        Self {
            id: Incarnation::from_bytes([id; 16]),
            vv: VersionVector::new(),
            entries: State::new(),
            log: BTreeMap::new(),
            rules,
            clock: HybridClock::default(),
            waiting: Vec::new(),
            vv_at_last_write: VersionVector::new(),
        }
    }

    /// Writes a transaction over what is live here. `None` when nothing changes: deletes of absent paths.
    pub fn write(&mut self, now_ms: u64, changes: Vec<Change>) -> Option<PushFrame> {
        let seen = changes.into_iter().collect::<BTreeMap<_, _>>().into_iter();
        let writes = seen.map(|(path, payload)| {
            let overwritten = self.live_dots(&path);
            (path, payload, overwritten)
        });
        let writes = writes.filter(|(_, payload, seen)| payload.is_some() || !seen.is_empty());
        let writes = writes.collect();
        self.commit(now_ms, writes)
    }

    /// Writes one path over what a client saw elsewhere. `None` when it must go elsewhere or wait.
    pub fn write_over(
        &mut self,
        now_ms: u64,
        (path, payload): Change,
        mut context: Vec<Dot>,
    ) -> Option<PushFrame> {
        if self.rules.overwrites_what_is_here {
            if !context.iter().all(|dot| self.vv.covers(*dot)) {
                return None;
            }
            let live = self.live_dots(&path);
            context.retain(|dot| live.contains(dot));
        }
        self.commit(now_ms, vec![(path, payload, context)])
    }

    /// Deletes all that is live at or below a path.
    pub fn remove_below(&mut self, now_ms: u64, root: &Path) -> Option<PushFrame> {
        let live: Vec<Path> =
            self.entries.keys().filter(|path| path.is_within(root)).cloned().collect();
        if self.rules.dot_for_each_path {
            return self.write(now_ms, live.into_iter().map(|path| (path, None)).collect());
        }
        let mut dots: Vec<Dot> = live.iter().flat_map(|path| self.live_dots(path)).collect();
        dots.sort();
        self.commit(now_ms, vec![(root.clone(), None, dots)])
    }

    /// Takes a push that arrived, now or when what it depends on has come.
    pub fn receive(&mut self, push: &PushFrame) {
        let frames = encode(&Message::Push(push.clone()));
        let decoded = Decoder::new().decode(frames[0].clone()).unwrap();
        let Some(Message::Push(push)) = decoded else { panic!("a push") };
        self.waiting.push(push);
        self.apply_waiting();
    }

    /// Everything beyond `from`.
    pub fn batch(&self, from: &VersionVector) -> Batch {
        let beyond = self.log.iter().filter(|(dot, _)| !from.covers(**dot));
        let beyond =
            beyond.filter(|(_, (_, deleted))| deleted.is_none() || self.rules.deletes_in_batches);
        let paths: BTreeSet<&Path> = beyond.map(|(_, (path, _))| path).collect();
        let mut rows = RowsWriter::new(1);
        for path in paths {
            rows.push(&self.row(path, from));
        }
        Batch { from: from.clone(), upto: self.vv.clone(), rows: rows.finish() }
    }

    /// Commits a batch whole, against the vector of this moment; false when its base is not covered.
    pub fn take(&mut self, batch: &Batch) -> bool {
        if self.rules.base_check && !self.vv.covers_all(&batch.from) {
            return false;
        }
        let frames = encode(&Message::Rows(batch.rows.clone()));
        let decoded = Decoder::new().decode(frames[0].clone()).unwrap();
        let Some(Message::Rows(rows)) = decoded else { panic!("rows") };
        for row in rows.rows() {
            let entry = self.entries.entry(row.path.clone()).or_default();
            let joined = join(entry, &row, Context::Upto(&batch.upto), &self.vv);
            self.record(&row.path, joined);
            for (dot, hlc) in &row.deletes {
                if !self.vv.covers(*dot) {
                    self.log.insert(*dot, (row.path.clone(), Some(*hlc)));
                }
            }
        }
        self.vv.join(&batch.upto);
        self.apply_waiting();
        true
    }

    /// Pulls from a supplier, at once.
    pub fn pull(&mut self, supplier: &Self) {
        assert!(self.take(&supplier.batch(&self.vv)));
    }

    /// Forgets pushes whose dependencies have not come: they are no part of the state.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    pub fn entry(&self, path: &Path) -> Entry {
        self.entries.get(path).cloned().unwrap_or_default()
    }

    pub fn live_dots(&self, path: &Path) -> Vec<Dot> {
        self.entry(path).live().iter().map(|live| live.dot).collect()
    }

    /// The next dot that this replica issues.
    pub fn next_dot(&self) -> Dot {
        Dot::new(self.id, Seq::new(self.vv.seq(self.id) + 1).unwrap())
    }

    fn commit(
        &mut self,
        now_ms: u64,
        writes: Vec<(Path, Option<Payload>, Vec<Dot>)>,
    ) -> Option<PushFrame> {
        if writes.is_empty() {
            return None;
        }
        let mut deps = self.vv.difference(&self.vv_at_last_write);
        deps.remove(self.id);
        let mut push = Push {
            namespace: Namespace::MAIN,
            origin: self.id,
            first: self.next_dot().seq,
            deps,
            writes: Vec::new(),
        };
        for (path, payload, overwritten) in writes {
            let hlc = self.clock.stamp(now_ms, self.entry(&path).greatest_stamp()).unwrap();
            push.writes.push(PushWrite { path, hlc, payload, overwritten });
        }
        self.apply(&push);
        self.vv_at_last_write = self.vv.clone();
        Some(PushFrame::encode(&push))
    }

    fn apply_waiting(&mut self) {
        while let Some(ready) = self.waiting.iter().position(|push| self.is_ready(push)) {
            let push = self.waiting.swap_remove(ready);
            self.apply(&push.to_push());
        }
        let vv = &self.vv;
        self.waiting.retain(|push| push.last().get() > vv.seq(push.origin()));
    }

    fn is_ready(&self, push: &PushFrame) -> bool {
        let next = self.vv.seq(push.origin()) + 1;
        push.first().get() == next && self.vv.covers_all(push.deps())
    }

    fn apply(&mut self, push: &Push) {
        for (index, write) in push.writes.iter().enumerate() {
            let dot = push.dot(index);
            let entry = self.entries.entry(write.path.clone()).or_default();
            let joined = write.apply_to(entry, dot, &self.vv);
            self.record(&write.path, joined);
            if write.payload.is_none() {
                self.log.insert(dot, (write.path.clone(), Some(write.hlc)));
            }
            if !self.rules.dot_for_each_path {
                self.drop_elsewhere(&write.overwritten);
            }
        }
        self.vv.advance(push.last());
    }

    /// One dot for a whole subtree: it overwrites dots of other paths.
    fn drop_elsewhere(&mut self, overwritten: &[Dot]) {
        self.entries.values_mut().for_each(|entry| {
            entry.retain(|live| !overwritten.contains(&live.dot));
        });
        self.entries.retain(|_, entry| !entry.is_absent());
        self.log.retain(|dot, _| !overwritten.contains(dot));
    }

    /// Brings the log to what a join changed.
    fn record(&mut self, path: &Path, joined: Joined) {
        joined.removed.iter().for_each(|dot| drop(self.log.remove(dot)));
        self.log.extend(joined.added.into_iter().map(|dot| (dot, (path.clone(), None))));
        if self.entries[path].is_absent() {
            self.entries.remove(path);
        }
    }

    fn row(&self, path: &Path, from: &VersionVector) -> Row {
        let entry = self.entry(path);
        let live = entry.live().iter().map(|live| RowDot {
            dot: live.dot,
            content: (!from.covers(live.dot)).then(|| (live.hlc, live.payload.clone())),
        });
        let here = self.log.iter().filter(|(_, (logged, _))| logged == path);
        let last: BTreeMap<Incarnation, Dot> =
            here.clone().map(|(dot, _)| (dot.incarnation, *dot)).collect();
        let deletes = here.filter_map(|(dot, (_, deleted))| {
            let superseded = last[&dot.incarnation] != *dot && !self.rules.superseded_deletes;
            let wanted = self.rules.deletes_in_batches && !from.covers(*dot) && !superseded;
            deleted.filter(|_| wanted).map(|hlc| (*dot, hlc))
        });
        Row { path: path.clone(), live: live.collect(), deletes: deletes.collect() }
    }
}

/// What was ever written: the oracle. A replica must show exactly the writes that its vector covers, without
/// those that another of them overwrote.
#[derive(Debug, Clone, Default)]
pub struct History {
    writes: BTreeMap<Dot, PushWrite>,
    pushes: Vec<PushFrame>,
}

impl History {
    pub fn record(&mut self, push: &PushFrame) {
        for (index, write) in push.writes().enumerate() {
            self.writes.insert(Dot::new(push.origin(), push.first().plus(index as u64)), write);
        }
        self.pushes.push(push.clone());
    }

    /// All pushes, in an order in which each follows what it depends on.
    pub fn pushes(&self) -> &[PushFrame] {
        &self.pushes
    }

    pub fn state_at(&self, vv: &VersionVector) -> State {
        let covered = || self.writes.iter().filter(|(dot, _)| vv.covers(**dot));
        let gone: BTreeSet<Dot> =
            covered().flat_map(|(_, write)| write.overwritten.clone()).collect();
        let mut state = State::new();
        for (&dot, write) in covered().filter(|(dot, _)| !gone.contains(dot)) {
            if let Some(payload) = write.payload.clone() {
                let live = LiveDot { dot, hlc: write.hlc, payload };
                state.entry(write.path.clone()).or_default().insert(live);
            }
        }
        state
    }

    /// R1, R2 and R3 for one replica.
    pub fn check(&self, replica: &Replica) {
        let state = self.state_at(&replica.vv);
        assert_eq!(replica.entries, state, "{} shows what its vector covers", replica.id);
        let live = state.iter().flat_map(|(path, entry)| {
            entry.live().iter().map(move |live| (live.dot, (path.clone(), None)))
        });
        let deletes = self
            .writes
            .iter()
            .filter(|(dot, write)| replica.vv.covers(**dot) && write.payload.is_none());
        let deletes = deletes.map(|(dot, write)| (*dot, (write.path.clone(), Some(write.hlc))));
        let log: BTreeMap<_, _> = live.chain(deletes).collect();
        match replica.rules.superseded_deletes {
            true => assert_eq!(replica.log, log, "{} logs each live and delete dot", replica.id),
            false => assert!(replica.log.iter().all(|(dot, row)| log.get(dot) == Some(row))),
        }
    }
}
