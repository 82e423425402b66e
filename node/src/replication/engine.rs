//! The engine's state, its one entry and its one exit.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use millpond_core::message::{CloseCode, Message};
use millpond_core::transport::Lane;
use millpond_core::wire::{DecodeError, kind};
use millpond_core::{Boot, Domain, Incarnation, Namespace, NodeKey, VersionVector};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::bookmarks::Bookmarks;
use super::closing::Closing;
use super::collecting::{Collecting, Collection};
use super::commit::Pending;
use super::comparing::{Comparing, SessionId};
use super::concerns::Concerns;
use super::counting::count_control;
use super::delaying::Delaying;
use super::fence::Overtaken;
use super::folding::Folding;
use super::inbox::Inbox;
use super::indexing::Building;
use super::link::Link;
use super::peer::Peer;
use super::pulling::{Offer, Pulling};
use super::recalling::Recalling;
use super::refresh_asked::AskedRefresh;
use super::rehab::{Beginning, Recovery};
use super::ring::Ring;
use super::rotating::Rotation;
use super::supply::Supply;
use super::survey::Surveys;
use super::verify_plan::{Verify, VerifySettings};
use super::{Answer, Input, LinkId, Now, Output, RequestId, Token};
use crate::limits::Limits;
use crate::membership::{
    CheckSignature, Invite, InviteBook, KeyChecks, Members, OwnRecord, Records,
};
use crate::planted::planted;
use crate::probes::never;
use crate::state::{Heads, View, meta_key, read_meta};
use crate::status::Totals;
use crate::store::{Store, StoreError};
use crate::topology::settings::Topology;
use crate::topology::tree::Tree;

/// What an engine is told once.
#[derive(Debug, Clone)]
pub(crate) struct EngineConfig {
    /// The key that the node is known by: its first one.
    pub(crate) key: NodeKey,
    /// The key that it shows on its links.
    pub(crate) shows: NodeKey,
    /// What checks the signatures of keys.
    pub(crate) check: CheckSignature,
    /// Its domain.
    pub(crate) domain: Domain,
    /// Its name.
    pub(crate) name: String,
    /// Where it can be dialled.
    pub(crate) addresses: Vec<String>,
    /// The address that it is bound to, for people.
    pub(crate) listen: String,
    /// This opening of the store.
    pub(crate) boot: Boot,
    /// Whether a lease proves that the store continues where its last boot stopped.
    pub(crate) is_continuous: bool,
    /// Whether it proves that the store holds all that it held then.
    pub(crate) is_level: bool,
    /// How long data that came by replication is held back.
    pub(crate) hold_down_ms: u64,
    /// How often digests go out (H).
    pub(crate) digest_ms: u64,
    /// When tombstones are collected.
    pub(crate) collection: Collection,
    /// Whom it links with, and what becomes of data that came by replication.
    pub(crate) topology: Topology,
    /// Where it is.
    pub(crate) region: Option<String>,
    /// What it costs others to receive from it.
    pub(crate) cost: u32,
    /// How long a delayed replica waits before it shows what it has received.
    pub(crate) apply_after_ms: Option<u64>,
    /// Whether one member alone takes writes until an admin says which one, and its name; empty for nobody yet.
    pub(crate) primary: Option<String>,
    /// How far behind its peers it may be and count as ready: for how long, and by how many writes.
    pub(crate) max_lag_ms: u64,
    pub(crate) max_lag_writes: u64,
    /// Sizes that it keeps to.
    pub(crate) limits: Limits,
    /// Whether it refreshes with a peer without being asked to.
    pub(crate) automatic_refresh: bool,
    /// When and how fast it looks through what it holds.
    pub(crate) verify: VerifySettings,
    /// Seed of all randomness.
    pub(crate) seed: [u8; 32],
}

/// The replication engine of one node.
pub(crate) struct Engine {
    pub(super) config: EngineConfig,
    pub(super) store: Arc<dyn Store>,
    pub(super) rng: ChaCha8Rng,
    pub(super) now: Now,
    pub(super) started_ms: u64,
    /// What the system namespace says, and who is a member by that.
    pub(super) records: Records,
    pub(super) members: Members,
    pub(super) member_changes: u64,
    /// Whose incarnations are, on the word of members, while their own records have not arrived.
    pub(super) introduced: BTreeMap<Incarnation, NodeKey>,
    /// As of the latest commit.
    pub(super) heads: Heads,
    /// The incarnation that was ended in this boot, while the store may not have heard of it.
    pub(super) closed: Option<Incarnation>,
    pub(super) fenced: Option<String>,
    /// What is disputed, while it is not issued anew.
    pub(super) overtaken: Option<Overtaken>,
    /// Questions to peers about this node's own writes, and who was asked in this boot.
    pub(super) recalls: BTreeMap<LinkId, Recalling>,
    pub(super) recalled: BTreeSet<NodeKey>,
    /// When the store is told of the fence again, if it had no room.
    pub(super) fence_again_ms: u64,
    /// When it shows what it has received, if it is a delayed replica.
    pub(super) delaying: Delaying,
    /// How far behind it is.
    pub(super) recovery: Recovery,
    /// The invite that this node came with, until it is a member.
    pub(super) joining: Option<Invite>,
    pub(super) invites: InviteBook,
    /// Whether it is being noted that this node joins another domain.
    pub(super) is_entering: bool,
    /// What this run has recorded of its own node.
    pub(super) told_self: Option<OwnRecord>,
    /// What this node is doing about its own keys.
    pub(super) rotation: Rotation,
    /// Members that have shown, and proven, a later key of theirs than the records tell.
    pub(super) proven: BTreeMap<NodeKey, NodeKey>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) peers: BTreeMap<NodeKey, Peer>,
    /// Peers that this node wants a link to, and has none.
    pub(super) wanted: BTreeSet<NodeKey>,
    /// Until when the dials of absent members are used up, each of them its share of time.
    pub(super) redials_until_ms: u64,
    pub(super) ring: Ring,
    pub(super) inboxes: BTreeMap<Namespace, Inbox>,
    /// From whom this node takes what.
    pub(super) trees: BTreeMap<Namespace, Tree>,
    /// Since when a peer is known to have something of an origin that this node lacks, with no progress.
    pub(super) lacking: BTreeMap<(Namespace, Incarnation), u64>,
    pub(super) pulls: BTreeMap<Namespace, Pulling>,
    pub(super) folding: BTreeMap<Namespace, Folding>,
    pub(super) building: Building,
    /// When to look again at what is lacking.
    pub(super) pull_retry_ms: u64,
    pub(super) supplies: BTreeMap<(LinkId, u64), Supply>,
    pub(super) collecting: Collecting,
    /// What is closed, and what has yet to be.
    pub(super) closing: Closing,
    /// Comparisons with peers.
    pub(super) comparisons: BTreeMap<SessionId, Comparing>,
    /// Whether what is here is what should be.
    pub(super) verify: Verify,
    /// Who waits for a refresh, or for what one would do.
    pub(super) asked_refreshes: Vec<AskedRefresh>,
    pub(super) jobs: BTreeMap<Token, Pending>,
    pub(super) next_token: u64,
    pub(super) next_transfer: u64,
    pub(super) save_peers_at_ms: u64,
    /// Who waits for acks.
    pub(super) concerns: Concerns,
    /// Who waits for what it has seen elsewhere.
    pub(super) bookmarks: Bookmarks,
    /// Whether a peer waits for an ack, and there may be one.
    pub(super) owes_acks: bool,
    pub(super) totals: Totals,
    pub(super) surveys: Surveys,
    pub(super) outputs: VecDeque<Output>,
    /// When the next deadline is, if nothing has changed since it was asked for.
    deadline_ms: Cell<Option<u64>>,
}

impl Engine {
    /// An engine over a store that holds an identity.
    ///
    /// # Errors
    /// Any [`StoreError`] of reading what the store remembers.
    pub(crate) fn new(
        config: EngineConfig,
        store: Arc<dyn Store>,
        now: Now,
    ) -> Result<Self, StoreError> {
        let mut engine = Self::load(config, store, now)?;
        engine.check_continuity();
        engine.recovery.is_unproven = !engine.config.is_level;
        engine.check_rehab_soon();
        engine.reissue();
        engine.drop_retired();
        engine.members_changed();
        Ok(engine)
    }

    /// An engine that has done nothing yet.
    pub(super) fn load(
        config: EngineConfig,
        store: Arc<dyn Store>,
        now: Now,
    ) -> Result<Self, StoreError> {
        let snapshot = store.snapshot()?;
        let heads = Heads::load(&*snapshot)?;
        let view = View::new(snapshot.clone(), Namespace::SYSTEM)?;
        let checks = KeyChecks { domain: config.domain, check: config.check, known: None };
        let records = Records::read(&view)?;
        let members = Members::of(&records, &checks);
        let joining = read_meta(&*snapshot, &meta_key::pending_invite())?;
        let held: Option<Beginning> = read_meta(&*snapshot, &meta_key::rehab())?;
        let beginning = held.or(joining.as_ref().map(|_: &Invite| Beginning::Fresh));
        let mut engine = Self {
            rng: ChaCha8Rng::from_seed(config.seed),
            started_ms: now.mono_ms,
            now,
            closing: Closing::new(members.closed().clone(), now.mono_ms),
            records,
            members,
            member_changes: 0,
            introduced: read_meta(&*snapshot, &meta_key::introduced())?.unwrap_or_default(),
            closed: None,
            fenced: read_meta(&*snapshot, &meta_key::fenced())?,
            overtaken: read_meta(&*snapshot, &meta_key::overtaken())?,
            recalls: BTreeMap::new(),
            recalled: BTreeSet::new(),
            fence_again_ms: u64::MAX,
            delaying: Delaying::new(&heads, now.wall_ms),
            recovery: Recovery::new(beginning),
            joining,
            invites: InviteBook::read(&*snapshot)?,
            is_entering: false,
            told_self: None,
            rotation: Rotation::default(),
            proven: BTreeMap::new(),
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            wanted: BTreeSet::new(),
            redials_until_ms: 0,
            ring: Ring::new(config.limits.ring_bytes),
            inboxes: BTreeMap::new(),
            trees: BTreeMap::new(),
            lacking: BTreeMap::new(),
            pulls: BTreeMap::new(),
            folding: BTreeMap::new(),
            building: Building::new(config.limits.fold_rows),
            pull_retry_ms: u64::MAX,
            supplies: BTreeMap::new(),
            collecting: Collecting::new(now.mono_ms),
            comparisons: BTreeMap::new(),
            verify: Verify::new(config.verify, now),
            asked_refreshes: Vec::new(),
            jobs: BTreeMap::new(),
            next_token: 0,
            next_transfer: 0,
            save_peers_at_ms: 0,
            concerns: Concerns::default(),
            bookmarks: Bookmarks::default(),
            owes_acks: false,
            totals: Totals::default(),
            surveys: Surveys::default(),
            outputs: VecDeque::new(),
            deadline_ms: Cell::new(None),
            heads,
            config,
            store,
        };
        for namespace in NAMESPACES {
            let vv = engine.heads.vv(namespace).clone();
            engine.ring.raise_base(namespace, &vv);
            let mut inbox = Inbox::new(engine.config.limits.waiting_bytes);
            inbox.advance(&vv);
            engine.inboxes.insert(namespace, inbox);
        }
        engine.remember_peers(&*snapshot)?;
        Ok(engine)
    }

    /// Takes one input. Never fails and never panics on what a peer sends: a bad frame ends its link.
    pub(crate) fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        // Nothing else changes while there was room for more before.
        if let Input::Sent { link, lane, bytes } = input {
            let had_room = self.has_room(link);
            self.sent(link, lane, bytes);
            if had_room {
                return;
            }
        }
        let is_due = self.deadline_ms.take().is_none_or(|deadline_ms| deadline_ms <= now.mono_ms);
        match input {
            Input::LinkUp { link, peer, dialed, remote } => {
                self.link_up(link, peer, dialed, remote);
            }
            Input::Frame { link, lane, frame } => self.frame(link, lane, frame),
            Input::LinkDown { link, peer, code, reason, stats } => {
                let held = self.links.get(&link).map(|link| link.peer);
                let peer = held.unwrap_or_else(|| self.members.whose(peer));
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.counters.wire_bytes_sent += stats.wire_bytes_sent;
                    peer.counters.wire_bytes_received += stats.wire_bytes_received;
                }
                self.link_down(link, code, reason);
            }
            Input::KeyShown(shown) => self.key_shown(shown),
            Input::Listens(addresses) => self.listens(addresses),
            Input::DialFailed { peer, reason } => self.dial_failed(peer, reason),
            Input::Shown { vv } => self.emit(Output::Shown { vv }),
            Input::Committed { results, heads } => self.committed(results, *heads),
            Input::Request { id, request } => self.request(id, request),
            Input::RoundTrip { link, us } => self.round_trip(link, us),
            Input::Timer | Input::Sent { .. } => {}
            Input::Continue => {
                self.step_supplies();
                self.step_comparisons();
                self.step_takeovers();
                self.step_absences();
            }
        }
        if is_due {
            self.run_deadlines();
        }
        self.pump_feeds();
        self.run_announcements();
        self.submit_received();
        self.run_folds();
        self.run_building();
        self.run_hurried_acks();
        self.settle_concerns();
    }

    /// What the engine wants done next; `None` when it wants nothing more for now.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to come back with [`Input::Timer`], in monotonic milliseconds.
    pub(crate) fn next_deadline(&self) -> u64 {
        let known = self.deadline_ms.get();
        let deadline_ms = known.unwrap_or_else(|| self.find_deadline_ms());
        self.deadline_ms.set(Some(deadline_ms));
        deadline_ms
    }

    /// Whether [`Input::Continue`] would do something now.
    pub(crate) fn has_work(&self) -> bool {
        self.supplies
            .keys()
            .any(|(link, _)| self.links.get(link).is_some_and(|link| link.has_room_for_rows()))
            || self.has_comparisons_to_step()
            || self.has_takeovers_to_step()
            || self.has_absences_to_step()
    }

    /// Whether a lease of a store at these heads may be written: it says that this boot's store is the one
    /// that continues. A store that has not yet heard that its incarnation has ended would give a proof to the
    /// next boot.
    pub(crate) fn may_write_lease(&self, heads: &Heads) -> bool {
        let is_ended = heads.open.is_some() && heads.open == self.closed;
        !is_ended || planted!("a lease is not of an ended incarnation")
    }

    /// Whether the store holds whatever it has ever held: it did when it was opened, or has caught up since.
    pub(crate) fn is_level(&self) -> bool {
        !self.recovery.is_unproven
    }

    /// How often the members have changed, perhaps.
    pub(crate) fn member_changes(&self) -> u64 {
        self.member_changes
    }

    /// The keys that members show.
    pub(crate) fn member_keys(&self) -> Vec<NodeKey> {
        self.members.iter().flat_map(|(member, _)| self.keys_to_dial(member)).collect()
    }

    /// Whether this node holds an invite and is no member yet.
    pub(crate) fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    /// Whether more may be handed to both lanes of a link.
    pub(crate) fn has_room(&self, link: LinkId) -> bool {
        let link = self.links.get(&link);
        link.is_none_or(|link| link.has_room_for_push() && link.has_room_for_rows())
    }

    fn sent(&mut self, link: LinkId, lane: Lane, bytes: usize) {
        if let Some(link) = self.links.get_mut(&link) {
            let unsent = link.unsent(lane);
            *unsent = unsent.saturating_sub(bytes);
        }
    }

    fn frame(&mut self, link_id: LinkId, lane: Lane, frame: Bytes) {
        let now_ms = self.now.mono_ms;
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let peer = self.peers.entry(link.peer).or_default();
        peer.seen_ms = Some(now_ms);
        if link.boot.is_some() && link.boot == peer.boot {
            peer.boot_seen_ms = now_ms;
        }
        peer.counters.frame_bytes_received += frame.len() as u64;
        self.trees.values_mut().for_each(|tree| tree.heard(link_id));
        let known = match is_of_kind(&frame, kind::CLOSED) {
            true => self.closing.known(link),
            false => Vec::new(),
        };
        match link.decoder(lane).decode_knowing(frame, &known) {
            Ok(Some(message)) => self.message(link_id, lane, message),
            Err(DecodeError::UnknownTable) if self.wants_table(link_id) => {}
            // A stranger gets one frame: it may not make this node put a larger message together.
            Ok(None)
                if !self.links[&link_id].is_open()
                    && !planted!("a stranger's hello is one frame") =>
            {
                never!("greets with a fragment");
                self.close(link_id, CloseCode::Protocol, "the first message must be a whole hello");
            }
            Ok(None) => {}
            Err(error) => {
                never!("sends what cannot be decoded");
                self.close(link_id, CloseCode::Protocol, &error.to_string());
            }
        }
    }

    fn message(&mut self, link_id: LinkId, lane: Lane, message: Message) {
        let Some(link) = self.links.get(&link_id) else { return };
        let message = match message {
            Message::Closed(change) => return self.closed_said(link_id, &change),
            Message::ClosedHeld { hash } => return self.closed_held(link_id, hash),
            Message::Succession(chain) if link.boot.is_none() => {
                return self.succession(link_id, &chain);
            }
            message => message,
        };
        if !link.is_open() && !matches!(message, Message::Hello(_)) {
            never!("speaks before its hello");
            return self.close(link_id, CloseCode::Protocol, "the first message must be a hello");
        }
        match message {
            Message::Hello(hello) => self.hello(link_id, hello),
            Message::Introduce(members) => self.introduce(members),
            Message::Pull(pull) => self.supply(link_id, pull),
            Message::PullStart { transfer, upto, floor, .. }
                if self.is_told_of(link_id, transfer) =>
            {
                self.verified_start(link_id, transfer, (upto, floor));
            }
            Message::Rows(rows) if self.is_told_of(link_id, rows.transfer()) => {
                self.verified_rows(link_id, &rows);
            }
            Message::PullEnd { transfer, .. } if self.is_told_of(link_id, transfer) => {
                self.verified_end(link_id, transfer);
            }
            Message::PullRefused { transfer, .. } if self.is_told_of(link_id, transfer) => {
                self.verified_refused(link_id, transfer);
            }
            Message::PullStart { transfer, upto, rows_estimate, floor } => {
                self.pull_start(link_id, transfer, Offer { upto, floor }, rows_estimate);
            }
            Message::Rows(rows) => self.pull_rows(link_id, rows),
            Message::PullEnd { transfer, .. } => self.pull_end(link_id, transfer),
            Message::PullRefused { transfer, reason } => {
                self.pull_refused(link_id, transfer, reason);
            }
            Message::Feed { namespace, from } => self.start_feed(link_id, namespace, from),
            Message::Behind { namespace } => self.feed_refused(link_id, namespace),
            Message::Push(push) => self.push(link_id, push),
            Message::Digest(hashes) => self.digest(link_id, hashes),
            Message::Names { first, names } => self.names(link_id, first, names),
            Message::Terms(terms) => self.terms(link_id, terms),
            Message::Announce(vectors) => self.announced(link_id, vectors),
            Message::Graft { namespace, after } => self.graft(link_id, namespace, &after),
            Message::Prune { namespace, origins } => self.prune(link_id, namespace, &origins),
            Message::Ack(acks) => self.acks(link_id, acks),
            Message::Hurry { ms } => self.hurried(link_id, ms),
            Message::Credit(credit) => self.credit(link_id, credit),
            Message::Words(words) => self.words(link_id, words),
            Message::Survey { id } => self.survey(link_id, id),
            Message::Surveyed { id, report } => self.surveyed(id, report),
            Message::Compare(compare) => self.compare(link_id, compare),
            Message::CompareAccept { session, vv, floor } => {
                self.compare_accepted(link_id, session, (vv, floor));
            }
            Message::CompareRefused { session, reason } => {
                self.compare_refused(link_id, session, reason);
            }
            Message::Ranges { session, is_last, ranges } => {
                self.ranges(link_id, session, (is_last, ranges));
            }
            Message::PullCompared { session, transfer, resume: _ } => {
                self.supply_compared(link_id, session, transfer);
            }
            Message::Recall { namespace, incarnation, after, upto } => {
                self.tell_recalled(link_id, (namespace, incarnation), (after, upto));
            }
            Message::Recalled { namespace, incarnation, upto: _, writes } => {
                self.recalled(link_id, (namespace, incarnation), &writes);
            }
            unexpected => {
                never!("sends what only a node to come understands");
                tracing::debug!(link = link_id.0, ?lane, ?unexpected, "message ignored");
            }
        }
    }

    /// Encodes a message and hands it to a lane.
    pub(super) fn send(&mut self, link_id: LinkId, lane: Lane, message: &Message) -> usize {
        let Some(link) = self.links.get_mut(&link_id) else { return 0 };
        let mut sent = 0;
        let theirs = self.closing.of(link);
        for frame in link.encode(lane, message, self.closing.current(), theirs.as_ref()) {
            sent += frame.len();
            self.outputs.push_back(Output::Send { link: link_id, lane, frame });
        }
        *link.unsent(lane) += sent;
        let counters = &mut self.peers.entry(link.peer).or_default().counters;
        counters.frame_bytes_sent += sent as u64;
        count_control(&mut counters.control, message, sent as u64);
        sent
    }

    /// Ends a link for a reason that the peer is told, and forgets it here.
    pub(super) fn close(&mut self, link: LinkId, code: CloseCode, reason: &str) {
        if let Some(held) = self.links.get(&link) {
            let peer = held.peer.short();
            tracing::debug!(link = link.0, %peer, ?code, reason, "link closed here");
            self.emit(Output::Close { link, code, reason: reason.into() });
            self.forget_link(link, &format!("closed here: {reason}"));
        }
    }

    pub(super) fn emit(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn answer(&mut self, id: RequestId, answer: Answer) {
        self.emit(Output::Answer { id, answer });
    }

    /// The applied vector of a namespace.
    pub(super) fn applied(&self, namespace: Namespace) -> &VersionVector {
        self.heads.vv(namespace)
    }

    /// Whose an incarnation is, as far as is known.
    pub(super) fn owner(&self, incarnation: Incarnation) -> Option<NodeKey> {
        if self.heads.incarnations.contains(&incarnation) {
            return Some(self.config.key);
        }
        let recorded = self.members.owner(incarnation);
        recorded.or_else(|| self.introduced.get(&incarnation).copied())
    }

    /// The peer that a link leads to.
    pub(super) fn peer_mut(&mut self, key: NodeKey) -> &mut Peer {
        self.peers.entry(key).or_default()
    }

    /// A random number, uniform enough for jitter.
    pub(super) fn random_below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound.max(1)
    }

    /// Sixteen random bytes.
    pub(super) fn random_id(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

/// Whether a frame is of this kind.
fn is_of_kind(frame: &Bytes, kind: u16) -> bool {
    frame.first_chunk() == Some(&kind.to_le_bytes())
}

/// The namespaces of this version, in the order in which they are brought level.
pub(super) const NAMESPACES: [Namespace; 2] = [Namespace::SYSTEM, Namespace::MAIN];
