//! `GET /metrics`: the status as Prometheus text.

use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::http::problem::Problem;
use crate::http::server::SharedApi;
use crate::status::{Amount, LinkCounters, NodeState, OriginCounters, PeerState, Status};

/// `GET /metrics`
pub(super) async fn metrics(State(api): State<SharedApi>) -> Result<Response, Problem> {
    let registry = registry(&api.replica.status().await);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| Problem::internal("metrics cannot be written"))?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text).into_response())
}

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge>;
type Fractions = Family<Labels, Gauge<f64, AtomicU64>>;
type Counters = Family<Labels, Counter>;

/// The metrics of this moment. They are made anew for each scrape: the status holds the only counts.
fn registry(status: &Status) -> Registry {
    let mut registry = Registry::with_prefix("millpond");
    let build = Info::new(vec![("version", status.node.version.clone())]);
    registry.register("build", "The program that runs", build);
    node(&mut registry, status);
    tombstones(&mut registry, status);
    lag(&mut registry, status);
    links(&mut registry, status);
    control(&mut registry, status);
    origins(&mut registry, status);
    registry
}

fn node(registry: &mut Registry, status: &Status) {
    let gauge = |registry: &mut Registry, name: &str, help: &str, value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(value.try_into().unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge(registry, "uptime_seconds", "Since the node started", status.node.uptime_s);
    gauge(registry, "store_bytes", "Size of the store", status.node.store_bytes);
    let fenced = u64::from(status.node.fenced.is_some());
    gauge(registry, "fenced", "1 while the node refuses writes", fenced);
    let ready = status.node.rehab.is_none()
        && status.node.delayed.is_none()
        && status.node.fenced.is_none();
    gauge(
        registry,
        "ready",
        "1 while the node is ready: neither in rehab nor delayed nor fenced",
        ready.into(),
    );
    let states = Gauges::default();
    for state in NodeState::ALL {
        let labels = vec![("state", state.word().to_owned())];
        states.get_or_create(&labels).set((status.node.state == state).into());
    }
    registry.register("state", "1 for the state that the node is in", states);
    if let Some(backup) = &status.backup {
        let (made, failed) = (Counter::<u64>::default(), Counter::<u64>::default());
        made.inc_by(backup.made);
        failed.inc_by(backup.failed);
        registry.register("backup_made", "Backups that the node made by itself", made);
        registry.register("backup_failed", "Those that it could not make", failed);
        if let Some(ms) = backup.last_success_ms {
            let (name, help) =
                ("backup_last_success_timestamp_seconds", "When the newest was taken");
            gauge(registry, name, help, ms / 1000);
        }
    }
    let dots = Gauges::default();
    for namespace in &status.namespaces {
        let labels = vec![("namespace", namespace.namespace.clone())];
        dots.get_or_create(&labels).set(namespace.dots.try_into().unwrap_or(i64::MAX));
    }
    registry.register("applied_dots", "Writes applied, by namespace", dots);
    progress(registry, status);
    let totals = &status.totals;
    let lost: Gauge = Gauge::default();
    lost.set(totals.verify.lost.try_into().unwrap_or(i64::MAX));
    registry.register("verify_lost_values", "Values lost here that nobody has given back", lost);
    for (name, help, value) in [
        ("transactions", "Local transactions committed", totals.transactions),
        ("dots_issued", "Writes issued here", totals.dots_issued),
        ("commits", "Commits of the store", totals.commits),
        ("verify_comparisons", "Comparisons with peers that ended", totals.verify.comparisons),
        ("verify_scrubs", "Times that the own store was looked through", totals.verify.scrubs),
        ("verify_mended", "Values and log rows put back", totals.verify.mended),
        ("verify_suspect", "Values that only one of two nodes holds", totals.verify.suspect),
        ("verify_issued_again", "Values issued again", totals.verify.issued_again),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
}

/// What deletes have left, and who holds it back.
fn tombstones(registry: &mut Registry, status: &Status) {
    let left = &status.node.tombstones;
    for (name, help, value) in [
        ("tombstones", "Deletes that some member may not have on its disk yet", left.count),
        ("tombstone_bytes", "About what they take", left.bytes),
        (
            "offline_window_seconds",
            "For how long a silent member is waited for",
            left.offline_window_s,
        ),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(value.try_into().unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
    let (blocked, silent, left_s) = (Gauges::default(), Gauges::default(), Gauges::default());
    let evicted = Gauges::default();
    for blocker in &left.gc_blocked_by {
        let labels = vec![("peer", blocker.name.clone())];
        let seconds = |seconds: u64| seconds.try_into().unwrap_or(i64::MAX);
        blocked.get_or_create(&labels).set(seconds(blocker.since_s));
        silent.get_or_create(&labels).set(seconds(blocker.silent_s));
        left_s.get_or_create(&labels).set(seconds(blocker.evicted_in_s));
    }
    for peer in &status.peers {
        let labels = vec![("peer", peer.name.clone())];
        evicted.get_or_create(&labels).set(peer.evicted.is_some().into());
    }
    registry.register("gc_blocked_seconds", "Since when the peer holds tombstones back", blocked);
    registry.register("gc_blocker_silent_seconds", "For how long nobody has heard of it", silent);
    registry.register("gc_blocker_left_seconds", "Until it is no longer waited for", left_s);
    registry.register("peer_evicted", "1 while tombstones do not wait for the peer", evicted);
}

/// What is to come of the catch-ups under way, and what is to be folded of those that are visible. Nothing
/// under way has no sample.
fn progress(registry: &mut Registry, status: &Status) {
    let (to_come, comes) = (Gauges::default(), Fractions::default());
    let (to_fold, folded) = (Gauges::default(), Fractions::default());
    let left = |all: u64, done: u64| i64::try_from(all.saturating_sub(done)).unwrap_or(i64::MAX);
    for peer in &status.peers {
        let Some(pull) = peer.link.as_ref().and_then(|it| it.catching_up.as_ref()) else {
            continue;
        };
        let peer = ("peer", peer.name.clone());
        let labels = vec![peer, ("namespace", pull.namespace.clone())];
        to_come.get_or_create(&labels).set(left(pull.rows_expected, pull.rows));
        if let Some(eta_s) = pull.pace.eta_s {
            comes.get_or_create(&labels).set(eta_s as f64);
        }
    }
    for namespace in &status.namespaces {
        let Some(folding) = &namespace.folding else { continue };
        let labels = vec![("namespace", namespace.namespace.clone())];
        to_fold.get_or_create(&labels).set(left(folding.rows_expected, folding.rows));
        if let Some(eta_s) = folding.pace.eta_s {
            folded.get_or_create(&labels).set(eta_s as f64);
        }
    }
    registry.register("catch_up_left_rows", "Rows of a catch-up to come, about", to_come);
    registry.register("catch_up_eta_seconds", "Until they are here, if it goes on so", comes);
    registry.register("fold_left_rows", "Rows that are visible and not in their place", to_fold);
    registry.register("fold_eta_seconds", "Until they are, if it goes on so", folded);
}

/// What is unknown has no sample: it is never 0.
fn lag(registry: &mut Registry, status: &Status) {
    let (up, current, ops) = (Gauges::default(), Gauges::default(), Gauges::default());
    let (seconds, round_trip) = (Fractions::default(), Fractions::default());
    for peer in &status.peers {
        let labels = vec![("peer", peer.name.clone())];
        up.get_or_create(&labels).set(peer.link.is_some().into());
        current.get_or_create(&labels).set((peer.state == PeerState::Current).into());
        if let Some(link) = peer.link.as_ref().filter(|link| link.round_trip_us > 0) {
            round_trip.get_or_create(&labels).set(link.round_trip_us as f64 / 1e6);
        }
        for (direction, lag) in [("they_lack", peer.they_lack), ("we_lack", peer.we_lack)] {
            let Some(lag) = lag else { continue };
            let labels = vec![("peer", peer.name.clone()), ("direction", direction.to_owned())];
            ops.get_or_create(&labels).set(lag.ops.try_into().unwrap_or(i64::MAX));
            if let Some(age) = lag.seconds {
                seconds.get_or_create(&labels).set(age);
            }
        }
    }
    registry.register("peer_up", "1 while a link to the peer is up", up);
    registry.register(
        "peer_current",
        "1 while neither side lacks anything older than a moment",
        current,
    );
    registry.register("lag_ops", "Writes applied on one side and not on the other", ops);
    registry.register("lag_seconds", "Age of the oldest of those", seconds);
    registry.register("link_round_trip_seconds", "Smoothed round trip", round_trip);
}

fn links(registry: &mut Registry, status: &Status) {
    type Read = fn(&LinkCounters) -> u64;
    let counters: &[(&str, &str, Read)] = &[
        ("link_rows_sent", "Rows sent", |c| c.rows_sent),
        ("link_rows_received", "Rows received", |c| c.rows_received),
        ("link_rows_new", "Rows received that were new here", |c| c.rows_new),
        ("link_rows_duplicate", "Rows received that were covered", |c| c.rows_duplicate),
        ("link_rows_held", "Replicated rows held back", |c| c.rows_held),
        ("link_rows_announced", "Replicated rows announced, not sent", |c| c.rows_announced),
        ("link_rows_forwarded", "Held rows sent after the delay", |c| c.rows_forwarded),
        ("link_rows_grafted", "Rows sent since the peer asked for them", |c| c.rows_grafted),
        ("link_rows_pruned", "Rows received twice and not wanted again", |c| c.rows_pruned),
        ("link_rows_suppressed", "Held rows never sent", |c| c.rows_suppressed),
        ("link_payload_sent_bytes", "Keys and values sent", |c| c.payload_bytes_sent),
        ("link_payload_received_bytes", "Of pushes received", |c| c.payload_bytes_received),
        ("link_payload_new_bytes", "Of those, new here", |c| c.payload_bytes_new),
        ("link_payload_duplicate_bytes", "Of those, covered", |c| c.payload_bytes_duplicate),
        ("link_payload_held_bytes", "Of rows held back", |c| c.payload_bytes_held),
        ("link_payload_announced_bytes", "Of rows announced", |c| c.payload_bytes_announced),
        ("link_payload_forwarded_bytes", "Of rows forwarded", |c| c.payload_bytes_forwarded),
        ("link_payload_grafted_bytes", "Of rows grafted", |c| c.payload_bytes_grafted),
        ("link_payload_pruned_bytes", "Of rows pruned", |c| c.payload_bytes_pruned),
        ("link_payload_suppressed_bytes", "Of rows suppressed", |c| c.payload_bytes_suppressed),
        ("link_frame_sent_bytes", "Frames sent", |c| c.frame_bytes_sent),
        ("link_frame_received_bytes", "Frames received", |c| c.frame_bytes_received),
        ("link_wire_sent_bytes", "Bytes on the wire, sent", |c| c.wire_bytes_sent),
        ("link_wire_received_bytes", "Bytes on the wire, received", |c| c.wire_bytes_received),
        ("link_pulls", "Catch-ups pulled from the peer", |c| c.pulls),
        ("link_compare_turns", "Times that this node spoke in comparisons with the peer", |c| {
            c.compare_turns
        }),
        ("link_grafts", "Times the peer was asked to send", |c| c.grafts),
        ("link_prunes", "Times the peer was asked to send no more", |c| c.prunes),
        ("link_openings", "Links that came up", |c| c.links),
    ];
    for &(name, help, read) in counters {
        let family = Counters::default();
        for peer in &status.peers {
            let labels = vec![("peer", peer.name.clone())];
            family.get_or_create(&labels).inc_by(read(&peer.counters));
        }
        registry.register(name, help, family);
    }
}

fn control(registry: &mut Registry, status: &Status) {
    let family = Counters::default();
    for peer in &status.peers {
        let control = &peer.counters.control;
        for (kind, bytes) in [
            ("announce", control.announce),
            ("graft", control.graft),
            ("prune", control.prune),
            ("ack", control.ack),
            ("heartbeat", control.heartbeat),
            ("credit", control.credit),
            ("other", control.other),
        ] {
            let labels = vec![("peer", peer.name.clone()), ("kind", kind.to_owned())];
            family.get_or_create(&labels).inc_by(bytes);
        }
    }
    registry.register("link_control_sent_bytes", "Frames sent that carry no data, by kind", family);
}

/// Of each member that writes, whatever incarnations it had: what came of its writes over all links, and by
/// which way they come now.
fn origins(registry: &mut Registry, status: &Status) {
    type Read = fn(&OriginCounters) -> Amount;
    let counters: [(&str, Read); 9] = [
        ("received", |c| c.received),
        ("new", |c| c.new),
        ("duplicate", |c| c.duplicate),
        ("held", |c| c.held),
        ("announced", |c| c.announced),
        ("forwarded", |c| c.forwarded),
        ("grafted", |c| c.grafted),
        ("pruned", |c| c.pruned),
        ("suppressed", |c| c.suppressed),
    ];
    let (rows, bytes) = (Counters::default(), Counters::default());
    for origin in status.peers.iter().flat_map(|peer| &peer.origins) {
        for (what, read) in counters {
            let labels = vec![("origin", origin.origin.clone()), ("what", what.to_owned())];
            rows.get_or_create(&labels).inc_by(read(origin).rows);
            bytes.get_or_create(&labels).inc_by(read(origin).bytes);
        }
    }
    registry.register(
        "origin_rows",
        "Rows pushed, by who wrote them and what became of them",
        rows,
    );
    registry.register("origin_payload_bytes", "Their keys and values", bytes);

    let (source, fed, deadline) = (Gauges::default(), Gauges::default(), Fractions::default());
    for origin in &status.sources {
        let labels = vec![("origin", origin.origin.clone())];
        let count = origin.fed.len().try_into().unwrap_or(i64::MAX);
        fed.get_or_create(&labels).inc_by(count);
        if let Some(ms) = origin.deadline_ms {
            deadline.get_or_create(&labels).set(ms as f64 / 1000.0);
        }
        if let Some(peer) = &origin.source {
            let labels = vec![("origin", origin.origin.clone()), ("peer", peer.clone())];
            source.get_or_create(&labels).set(1);
        }
    }
    registry.register("origin_source", "1 for the peer that sends an origin's writes here", source);
    registry.register("origin_fed_peers", "Peers that an origin's writes are sent to", fed);
    registry.register("origin_deadline_seconds", "How late a source may be", deadline);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A status in which the counter of each name has a value of its own.
    fn status() -> (Status, Vec<(String, u64)>) {
        let mut counters = serde_json::to_value(LinkCounters::default()).unwrap();
        let mut numbered = Vec::new();
        number(&mut counters, &mut numbered);
        let node = json!({"key": "aa", "name": "a", "domain": "d", "role": "admin", "incarnation": null,
            "boot": 1, "listen": "", "addresses": [], "state_dir": null, "fenced": null,
            "uptime_s": 1, "store_bytes": 1, "version": "0", "tombstones": {"count": 5, "bytes": 300,
            "offline_window_s": 604_800, "gc_blocked_by": [{"name": "b", "key": "bb", "since_s": 61,
            "silent_s": 62, "evicted_in_s": 63}]}});
        let peer = json!({"key": "bb", "name": "b", "role": "writer", "addresses": [],
            "state": "current", "they_lack": null, "we_lack": null, "link": null,
            "last_seen_s": null, "last_error": null, "evicted": "silent", "counters": counters,
            "origins": [{"origin": "c", "incarnation": "1", "grafted": {"rows": 71, "bytes": 72}},
                {"origin": "c", "incarnation": "2", "grafted": {"rows": 100, "bytes": 200}}]});
        let source = json!({"origin": "c", "key": "cc", "incarnation": "2", "is_own": false,
            "source": "b", "standby": null, "fed": ["d", "e"], "deadline_ms": 250, "last_gap_ms": null});
        let status = json!({"verdict": {"health": "ok", "text": ""}, "node": node, "peers": [peer],
            "sources": [source], "namespaces": [], "warnings": [], "next": [],
            "totals": {"transactions": 0, "dots_issued": 0, "commits": 0, "links": {}}});
        (serde_json::from_value(status).unwrap(), numbered)
    }

    fn number(value: &mut Value, numbered: &mut Vec<(String, u64)>) {
        for (name, field) in value.as_object_mut().unwrap() {
            match field {
                Value::Object(_) => number(field, numbered),
                other => {
                    let value = 1_000_003 + 7 * numbered.len() as u64;
                    *other = json!(value);
                    numbered.push((name.clone(), value));
                }
            }
        }
    }

    fn text() -> (String, Vec<(String, u64)>) {
        let (status, numbered) = status();
        let mut text = String::new();
        encode(&mut text, &registry(&status)).unwrap();
        (text, numbered)
    }

    #[test]
    fn every_counter_of_a_link_is_shown_once() {
        let (text, numbered) = text();
        for (name, value) in numbered {
            let shown = text.lines().filter(|line| line.ends_with(&format!(" {value}"))).count();
            assert_eq!(shown, 1, "{name}: {text}");
        }
    }

    #[test]
    fn tombstones_and_who_holds_them_back_are_shown() {
        let (text, _) = text();
        for line in [
            "millpond_tombstones 5",
            "millpond_tombstone_bytes 300",
            "millpond_offline_window_seconds 604800",
            "millpond_gc_blocked_seconds{peer=\"b\"} 61",
            "millpond_gc_blocker_silent_seconds{peer=\"b\"} 62",
            "millpond_gc_blocker_left_seconds{peer=\"b\"} 63",
            "millpond_peer_evicted{peer=\"b\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_under_way_is_shown_with_its_end() {
        let (status, _) = status();
        let mut status = serde_json::to_value(status).unwrap();
        status["namespaces"] = json!([{"namespace": "main", "dots": 1, "vv": {}, "durable": {},
            "folding": {"rows": 30, "rows_expected": 100, "rows_per_s": 10.0, "eta_s": 7}}]);
        let mut text = String::new();
        encode(&mut text, &registry(&serde_json::from_value(status).unwrap())).unwrap();
        for line in [
            "millpond_fold_left_rows{namespace=\"main\"} 70",
            "millpond_fold_eta_seconds{namespace=\"main\"} 7.0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }

    #[test]
    fn what_came_of_an_origin_is_added_over_its_incarnations() {
        let (text, _) = text();
        for line in [
            "millpond_origin_rows_total{origin=\"c\",what=\"grafted\"} 171",
            "millpond_origin_payload_bytes_total{origin=\"c\",what=\"grafted\"} 272",
            "millpond_origin_source{origin=\"c\",peer=\"b\"} 1",
            "millpond_origin_fed_peers{origin=\"c\"} 2",
            "millpond_origin_deadline_seconds{origin=\"c\"} 0.25",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }
}
