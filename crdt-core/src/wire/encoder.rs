//! Messages to the frames of one lane, with vectors relative to tables of closed incarnations.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::control;
use super::encode::{encode, frames};
use super::tables::Said;
use crate::Closed;
use crate::message::{ClosedChange, Message};

/// Encodes the messages of one lane. Where it makes a message shorter, its vectors tell only what differs from
/// a table of closed incarnations. The lane says that table first, as what differs from one that its other end
/// has.
#[derive(Debug, Default)]
pub struct Encoder {
    said: Said,
}

impl Encoder {
    /// An encoder for a lane that has carried nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The frames of a message, and before them whatever its reader has to know. `closed` is the sender's table,
    /// `theirs` one that the other end has for sure.
    pub fn encode(
        &mut self,
        message: &Message,
        closed: &Arc<Closed>,
        theirs: Option<&Arc<Closed>>,
    ) -> Vec<Bytes> {
        if let Message::Push(push) = message {
            let mut frames = Vec::new();
            if let Some(table) = push.table() {
                frames.extend(self.say(table, theirs));
            }
            frames.extend(encode(message));
            return frames;
        }
        if closed.is_empty() || !control::has_vectors(message) {
            return encode(message);
        }
        let (plain, relative) =
            (control::encode(message), control::encode_relative(message, closed));
        let is_vast = plain.len() > VAST_BYTES;
        let introduction = self.introduction(closed, theirs);
        let introduced_bytes: usize = introduction.iter().map(|(_, frame)| frame.len()).sum();
        let Some(relative) = relative else { return frames(plain) };
        if relative.len() + introduced_bytes >= plain.len() && !is_vast {
            return frames(plain);
        }
        let mut all = self.said_by(introduction);
        all.extend(frames(relative));
        all
    }

    /// Tables that were said, for whoever reads along.
    pub fn said(&self) -> Vec<Arc<Closed>> {
        self.said.iter().cloned().collect()
    }

    /// Nothing of what was said has been understood.
    pub fn restart(&mut self) {
        self.said.clear();
    }

    fn say(&mut self, closed: &Arc<Closed>, theirs: Option<&Arc<Closed>>) -> Vec<Bytes> {
        let introduction = self.introduction(closed, theirs);
        self.said_by(introduction)
    }

    fn said_by(&mut self, introduction: Vec<(Arc<Closed>, Bytes)>) -> Vec<Bytes> {
        let said = introduction.into_iter().map(|(table, frame)| {
            self.said.say(table);
            frame
        });
        said.collect()
    }

    /// The frames that say a table, each with the table that it makes; none if it is said.
    fn introduction(
        &self,
        closed: &Arc<Closed>,
        theirs: Option<&Arc<Closed>>,
    ) -> Vec<(Arc<Closed>, Bytes)> {
        if self.said.has(closed.hash()) {
            return Vec::new();
        }
        let none = Arc::new(Closed::NONE);
        let bases = self.said.last().into_iter().chain(theirs).chain([&none]);
        let nearest = bases.map(|from| (closed.changes_from(from), from));
        let nearest = nearest.min_by_key(|(changes, _)| changes.len());
        let (mut changes, from) = nearest.expect("there is always the table of none");
        let mut from = from.clone();
        let mut said = Vec::new();
        loop {
            let rest = changes.split_off(changes.len().min(CHANGES_AT_ONCE));
            let to = match rest.is_empty() {
                true => closed.clone(),
                false => Arc::new(from.changed(&changes)),
            };
            let change = ClosedChange { from: from.hash(), to: to.hash(), changes };
            let mut frames = encode(&Message::Closed(change));
            said.push((to.clone(), frames.remove(0)));
            if rest.is_empty() {
                return said;
            }
            (from, changes) = (to, rest);
        }
    }
}

/// Changes of a table in one message: a quarter of a frame.
const CHANGES_AT_ONCE: usize = 10_000;
/// A message of plain vectors of this size may be beyond what may be listed.
const VAST_BYTES: usize = 200_000;
