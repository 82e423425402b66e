//! A link and its flow control.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::message::{Credit, Message, Terms};
use millpond_core::transport::Lane;
use millpond_core::wire::{Decoder, Encoder};
use millpond_core::{Boot, Closed, Incarnation, Namespace, NodeKey, VersionVector};

use super::Remote;
use super::relaying::Relaying;
use crate::planted::planted;
use crate::status::Amount;
use crate::topology::settings::{Direction, Ripple};

/// One connection to a peer, as the engine sees it.
pub(super) struct Link {
    /// The peer, by the key that it is known by.
    pub(super) peer: NodeKey,
    /// The key that it has shown, proven by the transport.
    pub(super) key: NodeKey,
    /// Whether this side dialled.
    pub(super) dialed: bool,
    /// The peer's address, for people.
    pub(super) remote: Remote,
    /// How far the two have got.
    pub(super) phase: Phase,
    /// Dials in turn that had opened no link, when it opened.
    pub(super) attempts_before: u32,
    /// When that phase began.
    pub(super) since_ms: u64,
    /// Whether this side has said hello.
    pub(super) said_hello: bool,
    /// The peer's boot; known once it is open.
    pub(super) boot: Option<Boot>,
    /// Decoders, one for each lane.
    control: Decoder,
    bulk: Decoder,
    /// Encoders, the same.
    control_out: Encoder,
    bulk_out: Encoder,
    /// The peer's table of closed incarnations, by its latest word, and the one that it had when it said hello.
    pub(super) closed_heard: Option<u64>,
    pub(super) closed_greeted: Option<Arc<Closed>>,
    /// One that it has, though it has not said so.
    pub(super) closed_presumed: Option<Arc<Closed>>,
    /// This node's own, as the peer was told last, and before that.
    pub(super) closed_told: VecDeque<Arc<Closed>>,
    /// How many frames were relative to a table that is not known here, or were said again since one was not known
    /// there.
    pub(super) unknown_tables: u32,
    /// Frame bytes that the transport has not yet taken.
    control_unsent: usize,
    bulk_unsent: usize,
    /// Incarnations that the peer knows from this link, on each lane: lanes overtake each other.
    control_introduced: BTreeSet<Incarnation>,
    bulk_introduced: BTreeSet<Incarnation>,
    /// Bytes sent and worked off by the peer, of pushes and rows.
    pub(super) sent: Credit,
    pub(super) granted: Credit,
    /// Bytes received and worked off here, and what the peer was told of that.
    pub(super) consumed: Credit,
    pub(super) told_consumed: Credit,
    /// Live feeds of this node to the peer.
    pub(super) feeds: BTreeMap<Namespace, Feed>,
    /// Namespaces that the peer was asked to feed.
    pub(super) fed: BTreeSet<Namespace>,
    /// Namespaces that the peer cannot feed before this node has pulled.
    pub(super) must_pull: BTreeSet<Namespace>,
    /// From where the peer has refused a catch-up, since it has collected what this node had yet to forget.
    pub(super) below_floor: BTreeMap<Namespace, VersionVector>,
    /// Namespaces of which a cut that broke off cannot be resumed at this peer any more.
    pub(super) not_resumed: BTreeSet<Namespace>,
    /// Namespaces in which the operator wants a refresh with the peer.
    pub(super) refresh_wanted: BTreeSet<Namespace>,
    /// When a refresh may be asked for again.
    pub(super) refresh_after_ms: BTreeMap<Namespace, u64>,
    /// When the peer may be asked for a catch-up again.
    pub(super) pull_after_ms: u64,
    /// Catch-ups from it that came to nothing, one after the other.
    pub(super) pulls_in_vain: u32,
    /// What the peer was told of this node's vectors.
    pub(super) told: BTreeMap<Namespace, Told>,
    /// When the next ack is due, if one is.
    pub(super) ack_due_ms: Option<u64>,
    /// Until when the peer wants acks at once.
    pub(super) hurried_until_ms: u64,
    /// When the peer was last told that acks are wanted at once.
    pub(super) hurry_said_ms: Option<u64>,
    /// When the next digest is due.
    pub(super) digest_due_ms: u64,
    /// What this node's settings say of the peer.
    pub(super) rules: LinkRules,
    /// The round trip, once it is known.
    pub(super) round_trip_us: Option<u64>,
    /// Random: which links are picked beside the nearest.
    pub(super) lot: u64,
    /// Whether this node has picked the link, to announce over it and to be announced to.
    pub(super) is_picked: bool,
    /// What the peer wants and does, once it has said.
    pub(super) terms_heard: Option<Terms>,
    /// What it was told of this node's.
    pub(super) terms_said: Option<Terms>,
    /// Numbers of incarnations: given by this node, and by the peer.
    pub(super) names_said: BTreeMap<Incarnation, u32>,
    pub(super) names_heard: Vec<Incarnation>,
    /// What is to be announced, and before when it is not.
    pub(super) unannounced: BTreeMap<Namespace, VersionVector>,
    pub(super) announce_after_ms: u64,
    /// What was told of third parties.
    pub(super) relaying: Relaying,
    /// Digests in turn that did not agree with what the peer had told.
    pub(super) doubts: u32,
}

/// What a node's settings say of one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LinkRules {
    pub(super) ripple: Ripple,
    pub(super) direction: Direction,
    /// What receiving over it costs.
    pub(super) cost: u32,
    /// Whether a refresh that is needed waits for the operator.
    pub(super) refresh_waits: bool,
}

/// How far a link has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The peer has not said hello.
    Greeting,
    /// The peer redeems an invite; its role is being recorded.
    Joining,
    /// Both have said hello and are welcome.
    Open,
}

/// What a peer was told of this node's vectors of one namespace.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Received, perhaps not yet applied.
    pub(super) received: VersionVector,
    /// Applied, and on disk.
    pub(super) applied: VersionVector,
}

/// A live feed of one namespace to one peer.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// The next position of the ring to look at.
    pub(super) position: u64,
    /// Replicated transactions that the peer may get from elsewhere, by origin, in order.
    pub(super) held: BTreeMap<Incarnation, VecDeque<Held>>,
    /// When the peer last acknowledged something new of an origin.
    pub(super) progress_ms: BTreeMap<Incarnation, u64>,
    /// When the peer is to be told to pull, unless it has by then what a catch-up brought here.
    pub(super) behind_ms: Option<u64>,
    /// What the peer has last asked for, of each origin.
    pub(super) wants: BTreeMap<Incarnation, Want>,
    /// Grafted transactions before `position`, to be sent first.
    pub(super) backlog: BTreeSet<u64>,
}

/// What a peer has asked for of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// All that it writes, at once.
    All,
    /// Nothing: another peer is its source.
    Nothing,
}

/// A replicated transaction, held back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// Where it is in the ring.
    pub(super) position: u64,
    /// The number of its last dot.
    pub(super) last: u64,
    /// What it amounts to.
    pub(super) amount: Amount,
    /// Since when it is held: when it was stored here, or when the feed began.
    pub(super) since_ms: u64,
    /// Whether it was forwarded, and waits for the ack only.
    pub(super) forwarded: bool,
}

impl Link {
    /// A link that has just come up.
    pub(super) fn new(
        peer: NodeKey,
        key: NodeKey,
        dialed: bool,
        remote: Remote,
        now_ms: u64,
    ) -> Self {
        Self {
            peer,
            key,
            dialed,
            remote,
            phase: Phase::Greeting,
            attempts_before: 0,
            since_ms: now_ms,
            said_hello: false,
            boot: None,
            control: Decoder::new(),
            bulk: Decoder::new(),
            control_out: Encoder::new(),
            bulk_out: Encoder::new(),
            closed_heard: None,
            closed_greeted: None,
            closed_presumed: None,
            closed_told: VecDeque::new(),
            unknown_tables: 0,
            control_unsent: 0,
            bulk_unsent: 0,
            control_introduced: BTreeSet::new(),
            bulk_introduced: BTreeSet::new(),
            sent: Credit::default(),
            granted: Credit::default(),
            consumed: Credit::default(),
            told_consumed: Credit::default(),
            feeds: BTreeMap::new(),
            fed: BTreeSet::new(),
            must_pull: BTreeSet::new(),
            below_floor: BTreeMap::new(),
            not_resumed: BTreeSet::new(),
            refresh_wanted: BTreeSet::new(),
            refresh_after_ms: BTreeMap::new(),
            pull_after_ms: 0,
            pulls_in_vain: 0,
            told: BTreeMap::new(),
            ack_due_ms: None,
            hurried_until_ms: 0,
            hurry_said_ms: None,
            digest_due_ms: u64::MAX,
            rules: LinkRules::default(),
            round_trip_us: None,
            lot: 0,
            is_picked: false,
            terms_heard: None,
            terms_said: None,
            names_said: BTreeMap::new(),
            names_heard: Vec::new(),
            unannounced: BTreeMap::new(),
            announce_after_ms: 0,
            relaying: Relaying::default(),
            doubts: 0,
        }
    }

    /// Whether both sides are welcome.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// What the peer wants and does.
    pub(super) fn terms(&self) -> Terms {
        self.terms_heard.unwrap_or_default()
    }

    /// Whether the peer is known to have heard this node's hello: what is said on the bulk lane may come before what
    /// was said on the other one. Who dialed is answered only then, and who accepted hears terms from there.
    pub(super) fn has_greeted(&self) -> bool {
        let is_heard = self.dialed || self.terms_heard.is_some();
        is_heard || planted!("a comparison is asked for behind hello")
    }

    /// Whether the peer announces what it does not send, or would if it were asked to; else it forwards what
    /// this node lacks for long.
    pub(super) fn is_adaptive(&self) -> bool {
        self.terms_heard.is_some_and(|terms| terms.ack_within_ms.is_none())
    }

    /// Whether the peer announces to this node what it does not send. Of one that does so unasked it is not
    /// known.
    pub(super) fn is_announced(&self) -> bool {
        let is_asked = self.terms_said.is_some_and(|terms| terms.wants_announcements);
        is_asked && self.is_adaptive() && self.may_take()
    }

    /// Whether data may be asked for over it.
    pub(super) fn may_take(&self) -> bool {
        self.is_open() && self.terms().serves && self.rules.direction != Direction::Serve
    }

    /// Whether the peer's half of a comparison may be asked for: also if it has yet to catch up, since a refresh
    /// goes both ways.
    pub(super) fn may_take_compared(&self) -> bool {
        let is_in_rehab = self.terms().in_rehab && !planted!("a refresh goes both ways");
        let tells = self.terms().serves || is_in_rehab;
        self.is_open() && tells && self.rules.direction != Direction::Serve
    }

    /// Whether another push may be handed to the control lane.
    pub(super) fn has_room_for_push(&self) -> bool {
        self.control_unsent < CONTROL_UNSENT_BYTES
            && self.sent.push_bytes - self.granted.push_bytes < PUSH_WINDOW_BYTES
    }

    /// Whether more rows may be handed to the bulk lane.
    pub(super) fn has_room_for_rows(&self) -> bool {
        self.bulk_unsent < BULK_UNSENT_BYTES
            && self.sent.rows_bytes - self.granted.rows_bytes < ROWS_WINDOW_BYTES
    }

    /// Whether so much was worked off since the peer was told that it should be told again.
    pub(super) fn owes_credit(&self) -> bool {
        self.consumed.push_bytes - self.told_consumed.push_bytes >= PUSH_WINDOW_BYTES / 4
            || self.consumed.rows_bytes - self.told_consumed.rows_bytes >= ROWS_WINDOW_BYTES / 4
    }

    /// The decoder of a lane.
    pub(super) fn decoder(&mut self, lane: Lane) -> &mut Decoder {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// The frames of a message on a lane, with vectors relative to this table where that is shorter.
    pub(super) fn encode(
        &mut self,
        lane: Lane,
        message: &Message,
        closed: &Arc<Closed>,
        theirs: Option<&Arc<Closed>>,
    ) -> Vec<Bytes> {
        match lane {
            Lane::Control => self.control_out.encode(message, closed, theirs),
            Lane::Bulk => self.bulk_out.encode(message, closed, theirs),
        }
    }

    /// Whether a table was said to the peer.
    pub(super) fn has_said_table(&self) -> bool {
        !self.control_out.said().is_empty()
    }

    /// The peer is told which table this node has.
    pub(super) fn tell_closed(&mut self, closed: &Arc<Closed>) {
        self.closed_told.push_back(closed.clone());
        let kept = if planted!("a table that was told is kept") { 1 } else { CLOSED_TOLD_KEPT };
        if self.closed_told.len() > kept {
            self.closed_told.pop_front();
        }
    }

    /// The peer has understood nothing so far.
    pub(super) fn restart_encoder(&mut self) {
        self.control_out.restart();
    }

    /// Tables that were said to the peer, for whoever reads along.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn tables_said(&self) -> Vec<Arc<Closed>> {
        [&self.control_out, &self.bulk_out].into_iter().flat_map(Encoder::said).collect()
    }

    /// Frame bytes of a lane that the transport has not yet taken.
    pub(super) fn unsent(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Control => &mut self.control_unsent,
            Lane::Bulk => &mut self.bulk_unsent,
        }
    }

    /// Incarnations that were introduced on a lane.
    pub(super) fn introduced(&mut self, lane: Lane) -> &mut BTreeSet<Incarnation> {
        match lane {
            Lane::Control => &mut self.control_introduced,
            Lane::Bulk => &mut self.bulk_introduced,
        }
    }
}

/// How many tables that were told last are kept: what a peer says is relative to the latest that it has heard of, and
/// a slow road brings that late. One is told with a digest at most, so this is several minutes; tables are shared.
const CLOSED_TOLD_KEPT: usize = 64;
/// Unsent bytes beyond which no push is added: a digest waits behind them.
const CONTROL_UNSENT_BYTES: usize = 256 << 10;
/// Unsent bytes beyond which no row is added.
const BULK_UNSENT_BYTES: usize = 256 << 10;
/// Bytes of pushes on their way to a peer or in its inbox.
const PUSH_WINDOW_BYTES: u64 = 8 << 20;
/// Bytes of rows on their way to a peer or in its staging queue.
const ROWS_WINDOW_BYTES: u64 = 8 << 20;
