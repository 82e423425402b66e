//! What moves over the links is counted by peer and, of what is pushed, by origin.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;

use millpond_core::Incarnation;
use millpond_core::message::Message;
use millpond_core::wire::PushFrame;

use super::peer::Peer;
use crate::planted::planted;
use crate::status::{Amount, ControlBytes, LinkCounters, Moved, OriginCounters};

/// What moved over the links to a peer. Most members of a large mesh are never linked, and cost a pointer.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters(Option<Box<LinkCounters>>);

impl Deref for Counters {
    type Target = LinkCounters;

    fn deref(&self) -> &LinkCounters {
        static NOTHING: LazyLock<LinkCounters> = LazyLock::new(LinkCounters::default);
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for Counters {
    fn deref_mut(&mut self) -> &mut LinkCounters {
        self.0.get_or_insert_default()
    }
}

/// Counters of what a peer sent and was sent, by origin.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<Incarnation, OriginCounters>);

impl Peer {
    /// Counts what became of a push.
    pub(super) fn count(&mut self, moved: Moved, push: &PushFrame) {
        self.count_amount(moved, push.origin(), amount(push));
    }

    /// The same of a push that is not at hand any more.
    pub(super) fn count_amount(&mut self, moved: Moved, origin: Incarnation, amount: Amount) {
        self.counters.count(moved, amount);
        self.origins.count(moved, origin, amount);
    }
}

impl Origins {
    fn count(&mut self, moved: Moved, origin: Incarnation, amount: Amount) {
        let has_room = self.0.len() < ORIGINS_MAX || planted!("counters by origin are few");
        if has_room || self.0.contains_key(&origin) {
            self.0.entry(origin).or_default().count(moved, amount);
        }
    }

    /// The origins of which something was counted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Incarnation, &OriginCounters)> {
        self.0.iter().map(|(&origin, counters)| (origin, counters))
    }
}

/// What a push amounts to.
pub(super) fn amount(push: &PushFrame) -> Amount {
    Amount { rows: push.len() as u64, bytes: push.payload_bytes() as u64 }
}

/// Counts the frames of a message that carries no data, by what it is for.
pub(super) fn count_control(control: &mut ControlBytes, message: &Message, bytes: u64) {
    let counter = match message {
        Message::Push(_) | Message::Rows(_) => return,
        Message::Announce(_) => &mut control.announce,
        Message::Graft { .. } => &mut control.graft,
        Message::Prune { .. } => &mut control.prune,
        Message::Ack(_) => &mut control.ack,
        Message::Digest(_) => &mut control.heartbeat,
        Message::Credit(_) => &mut control.credit,
        _ => &mut control.other,
    };
    *counter += bytes;
}

/// Origins counted for each peer: of more, what is pushed is counted by peer only. A peer can name as many as
/// it likes.
const ORIGINS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::without;

    fn origins_after_a_flood() -> usize {
        let mut peer = Peer::default();
        for number in 0..2 * ORIGINS_MAX as u128 {
            let origin = Incarnation::from_bytes(number.to_be_bytes());
            peer.count_amount(Moved::Received, origin, Amount { rows: 1, bytes: 10 });
        }
        assert_eq!(peer.counters.rows_received, 2 * ORIGINS_MAX as u64);
        peer.origins.iter().count()
    }

    #[test]
    fn a_peer_cannot_make_counters_grow_without_end() {
        assert_eq!(origins_after_a_flood(), ORIGINS_MAX);
        let flood = without(&["counters by origin are few"], origins_after_a_flood);
        assert_eq!(flood, 2 * ORIGINS_MAX, "nothing was taken out");
    }
}
