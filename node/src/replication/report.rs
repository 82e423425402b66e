//! Reports: what the node tells its operator.

use std::ops::ControlFlow;

use millpond_core::{Namespace, NodeKey, VersionVector};

use super::engine::{Engine, NAMESPACES};
use super::link::Link;
use super::peer::Peer;
use super::{LinkId, LinkNow};
use crate::membership::Member;
use crate::state::View;
use crate::status::{
    CatchUp, Folding, Lag, LinkStatus, NamespaceStatus, NodeState, NodeStatus, OriginCounters,
    Pace, PeerState, PeerStatus, Status,
};
use crate::topology::settings::{LinkSettings, Ripple};

impl Engine {
    /// Everything about this node. `links` is what their transports tell of the links.
    pub(super) fn status(
        &self,
        links: &[(LinkId, LinkNow)],
        store_bytes: u64,
        mut warnings: Vec<String>,
    ) -> Status {
        let mut peers: Vec<PeerStatus> = self
            .members
            .iter()
            .filter(|(key, _)| *key != self.config.key)
            .map(|(key, member)| self.peer_status(key, member, links))
            .collect();
        peers.sort_by(|a, b| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
        let mut totals = self.totals;
        totals.verify = self.verify.totals;
        for peer in &peers {
            totals.links.add(&peer.counters);
        }
        warnings.extend(self.warnings());
        let strange = |peer: &&PeerStatus| peer.link.as_ref().is_some_and(|it| it.refresh_needed);
        for peer in peers.iter().filter(strange) {
            let is_it = |link: &&Link| link.peer.to_string() == peer.key;
            let waits = self.links.values().find(is_it).is_some_and(|it| it.rules.refresh_waits);
            let what = match waits {
                true => format!(
                    "; see what it would do: millpond refresh --from {} --dry-run",
                    peer.name
                ),
                false => String::new(),
            };
            warnings.push(format!(
                "{} and this node need a refresh: one of them was absent while the other forgot deletes{what}",
                peer.name
            ));
        }
        let node = self.node_status(store_bytes, &peers);
        let namespaces = NAMESPACES.map(|namespace| self.namespace_status(namespace)).to_vec();
        let sources = self.origin_statuses();
        let pending = self.invites.pending();
        let status = Status::assess(node, peers, sources, namespaces, totals, warnings);
        status.with_pending(pending).with_limits(self.limit_statuses())
    }

    fn node_status(&self, store_bytes: u64, peers: &[PeerStatus]) -> NodeStatus {
        let role = self.members.get(self.config.key).map(|member| member.role.to_string());
        NodeStatus {
            key: self.config.key.to_string(),
            name: self.config.name.clone(),
            domain: self.config.domain.to_string(),
            role: role.unwrap_or_else(|| "joining".into()),
            incarnation: self.heads.open.map(|open| open.to_string()),
            boot: self.config.boot.counter,
            listen: self.config.listen.clone(),
            addresses: self.config.addresses.clone(),
            state_dir: None, // the shell's
            state: self.state(peers),
            rehab: self.rehab(),
            primary: self.primary_status(),
            delayed: self.delay_status(),
            fenced: self.why_fenced(),
            uptime_s: (self.now.mono_ms - self.started_ms) / 1000,
            store_bytes,
            version: env!("CARGO_PKG_VERSION").into(),
            region: self.config.region.clone(),
            cost: self.config.cost,
            topology: self.config.topology.clone(),
            keys: self.key_statuses(),
            tombstones: self.tombstone_status(),
            verify: self.verify_status(),
        }
    }

    fn state(&self, peers: &[PeerStatus]) -> NodeState {
        let lags = |peer: &PeerStatus| peer.we_lack.is_some_and(|lag| !is_fresh(lag));
        match self.rehab() {
            _ if self.fenced.is_some() => NodeState::Fenced,
            Some(_) => NodeState::Rehab,
            None if !self.pulls.is_empty() || peers.iter().any(lags) => NodeState::Lagging,
            None if self.is_delayed() => NodeState::Delayed,
            None => NodeState::Current,
        }
    }

    fn namespace_status(&self, namespace: Namespace) -> NamespaceStatus {
        let vv: std::collections::BTreeMap<String, u64> = self
            .applied(namespace)
            .iter()
            .map(|dot| (dot.incarnation.to_string(), dot.seq.get()))
            .collect();
        NamespaceStatus {
            namespace: namespace.to_string(),
            dots: vv.values().copied().fold(0, u64::saturating_add),
            durable: vv.clone(),
            vv,
            folding: self.fold_status(namespace),
        }
    }

    fn fold_status(&self, namespace: Namespace) -> Option<Folding> {
        let fold = self.heads.folds.get(&namespace)?;
        let rows_expected = fold.rows.max(fold.folded);
        let pace = self.folding.get(&namespace).map(|begun| {
            let done = fold.folded.saturating_sub(begun.folded_before);
            let elapsed_ms = self.now.mono_ms.saturating_sub(begun.since_ms);
            Pace::of(done, elapsed_ms, rows_expected - fold.folded)
        });
        Some(Folding { rows: fold.folded, rows_expected, pace: pace.unwrap_or_default() })
    }

    fn catch_up_status(&self, link: LinkId) -> Option<CatchUp> {
        let (namespace, pull) = self.pulls.iter().find(|(_, pull)| pull.link == link)?;
        let rows_expected = pull.rows_expected.max(pull.rows);
        let elapsed_ms = self.now.mono_ms.saturating_sub(pull.since_ms);
        let done = pull.rows - pull.rows_before;
        Some(CatchUp {
            namespace: namespace.to_string(),
            rows: pull.rows,
            rows_expected,
            pace: Pace::of(done, elapsed_ms, rows_expected - pull.rows),
        })
    }

    fn peer_status(
        &self,
        key: NodeKey,
        member: &Member,
        links: &[(LinkId, LinkNow)],
    ) -> PeerStatus {
        static UNKNOWN: std::sync::LazyLock<Peer> = std::sync::LazyLock::new(Peer::default);
        let peer = self.peers.get(&key).unwrap_or(&UNKNOWN);
        let link = self.links.iter().find(|(_, link)| link.peer == key && link.is_open());
        let they_lack = self.they_lack(peer, link.is_some());
        let we_lack = link.map(|_| self.we_lack(peer));
        let is_fresh = |lag: Option<Lag>| lag.is_some_and(is_fresh);
        let state = match link {
            _ if peer.is_cloned => PeerState::Fenced,
            _ if peer.is_paused => PeerState::Paused,
            Some((_, link)) if link.terms().in_rehab => PeerState::Rehab,
            Some((id, _)) if self.pulls.values().any(|pull| pull.link == *id) => PeerState::Lagging,
            Some(_) if is_fresh(they_lack) && is_fresh(we_lack) => match member.apply_after_ms {
                0 => PeerState::Current,
                _ => PeerState::Delayed,
            },
            Some(_) => PeerState::Lagging,
            None if peer.last_error.is_none() && !member.addresses.is_empty() => {
                PeerState::Connecting
            }
            None => PeerState::Offline,
        };
        let now_ms = self.now.mono_ms;
        let mut counters = *peer.counters;
        if let Some((_, now)) = link.and_then(|(id, _)| links.iter().find(|(it, _)| it == id)) {
            counters.wire_bytes_sent += now.stats.wire_bytes_sent;
            counters.wire_bytes_received += now.stats.wire_bytes_received;
        }
        PeerStatus {
            key: key.to_string(),
            name: self.name_of(key),
            shows: peer.shown.filter(|shown| *shown != key).map(|shown| shown.to_string()),
            role: member.role.to_string(),
            addresses: member.addresses.clone(),
            region: member.region.clone(),
            state,
            they_lack,
            we_lack,
            link: link.map(|(&id, link)| self.link_status(id, link, links)),
            last_seen_s: peer.seen_ms.map(|seen_ms| (now_ms - seen_ms) / 1000),
            last_error: peer.last_error.clone(),
            evicted: peer.evicted,
            counters,
            origins: self.origin_counters(peer),
        }
    }

    fn origin_counters(&self, peer: &Peer) -> Vec<OriginCounters> {
        let named = peer.origins.iter().filter_map(|(incarnation, counters)| {
            Some(OriginCounters {
                origin: self.name_of(self.owner(incarnation)?),
                incarnation: incarnation.to_string(),
                ..counters.clone()
            })
        });
        let mut origins: Vec<OriginCounters> = named.collect();
        origins.sort_by(|a, b| (&a.origin, &a.incarnation).cmp(&(&b.origin, &b.incarnation)));
        origins
    }

    fn link_status(&self, id: LinkId, link: &Link, links: &[(LinkId, LinkNow)]) -> LinkStatus {
        let now = links.iter().find(|(it, _)| *it == id).map(|(_, now)| now);
        LinkStatus {
            transport: link.remote.transport.into(),
            dialed: link.dialed,
            remote_address: now.map_or(&link.remote.address, |now| &now.address).clone(),
            round_trip_us: now.map_or(0, |now| now.stats.round_trip_us),
            up_s: (self.now.mono_ms - link.since_ms) / 1000,
            fed: link.fed.contains(&Namespace::MAIN),
            feeding: link.feeds.contains_key(&Namespace::MAIN),
            catching_up: self.catch_up_status(id),
            cost: link.rules.cost,
            ripple: link.rules.ripple,
            direction: link.rules.direction,
            announcing: self.announces_to(id) && link.rules.ripple == Ripple::Adaptive,
            announced: link.is_announced(),
            refresh_needed: NAMESPACES.into_iter().any(|it| self.needs_refresh_in(id, it)),
        }
    }

    /// What this node has applied and the peer has not, by the peer's last word. Unknown while it has never
    /// spoken; what it said in an earlier run still counts, since it can only have more by now. While it is not linked
    /// others may tell more.
    fn they_lack(&self, peer: &Peer, is_linked: bool) -> Option<Lag> {
        let is_newer = |ms: i64| peer.seen_ms.is_none_or(|seen_ms| ms > seen_ms as i64);
        let told = peer.words.said().filter(|said| !is_linked && is_newer(said.ms));
        let told = told.and(peer.words.latest());
        if told.is_none() && !peer.is_heard && peer.vectors.is_empty() {
            return None;
        }
        let mut lag = Lag { ops: 0, seconds: Some(0.0) };
        for namespace in NAMESPACES {
            let applied = self.applied(namespace);
            let theirs = match told {
                Some(word) => word.vv(namespace),
                None => &peer.vectors(namespace).applied,
            };
            let ops = applied.count_beyond(theirs);
            if ops == 0 {
                continue;
            }
            lag.ops = lag.ops.saturating_add(ops);
            let age = self.oldest_age_s(namespace, applied, theirs);
            lag.seconds = match (lag.seconds, age) {
                (Some(most), Some(age)) => Some(most.max(age)),
                _ => None,
            };
        }
        Some(lag)
    }

    /// What the peer has applied and this node has not: how many is known, how old they are is not.
    fn we_lack(&self, peer: &Peer) -> Lag {
        let ops = NAMESPACES
            .map(|namespace| peer.vectors(namespace).applied.count_beyond(self.applied(namespace)))
            .into_iter()
            .fold(0, u64::saturating_add);
        let since = self.lacking.values().min();
        let age = since.map(|since| (self.now.mono_ms - since) as f64 / 1000.0);
        Lag { ops, seconds: if ops == 0 { Some(0.0) } else { age } }
    }

    /// The age of the oldest dot beyond a vector, by its stamp.
    fn oldest_age_s(
        &self,
        namespace: Namespace,
        applied: &VersionVector,
        theirs: &VersionVector,
    ) -> Option<f64> {
        if self.heads.folds.contains_key(&namespace) {
            // The log does not have all of them yet, and to look through what is staged takes too long.
            return None;
        }
        let view = View::new(self.store.snapshot().ok()?, namespace).ok()?;
        let mut oldest = None;
        for range in applied.beyond(theirs) {
            let mut found = None;
            let _ = view.log(range.incarnation, range.after, range.upto.get(), &mut |dot, row| {
                found = Some((dot, row));
                ControlFlow::Break(())
            });
            let Some((dot, row)) = found else { continue };
            let stamp = row.deleted.or_else(|| {
                let entry = view.entry(&row.path).ok()?;
                entry.live().iter().find(|live| live.dot == dot).map(|live| live.hlc)
            });
            oldest = match (oldest, stamp) {
                (Some(oldest), Some(stamp)) => {
                    Some(std::cmp::min::<millpond_core::Hlc>(oldest, stamp))
                }
                (oldest, stamp) => oldest.or(stamp),
            };
        }
        oldest.map(|stamp| self.now.wall_ms.saturating_sub(stamp.ms()) as f64 / 1000.0)
    }

    /// Partners that the settings name by their whole keys, and that are no members.
    fn unknown_partners(&self) -> Vec<String> {
        if self.members.get(self.config.key).is_none() {
            return Vec::new();
        }
        let links = self.config.topology.links.iter();
        let keys = links.filter_map(|link| Some((link, link.peer.parse::<NodeKey>().ok()?)));
        let unknown = keys.filter(|(_, key)| self.members.get(*key).is_none());
        let told = unknown.map(|(link, key)| {
            let at = link.address.as_ref().map(|it| format!(" at {it}")).unwrap_or_default();
            let key = key.short();
            format!("the partner {key}{at} is no member here: was its certificate copied from the right node?")
        });
        told.collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(why) = &self.why_fenced() {
            warnings.push(format!("this node is fenced and takes no writes: {why}"));
        }
        warnings.extend(self.rotation_warning());
        warnings.extend(self.unknown_partners());
        if let Some(invite) = &self.joining {
            let peer = self.peers.get(&invite.issuer);
            let why = peer.and_then(|peer| peer.last_error.clone());
            let why = why.unwrap_or_else(|| "not reached yet".into());
            warnings
                .push(format!("not a member yet; its inviter {}: {why}", invite.issuer.short()));
        }
        let is_nobody = |link: &&LinkSettings| {
            let mut members = self.members.iter().filter(|(key, _)| *key != self.config.key);
            !link.is_for_others() && !members.any(|(key, member)| link.names(key, &member.name))
        };
        let lost = self.verify.totals.lost;
        if lost > 0 {
            warnings.push(format!(
                "lost to damage on this node's disk, and not given back by any linked peer: {lost}; millpond verify --deep names them"
            ));
        }
        if let Some(alarm) = self.verify.alarms.back() {
            let count = self.verify.alarms.len();
            warnings.push(format!("verify has told {count} alarms, the last: {alarm}"));
        }
        for link in self.config.topology.links.iter().filter(is_nobody) {
            warnings.push(format!("the topology names {:?}, which is no other member", link.peer));
        }
        warnings
    }
}

fn is_fresh(lag: Lag) -> bool {
    lag.ops == 0 || lag.seconds.is_some_and(|age| age < FRESH_S)
}

/// A lag below this is replication at work, not a lag.
const FRESH_S: f64 = 2.0;
