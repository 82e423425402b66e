//! Relayed words: what members that are not linked with each other learn of each other's disks.
//!
//! Tombstones wait for the word of each member (R8), and in a chain or a partial view most members are linked
//! with few. So behind each digest a node tells its peer the latest words of those that the peer is not linked
//! with: each as the entries in which it differs from what the digest has just told, mostly none. It tells what
//! is news to the peer, or shows that a member has lived on, and not more than [`RELAYED_BYTES_PER_S`] in all
//! (S14): with many members each comes in its turn, the one first of which the peer knows least.
//!
//! A word travels one link for each digest, with the age that it has. Ages are by the clocks of those on the
//! way; they lack the time that frames are under way.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::limits::MEMBERS_NUMBERED_MAX;
use millpond_core::message::{CloseCode, Differing, Linked, Message, RelayedWord};
use millpond_core::transport::Lane;
use millpond_core::{Boot, Dot, Incarnation, Namespace, NodeKey, Seq, VersionVector};

use super::LinkId;
use super::engine::{Engine, NAMESPACES};
use super::link::Link;
use super::names::NAMED_AT_ONCE;
use super::words::{Said, Word};
use crate::planted::planted;
use crate::probes::{never, sometimes};

/// What the two ends of a link have told each other of third parties.
#[derive(Debug, Default)]
pub(super) struct Relaying {
    /// Numbers that this node has given to members, with the boot that it has last told of each.
    said: BTreeMap<NodeKey, (u32, Option<Boot>)>,
    /// Members by the numbers that the peer has given, with the boot that it has last told.
    heard: Vec<(NodeKey, Option<Boot>)>,
    /// Whom the peer is linked with. Before it has said so it is told of nobody.
    peer_links: Option<LinkedWith>,
    /// Whom the peer was told that this node is linked with.
    told_links: Option<LinkedWith>,
    /// What the peer knows of each member, as it was told on this link or has told itself.
    known: BTreeMap<NodeKey, Known>,
}

/// Whom a node is linked with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LinkedWith {
    is_all_but: bool,
    members: BTreeSet<NodeKey>,
}

/// What a peer knows of a member.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// When the member said it, by this node's clock.
    said_ms: i64,
    /// What it said, if that is known.
    hash: Option<u64>,
}

/// The entries of one namespace that differ.
type Unnumbered = (Namespace, Vec<(Incarnation, Option<Seq>)>);

/// A word that a peer is to be told.
struct Due {
    key: NodeKey,
    said: Said,
    differs: Option<Vec<Unnumbered>>,
}

impl LinkedWith {
    fn contains(&self, key: NodeKey) -> bool {
        self.members.contains(&key) != self.is_all_but
    }
}

impl Relaying {
    /// Whether so many members more can have numbers.
    fn has_room_for(&self, keys: &[NodeKey]) -> bool {
        let fresh = keys.iter().filter(|key| !self.said.contains_key(key)).count();
        self.said.len() + fresh <= MEMBERS_NUMBERED_MAX
    }

    /// Gives those numbers that have none, and says which they are.
    fn number(&mut self, keys: &[NodeKey]) -> (u32, Vec<NodeKey>) {
        let first = self.said.len() as u32;
        let mut fresh = Vec::new();
        for &key in keys {
            let next = self.said.len() as u32;
            self.said.entry(key).or_insert_with(|| {
                fresh.push(key);
                (next, None)
            });
        }
        (first, fresh)
    }

    /// About how many bytes it takes to say whose word it is, and of which boot.
    fn naming_bytes(&self, due: &Due) -> u64 {
        match self.said.get(&due.key) {
            None => KEY_BYTES + BOOT_BYTES,
            Some((_, boot)) if *boot != Some(due.said.boot) => BOOT_BYTES,
            Some(_) => 0,
        }
    }

    /// The peer knows what a member said then.
    fn note_known(&mut self, key: NodeKey, said_ms: i64, hash: Option<u64>) {
        let known = self.known.entry(key).or_insert(Known { said_ms, hash });
        if known.said_ms <= said_ms {
            *known = Known { said_ms, hash: hash.or(known.hash) };
        }
    }
}

impl Engine {
    /// Tells a peer, which has just got a digest, what members have that it is not linked with.
    pub(super) fn send_words(&mut self, link_id: LinkId) {
        if planted!("words of third parties are relayed") {
            return;
        }
        let own_links = self.linked_with();
        let mut due = self.words_due(link_id);
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let is_news = link.relaying.told_links.as_ref() != Some(&own_links);
        // Half of the members of the largest mesh that is foreseen are more than a node links with.
        let linked =
            Some(own_links).filter(|it| is_news && it.members.len() <= MEMBERS_NUMBERED_MAX / 2);
        if linked.is_none() && due.is_empty() {
            return;
        }
        let mut keys: Vec<NodeKey> = linked.iter().flat_map(|it| &it.members).copied().collect();
        keys.extend(due.iter().map(|due| due.key));
        if !link.relaying.has_room_for(&keys) {
            link.relaying.said.clear();
        }
        let (first, members) = link.relaying.number(&keys);
        let number = |relaying: &Relaying, key: &NodeKey| relaying.said[key].0;
        let mut words = millpond_core::message::Words { first, members, ..Default::default() };
        if let Some(linked) = linked {
            let mut numbers: Vec<u32> =
                linked.members.iter().map(|key| number(&link.relaying, key)).collect();
            numbers.sort_unstable();
            words.linked = Some(Linked { is_all_but: linked.is_all_but, members: numbers });
            link.relaying.told_links = Some(linked);
        }
        due.sort_by_key(|due| number(&link.relaying, &due.key));
        let named: BTreeSet<Incarnation> = due.iter().flat_map(Due::named).collect();
        let named: Vec<Incarnation> = named.into_iter().collect();
        let numbers = self.number(link_id, &named);
        let numbers: BTreeMap<Incarnation, u32> = named.into_iter().zip(numbers).collect();
        let now_ms = self.now.mono_ms as i64;
        let Some(link) = self.links.get_mut(&link_id) else { return };
        for Due { key, said, differs } in due {
            sometimes!(WordRelayed);
            link.relaying.note_known(key, said.ms, Some(said.hash));
            let (member, boot) = link.relaying.said.get_mut(&key).expect("it was just numbered");
            let is_news = boot.replace(said.boot) != Some(said.boot);
            words.words.push(RelayedWord {
                member: *member,
                boot: is_news.then_some(said.boot),
                age_ms: now_ms.saturating_sub(said.ms).max(0) as u64,
                differs: differs
                    .map(|it| it.into_iter().map(|it| as_numbered(it, &numbers)).collect()),
            });
        }
        self.send(link_id, Lane::Control, &Message::Words(words));
    }

    /// Whom this node is linked with, in the shorter way.
    fn linked_with(&self) -> LinkedWith {
        let open = self.links.values().filter(|link| link.is_open()).map(|link| link.peer);
        let open: BTreeSet<NodeKey> = open.collect();
        let (linked, others): (BTreeSet<NodeKey>, BTreeSet<NodeKey>) =
            self.others().map(|(key, _)| key).partition(|key| open.contains(key));
        match others.len() < linked.len() {
            true => LinkedWith { is_all_but: true, members: others },
            false => LinkedWith { is_all_but: false, members: linked },
        }
    }

    /// What a peer is to be told now: what it knows least of comes first.
    fn words_due(&self, link_id: LinkId) -> Vec<Due> {
        let Some(link) = self.links.get(&link_id) else { return Vec::new() };
        let Some(peer_links) = &link.relaying.peer_links else { return Vec::new() };
        let lives_ms = (LIFE_DIGESTS * self.config.digest_ms) as i64;
        let is_told = |key: NodeKey| {
            key != link.peer
                && (!peer_links.contains(key)
                    || planted!("who is linked with a member is not told of it"))
        };
        let news = self.others().filter(|(key, _)| is_told(*key)).filter_map(|(key, peer)| {
            let said = peer.words.said()?;
            let known = link.relaying.known.get(&key);
            let news_ms = known.map_or(i64::MAX, |known| said.ms.saturating_sub(known.said_ms));
            let is_changed = known.is_none_or(|known| known.hash != Some(said.hash));
            let is_news = news_ms > 0 && (is_changed || news_ms >= lives_ms);
            is_news.then_some((key, said, news_ms, &peer.words))
        });
        let mut due: Vec<_> = news.collect();
        due.sort_by_key(|&(key, _, news_ms, _)| (std::cmp::Reverse(news_ms), key));
        let open = self.links.values().filter(|link| link.is_open()).count().max(1) as u64;
        let mut bytes = RELAYED_BYTES_PER_S * self.config.digest_ms / 1_000 / open;
        let mut entries = NAMED_AT_ONCE;
        let mut taken: Vec<Due> = Vec::new();
        for (key, said, _, words) in due {
            let differs = words.latest().and_then(|word| differing(link, word));
            let due = Due { key, said, differs };
            let (count, size) =
                (due.named().count(), due.bytes() + link.relaying.naming_bytes(&due));
            if !taken.is_empty() && (size > bytes || count > entries) {
                sometimes!(WordWaits);
                break;
            }
            (bytes, entries) = (bytes.saturating_sub(size), entries.saturating_sub(count));
            taken.push(due);
        }
        taken
    }

    /// A peer tells what members have.
    pub(super) fn words(&mut self, link_id: LinkId, said: millpond_core::message::Words) {
        let Some(link) = self.links.get_mut(&link_id) else { return };
        let heard = &mut link.relaying.heard;
        if said.first == 0 {
            heard.clear();
        }
        let count = heard.len() + said.members.len();
        if said.first as usize != heard.len() || count > MEMBERS_NUMBERED_MAX {
            never!("numbers members out of turn");
            return self.close(link_id, CloseCode::Protocol, "members numbered out of turn");
        }
        heard.extend(said.members.into_iter().map(|key| (key, None)));
        if let Some(Linked { is_all_but, members }) = said.linked {
            let key = |number: &u32| heard.get(*number as usize).map(|(key, _)| *key);
            let Some(members) = members.iter().map(key).collect() else {
                return self.close_unnumbered(link_id);
            };
            link.relaying.peer_links = Some(LinkedWith { is_all_but, members });
        }
        for word in said.words {
            let Some(link) = self.links.get_mut(&link_id) else { return };
            let heard = link.relaying.heard.get_mut(word.member as usize);
            let Some((key, boot, before)) =
                heard.map(|(key, boot)| (*key, word.boot.or(*boot), boot))
            else {
                return self.close_unnumbered(link_id);
            };
            *before = boot;
            let Some(boot) = boot else { return self.close_unnumbered(link_id) };
            let vectors = match &word.differs {
                None => None,
                Some(differs) => match self.told_vectors(link_id, differs) {
                    Some(vectors) => Some(vectors),
                    None => return self.close_unnumbered(link_id),
                },
            };
            self.hear_of(link_id, key, (boot, word.age_ms), vectors);
        }
    }

    fn close_unnumbered(&mut self, link_id: LinkId) {
        never!("tells of a member that it has given no number");
        self.close(link_id, CloseCode::Protocol, "a number that stands for no member");
    }

    /// The vectors that differ so from what the peer's digest has told; `None` if a number stands for nobody.
    fn told_vectors(&self, link_id: LinkId, differs: &[Differing]) -> Option<Word> {
        let link = self.links.get(&link_id)?;
        let mut word = self.peers.get(&link.peer)?.words.latest().cloned().unwrap_or_default();
        for (namespace, entries) in differs {
            for &(number, seq) in entries {
                let incarnation = *link.names_heard.get(number as usize)?;
                let Some(vv) = word.0.get_mut(namespace) else { continue };
                vv.remove(incarnation);
                seq.into_iter().for_each(|seq| vv.advance(Dot::new(incarnation, seq)));
            }
        }
        Some(word)
    }

    /// A peer tells of a member.
    fn hear_of(
        &mut self,
        link_id: LinkId,
        key: NodeKey,
        (boot, age_ms): (Boot, u64),
        word: Option<Word>,
    ) {
        let is_linked = self.links.values().any(|link| link.peer == key && link.is_open());
        let Some(link) = self.links.get_mut(&link_id) else { return };
        // Without the digest before it is not known what the word is relative to.
        if link.doubts > 0 || key == self.config.key || self.members.get(key).is_none() {
            return;
        }
        let now_ms = self.now.mono_ms as i64;
        let age_ms = match planted!("a relayed word has the age that is told") {
            true => 0,
            false => i64::try_from(age_ms).unwrap_or(i64::MAX),
        };
        let said_ms = now_ms.saturating_sub(age_ms);
        link.relaying.note_known(key, said_ms, word.as_ref().map(Word::hash));
        // Its own word is the better one.
        if !is_linked {
            sometimes!(WordHeardOf);
            let peer = self.peer_mut(key);
            peer.is_unsaved |= peer.words.hear_of(boot, word, said_ms);
            self.concerns.look_again();
        }
    }
}

impl Due {
    /// The incarnations that it names.
    fn named(&self) -> impl Iterator<Item = Incarnation> {
        self.differs.iter().flatten().flat_map(|(_, entries)| entries.iter().map(|(it, _)| *it))
    }

    /// About how many bytes it takes.
    fn bytes(&self) -> u64 {
        WORD_BYTES + ENTRY_BYTES * self.named().count() as u64
    }
}

/// In what a word differs from what a peer was told by the digest; `None` if that is too much to tell.
fn differing(link: &Link, word: &Word) -> Option<Vec<Unnumbered>> {
    static NOTHING: VersionVector = VersionVector::new();
    let mut count = 0;
    let differing = NAMESPACES.into_iter().map(|namespace| {
        let told = link.told.get(&namespace).map_or(&NOTHING, |told| &told.applied);
        let theirs = word.vv(namespace);
        let named: BTreeSet<Incarnation> =
            told.iter().chain(theirs.iter()).map(|dot| dot.incarnation).collect();
        let differing = named.into_iter().filter(|&it| told.seq(it) != theirs.seq(it));
        let entries: Vec<_> = differing.map(|it| (it, Seq::new(theirs.seq(it)))).collect();
        count += entries.len();
        (namespace, entries)
    });
    let differing = differing.filter(|(_, entries)| !entries.is_empty()).collect();
    (count <= NAMED_AT_ONCE).then_some(differing)
}

fn as_numbered(
    (namespace, entries): Unnumbered,
    numbers: &BTreeMap<Incarnation, u32>,
) -> Differing {
    let mut entries: Vec<(u32, Option<Seq>)> =
        entries.into_iter().map(|(incarnation, seq)| (numbers[&incarnation], seq)).collect();
    entries.sort_unstable_by_key(|(number, _)| *number);
    (namespace, entries)
}

/// What a node tells of third parties, over all of its links together.
const RELAYED_BYTES_PER_S: u64 = 256;
/// About what a word takes in which nothing differs, and each entry of it that does.
const WORD_BYTES: u64 = 6;
const ENTRY_BYTES: u64 = 4;
/// What it takes once to name a member, and a boot.
const KEY_BYTES: u64 = 32;
const BOOT_BYTES: u64 = 11;
/// Of a member that has nothing new to say it is told this often that it lives.
const LIFE_DIGESTS: u64 = 3;
