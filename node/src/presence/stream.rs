//! A stream of how the other members are.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use millpond_core::NodeKey;
use tokio::sync::mpsc;

use crate::Replica;
use crate::status::{Lag, PeerState, PeerStatus};

/// Follows how the other members are: first each of them as it is, then what changes. A slow reader skips states
/// in between and misses no member; nothing grows meanwhile. It ends when the replica is closed; dropping it ends
/// it.
#[derive(Debug)]
pub struct Presence {
    inbox: mpsc::Receiver<PresenceEvent>,
}

/// What became of a member.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PresenceEvent {
    /// It is new here, or its state, its link or its lag has changed: as it is now.
    Peer(PresentPeer),
    /// It is no member any more.
    Gone(NodeKey),
}

/// A member as seen from here.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PresentPeer {
    /// Its key.
    pub key: NodeKey,
    /// Its name; the first digits of the key while unknown.
    pub name: String,
    /// What it is doing.
    pub state: PeerState,
    /// Whether there is a link to it.
    pub is_linked: bool,
    /// What this node has and it has not; absent while unknown.
    pub they_lack: Option<Lag>,
    /// What it has and this node has not; absent while unknown.
    pub we_lack: Option<Lag>,
}

impl Replica {
    /// Follows how the other members are.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn presence(&self) -> Presence {
        let (outbox, inbox) = mpsc::channel(EVENTS_AHEAD);
        tokio::spawn(watch(self.clone(), outbox));
        Presence { inbox }
    }
}

impl Presence {
    /// What comes next; `None` once the replica is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<PresenceEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Presence {
    type Item = PresenceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_recv(cx)
    }
}

impl PresentPeer {
    fn of(status: PeerStatus) -> Option<Self> {
        Some(Self {
            key: status.key.parse().ok()?,
            name: status.name,
            state: status.state,
            is_linked: status.link.is_some(),
            they_lack: status.they_lack,
            we_lack: status.we_lack,
        })
    }
}

/// Tells the reader what differs from what it was told, until it or the replica is gone.
async fn watch(replica: Replica, outbox: mpsc::Sender<PresenceEvent>) {
    let mut told: BTreeMap<NodeKey, PresentPeer> = BTreeMap::new();
    let Some(mut sight) = replica.sight().await else { return };
    loop {
        sight.borrow_and_update();
        let status = replica.status().await;
        // Of a replica that is closed nothing is known: that is no member's end.
        if replica.is_closed() {
            return;
        }
        let now = status.peers.into_iter().filter_map(PresentPeer::of);
        let now: BTreeMap<NodeKey, PresentPeer> = now.map(|peer| (peer.key, peer)).collect();
        let gone =
            told.keys().filter(|key| !now.contains_key(key)).map(|&key| PresenceEvent::Gone(key));
        let changed = now.values().filter(|peer| told.get(&peer.key) != Some(peer));
        let changed = changed.cloned().map(PresenceEvent::Peer);
        for event in gone.chain(changed).collect::<Vec<_>>() {
            if outbox.send(event).await.is_err() {
                return;
            }
        }
        told = now;
        // A busy mesh changes with each frame: a reader wants to see it, not to follow every number.
        tokio::select! {
            () = outbox.closed() => return,
            () = tokio::time::sleep(SPACING) => {}
        }
        tokio::select! {
            () = outbox.closed() => return,
            changed = sight.changed() => if changed.is_err() { return },
            // Ages grow, and links end, while nothing arrives.
            () = tokio::time::sleep(AGING) => {}
        }
    }
}

/// Events that may wait for the reader.
const EVENTS_AHEAD: usize = 16;
/// What a person takes for at once.
const SPACING: Duration = Duration::from_millis(100);
/// How often it is looked what became of time alone.
const AGING: Duration = Duration::from_millis(500);
