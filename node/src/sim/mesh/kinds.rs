//! What frames are of which kind, and what for.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Frames of one kind that nodes gave to their links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KindFigures {
    /// What the protocol calls it, or its number.
    pub kind: String,
    /// What it is for.
    pub purpose: Purpose,
    /// How many frames.
    pub messages: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Purpose {
    /// Carries rows, or asks for a catch-up.
    Data,
    /// Announces, grafts, prunes: finds the way that an update takes.
    Ripple,
    /// Tells how far a node is, and that it is there.
    Status,
    /// Opens a link.
    Session,
}

/// Frames by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByKind(BTreeMap<u16, (u64, u64)>);

impl ByKind {
    pub(crate) fn count(&mut self, frame: &Bytes) {
        let kind = kind(frame).unwrap_or(0);
        let (messages, bytes) = self.0.entry(kind).or_default();
        *messages += 1;
        *bytes += frame.len() as u64;
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<KindFigures> {
        let figures = self.0.iter().map(|(&kind, (messages, bytes))| {
            let before = earlier.0.get(&kind).copied().unwrap_or_default();
            let (name, purpose) = describe(kind);
            KindFigures {
                kind: name,
                purpose,
                messages: messages - before.0,
                bytes: bytes - before.1,
            }
        });
        figures.filter(|figures| figures.messages > 0).collect()
    }
}

/// Bytes of the frames that serve one purpose.
pub(crate) fn bytes_for(figures: &[KindFigures], purpose: Purpose) -> u64 {
    figures.iter().filter(|kind| kind.purpose == purpose).map(|kind| kind.bytes).sum()
}

/// The kind in a frame's header.
pub(crate) fn kind(frame: &Bytes) -> Option<u16> {
    Some(u16::from_le_bytes(frame.get(..2)?.try_into().ok()?))
}

fn describe(kind: u16) -> (String, Purpose) {
    let known = KINDS.iter().find(|(number, ..)| *number == kind);
    known.map_or((kind.to_string(), Purpose::Status), |(_, name, purpose)| {
        ((*name).into(), *purpose)
    })
}

/// The kinds by their numbers, which never change.
const KINDS: &[(u16, &str, Purpose)] = &[
    (1, "hello", Purpose::Session),
    (2, "introduce", Purpose::Data),
    (3, "pull", Purpose::Data),
    (4, "pull-start", Purpose::Data),
    (5, "rows", Purpose::Data),
    (6, "pull-end", Purpose::Data),
    (7, "pull-refused", Purpose::Data),
    (8, "feed", Purpose::Session),
    (9, "behind", Purpose::Data),
    (PUSH, "push", Purpose::Data),
    (11, "digest", Purpose::Status),
    (12, "ack", Purpose::Status),
    (13, "credit", Purpose::Status),
    (14, "fragment", Purpose::Data),
    (15, "names", Purpose::Ripple),
    (16, "announce", Purpose::Ripple),
    (17, "graft", Purpose::Ripple),
    (18, "prune", Purpose::Ripple),
    (19, "terms", Purpose::Session),
    (30, "words", Purpose::Status),
];

/// A transaction as written.
pub(crate) const PUSH: u16 = 10;

#[cfg(test)]
mod tests {
    use millpond_core::wire::kind as wire;

    use super::*;

    #[test]
    fn kinds_are_called_what_they_are() {
        let called = |kind| describe(kind).0;
        assert_eq!(called(wire::HELLO), "hello");
        assert_eq!(called(wire::ROWS), "rows");
        assert_eq!(called(wire::PUSH), "push");
        assert_eq!(called(wire::DIGEST), "digest");
        assert_eq!(called(wire::ACK), "ack");
        assert_eq!(called(wire::FRAGMENT), "fragment");
        assert_eq!(called(wire::WORDS), "words");
        assert_eq!(called(999), "999");
    }

    #[test]
    fn frames_are_counted_since_some_time() {
        let mut counted = ByKind::default();
        counted.count(&Bytes::from_static(&[12, 0, 2, 3]));
        let earlier = counted.clone();
        counted.count(&Bytes::from_static(&[12, 0, 2, 3, 4]));
        let since = counted.since(&earlier);
        assert_eq!((since.len(), since[0].messages, since[0].bytes), (1, 1, 5));
        assert_eq!(bytes_for(&since, Purpose::Status), 5);
        assert_eq!(bytes_for(&since, Purpose::Ripple), 0);
    }
}
