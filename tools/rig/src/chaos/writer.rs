//! A client that writes at one node or another, and notes what it was promised.
//!
//! It writes four kinds of things, and each can be checked exactly, although nobody knows whether a write was
//! written that was not answered:
//!
//! - *own* keys, which no other writer writes, alone or in groups of three. It reads a key before it writes it: at the
//!   node that answered the last write it must find that; at another one it writes only once that has come there, and
//!   after a delete not at all: absent is a key too of which nothing has come yet. So each write knows the one
//!   before, and the last one is what all must show. A key is left alone after a write whose end is unknown.
//! - *shared* groups, which all write over each other, each member with one value: whatever wins, it must win in all.
//! - *tallies*: in one transaction a record that says how much is added, and a counter to which it is added. The
//!   records are the sum, whichever of them were written.
//! - *transfers* between accounts ([`super::bank`]).

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::{Value, json};

use super::bank;
use super::shared::Shared;
use crate::client::Connection;
use crate::random::Random;

/// What a writer was promised.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// By the keys of its own.
    pub(super) own: BTreeMap<String, Own>,
    /// By the keys of the records of its tallies.
    pub(super) tallies: BTreeMap<String, Tally>,
}

/// A key of its own, or a group of them.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) members: u64,
    /// What each member may show; `None` is that it is absent.
    pub(super) may_show: Vec<Option<u64>>,
}

/// What was added to a tally.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    pub(super) delta: i64,
    pub(super) is_answered: bool,
}

/// An own key under way.
#[derive(Debug)]
struct Slot {
    key: String,
    members: u64,
    /// What was written last.
    state: Option<u64>,
    /// Where; `None` before the first write.
    at: Option<usize>,
    /// When that was answered.
    since: Duration,
    /// All that was written before, with the node and the moment.
    history: Vec<(Option<u64>, usize, Duration)>,
}

pub(super) struct Writer<'a> {
    number: usize,
    shared: &'a Shared,
    random: Random,
    /// The node that it writes at.
    at: usize,
    connection: Option<Connection>,
    slots: Vec<Slot>,
    /// No two writes have the same value.
    serial: u64,
    written: Written,
}

impl<'a> Writer<'a> {
    pub(super) fn new(number: usize, shared: &'a Shared, mut random: Random) -> Self {
        let at = number % shared.places.len();
        let mut writer = Self {
            number,
            shared,
            random: random.split(),
            at,
            connection: None,
            slots: Vec::new(),
            serial: 0,
            written: Written::default(),
        };
        writer.slots = (0..SLOTS).map(|_| writer.begin()).collect();
        writer
    }

    /// Writes until the run is over.
    pub(super) fn run(mut self) -> Written {
        while !self.shared.is_over() {
            if self.random.happens(MOVES_PERCENT) {
                self.go_elsewhere();
            }
            if let Err(error) = self.step() {
                // What became of a write is noted where it was made.
                self.connection = None;
                if error.kind() == io::ErrorKind::Other && !error.to_string().contains("HTTP/1.1 5")
                {
                    // It was there, and did not say that it cannot.
                    self.shared.violated(format!("a writer is refused: {error}"));
                }
                self.shared.rest();
                if self.random.happens(50) {
                    self.go_elsewhere();
                }
            }
        }
        for slot in self.slots {
            let own = Own { members: slot.members, may_show: vec![slot.state] };
            self.written.own.insert(slot.key, own);
        }
        self.written
    }

    fn step(&mut self) -> io::Result<()> {
        if self.connection.is_none() {
            self.connection = Some(self.shared.places[self.at].connect()?);
        }
        match self.random.below(100) {
            0..50 => self.write_own(),
            50..60 => self.write_shared(),
            60..80 => self.write_tally(),
            _ => self.write_transfer(),
        }
    }

    fn write_own(&mut self) -> io::Result<()> {
        let number = self.random.below(self.slots.len() as u64) as usize;
        let Slot { key, members, state, at, since, .. } = &self.slots[number];
        let (key, members, state, at, since) = (key.clone(), *members, *state, *at, *since);
        let path = format!("/api/v1/c/{OWN}?prefix={key}-&limit=10");
        let page = self.ask("GET", &path, "")?;
        let found = match whole(&page, members) {
            Ok(found) => found,
            Err(shown) => {
                let name = &self.shared.places[self.at].name;
                self.shared.violated(format!("half of a transaction at {name}: {key}: {shown}"));
                return Ok(());
            }
        };
        if found != state {
            // Elsewhere it may not have come yet.
            if at.is_none_or(|at| at == self.at) {
                let name = &self.shared.places[self.at].name;
                self.shared.violated(format!(
                    "{key} at {name} shows {found:?}, and {state:?} was acknowledged there at {:.2}; {}",
                    since.as_secs_f64(),
                    self.told_of(number)
                ));
            }
            return Ok(());
        }
        if found.is_none() && at.is_some_and(|at| at != self.at) {
            return Ok(());
        }
        let is_delete = found.is_some() && self.random.happens(40);
        let (next, ops) = match is_delete {
            true => (None, ops(members, &|member| delete(OWN, &format!("{key}-{member}")))),
            false => {
                let n = self.next();
                let op = |member| put(OWN, &format!("{key}-{member}"), &json!({ "n": n }));
                (Some(n), ops(members, &op))
            }
        };
        let done = self.write(&ops);
        match done {
            Ok(()) => {
                let slot = &mut self.slots[number];
                (slot.state, slot.at) = (next, Some(self.at));
                slot.since = self.shared.start.elapsed();
                slot.history.push((next, self.at, slot.since));
            }
            Err(_) => {
                let own = Own { members, may_show: vec![state, next] };
                self.written.own.insert(key, own);
                self.slots[number] = self.begin();
            }
        }
        done
    }

    /// What was written at a key, and what each node shows of it now, with who wrote it.
    fn told_of(&self, number: usize) -> String {
        let slot = &self.slots[number];
        let name = |at: usize| &self.shared.places[at].name;
        let written = slot.history.iter().map(|(value, at, moment)| {
            format!("{value:?} at {} at {:.2}", name(*at), moment.as_secs_f64())
        });
        let path = format!("/api/v1/c/{OWN}/{}-0?meta=1", slot.key);
        let shown = self.shared.places.iter().map(|place| {
            let shown = place.connect().and_then(|mut node| node.request("GET", &path, ""));
            let shown = shown.unwrap_or_else(|error| error.to_string());
            format!("{} shows {shown}", place.name)
        });
        let written: Vec<String> = written.collect();
        format!("written: {}; {}", written.join(", "), shown.collect::<Vec<_>>().join("; "))
    }

    fn write_shared(&mut self) -> io::Result<()> {
        let group = self.random.below(SHARED_GROUPS);
        let n = self.number as u64 * 1_000_000_000 + self.next();
        let is_delete = self.random.happens(20);
        let op = |member| {
            let key = format!("{group}-{member}");
            match is_delete {
                true => delete(SHARED, &key),
                false => put(SHARED, &key, &json!({ "n": n })),
            }
        };
        self.write(&ops(SHARED_MEMBERS, &op))
    }

    fn write_tally(&mut self) -> io::Result<()> {
        let tally = tally_at(self.shared.start.elapsed());
        let serial = self.next();
        let key = format!("{tally}-{}-{serial}", self.number);
        let delta = self.random.below(20) as i64 - 7;
        let total = json!({
            "op": "count", "collection": TALLIES, "key": format!("{tally}-{TOTAL}"), "field": "n",
            "delta": delta,
        });
        let done = self.write(&[put(TALLIES, &key, &json!({ "delta": delta })), total]);
        self.written.tallies.insert(key, Tally { delta, is_answered: done.is_ok() });
        done
    }

    fn write_transfer(&mut self) -> io::Result<()> {
        let transfer = bank::transfer(&mut self.random);
        let done = self.write(&transfer);
        self.shared.transfers.fetch_add(u64::from(done.is_ok()), Relaxed);
        done
    }

    /// A transaction; an error is that its end is unknown.
    fn write(&mut self, ops: &[Value]) -> io::Result<()> {
        let done = self.ask("POST", "/api/v1/tx", &json!({ "ops": ops }).to_string());
        let counter = if done.is_ok() { &self.shared.answered } else { &self.shared.unknown };
        counter.fetch_add(1, Relaxed);
        done.map(drop)
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Value> {
        let connection = self.connection.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let text = connection.request(method, path, body)?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    fn go_elsewhere(&mut self) {
        self.at = self.random.below(self.shared.places.len() as u64) as usize;
        self.connection = None;
    }

    fn begin(&mut self) -> Slot {
        let serial = self.shared.begun[self.number].fetch_add(1, Relaxed);
        let members = members_of(serial);
        Slot {
            key: format!("{}-{serial}", self.number),
            members,
            state: None,
            at: None,
            since: Duration::ZERO,
            history: Vec::new(),
        }
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

/// The one value that all records of a page have, which are all members of a group; `None` if there are none.
pub(super) fn whole(page: &Value, members: u64) -> Result<Option<u64>, String> {
    let records = page["records"].as_array().map_or(&[][..], Vec::as_slice);
    let values: Vec<Option<u64>> = records.iter().map(|it| it["fields"]["n"].as_u64()).collect();
    match values.first() {
        None => Ok(None),
        Some(first) => {
            let is_whole = values.len() as u64 == members && values.iter().all(|it| it == first);
            if is_whole && first.is_some() { Ok(*first) } else { Err(page.to_string()) }
        }
    }
}

/// How many members the group of an own key has.
pub(super) fn members_of(serial: u64) -> u64 {
    if serial.is_multiple_of(3) { 3 } else { 1 }
}

/// The tally that is counted in at this time of the run.
pub(super) fn tally_at(elapsed: Duration) -> u64 {
    elapsed.as_secs() / TALLY_SECONDS
}

fn ops(members: u64, op: &dyn Fn(u64) -> Value) -> Vec<Value> {
    (0..members).map(op).collect()
}

fn put(collection: &str, key: &str, fields: &Value) -> Value {
    json!({"op": "put", "collection": collection, "key": key, "fields": fields})
}

fn delete(collection: &str, key: &str) -> Value {
    json!({"op": "delete", "collection": collection, "key": key})
}

pub(super) const OWN: &str = "own";
pub(super) const SHARED: &str = "shared";
pub(super) const TALLIES: &str = "tallies";
/// The key of a tally's counter, behind its number.
pub(super) const TOTAL: &str = "total";
pub(super) const SHARED_GROUPS: u64 = 5;
pub(super) const SHARED_MEMBERS: u64 = 4;
/// Own keys of a writer that are under way at once.
const SLOTS: usize = 60;
/// How often, in a hundred writes, it goes to another node.
const MOVES_PERCENT: u64 = 2;
/// So short that a reader gets a tally in one page.
const TALLY_SECONDS: u64 = 4;
