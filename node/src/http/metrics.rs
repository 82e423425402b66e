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
use crate::status::{LinkCounters, PeerState, Status};

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
    lag(&mut registry, status);
    links(&mut registry, status);
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
    let dots = Gauges::default();
    for namespace in &status.namespaces {
        let labels = vec![("namespace", namespace.namespace.clone())];
        dots.get_or_create(&labels).set(namespace.dots.try_into().unwrap_or(i64::MAX));
    }
    registry.register("applied_dots", "Writes applied, by namespace", dots);
    let totals = &status.totals;
    for (name, help, value) in [
        ("transactions", "Local transactions committed", totals.transactions),
        ("dots_issued", "Writes issued here", totals.dots_issued),
        ("commits", "Commits of the store", totals.commits),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
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
    let counters: [(&str, &str, Read); 14] = [
        ("link_rows_sent", "Rows sent", |c| c.rows_sent),
        ("link_rows_received", "Rows received", |c| c.rows_received),
        ("link_rows_new", "Rows received that were new here", |c| c.rows_new),
        ("link_rows_duplicate", "Rows received that were covered", |c| c.rows_duplicate),
        ("link_rows_held", "Replicated rows held back", |c| c.rows_held),
        ("link_rows_forwarded", "Held rows sent after the delay", |c| c.rows_forwarded),
        ("link_rows_suppressed", "Held rows never sent", |c| c.rows_suppressed),
        ("link_payload_sent_bytes", "Keys and values sent", |c| c.payload_bytes_sent),
        ("link_frame_sent_bytes", "Frames sent", |c| c.frame_bytes_sent),
        ("link_frame_received_bytes", "Frames received", |c| c.frame_bytes_received),
        ("link_wire_sent_bytes", "Bytes on the wire, sent", |c| c.wire_bytes_sent),
        ("link_wire_received_bytes", "Bytes on the wire, received", |c| c.wire_bytes_received),
        ("link_pulls", "Catch-ups pulled from the peer", |c| c.pulls),
        ("link_openings", "Links that came up", |c| c.links),
    ];
    for (name, help, read) in counters {
        let family = Counters::default();
        for peer in &status.peers {
            let labels = vec![("peer", peer.name.clone())];
            family.get_or_create(&labels).inc_by(read(&peer.counters));
        }
        registry.register(name, help, family);
    }
}
