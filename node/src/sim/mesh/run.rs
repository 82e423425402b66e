//! Measuring a mesh.

use super::field::{Field, MeshError};
use super::figures::{MeshFigures, Spread};
use super::kinds::{Purpose, bytes_for};
use super::meter::Update;
use super::options::MeshOptions;

/// Founds a mesh, lets it find its ways, and measures what updates take in it.
///
/// The members link first, and the updates of the warm-up go everywhere. What is counted then belongs to the
/// measured updates alone: they are followed to their last node, and what is still said about them after.
/// In the end nobody writes for a while.
///
/// # Errors
/// If the members do not link, or an update does not come to a node.
pub fn run(options: &MeshOptions) -> Result<MeshFigures, MeshError> {
    let mut field = Field::found(options)?;
    field.write_many(options.warm_up);
    field.level()?;
    field.world.run(QUIET_MS);

    let (rows, sent) = (field.rows(), field.meter().sent.clone());
    let (began_ms, links) = (field.world.now_ms, field.world.net.links_up());
    field.write_many(options.updates);
    field.level()?;
    let wrote_ms = field.world.now_ms - began_ms;
    let status = bytes_for(&field.meter().sent.since(&sent), Purpose::Status);
    field.world.run(QUIET_MS);
    let (rows, kinds) = (field.rows().since(rows), field.meter().sent.since(&sent));
    let updates: Vec<Update> = field.meter().since(began_ms).copied().collect();

    let sent = field.meter().sent.clone();
    field.world.run(IDLE_MS);
    let idle_kinds = field.meter().sent.since(&sent);
    let idle_bytes: u64 = idle_kinds.iter().map(|kind| kind.bytes).sum();

    let farthest = farthest(options);
    let took = |update: &Update| update.last_ms - update.issued_ms;
    let shortest = |update: &Update| farthest[update.origin].0;
    let (nodes, count) = (options.nodes as f64, options.updates as f64);
    let from_afar = options.region_nodes.map(|_| rows.from_afar as f64 / count);
    Ok(MeshFigures {
        copies_per_update: rows.received as f64 / rows.new.max(1) as f64,
        latency: Spread::of(updates.iter().map(took)),
        shortest: Spread::of(updates.iter().map(shortest)),
        star: Spread::of(updates.iter().map(|update| farthest[update.origin].1)),
        behind_shortest: Spread::of(updates.iter().map(|it| took(it) - shortest(it))),
        max_round_trip_ms: options.round_trips.max_round_trip_ms(),
        control_bytes_per_update: bytes_for(&kinds, Purpose::Ripple) as f64 / count,
        status_bytes_per_s_per_node: status as f64 * 1_000.0 / wrote_ms as f64 / nodes,
        idle_bytes_per_s_per_node: idle_bytes as f64 * 1_000.0 / IDLE_MS as f64 / nodes,
        inter_region_copies_per_update: from_afar,
        kinds,
        idle_kinds,
        rows_received: rows.received,
        rows_new: rows.new,
        links,
        virtual_s: field.world.now_ms / 1_000,
        trace: field.world.trace.hash(),
    })
}

/// How far the last node is from each node: by the shortest path, and directly.
fn farthest(options: &MeshOptions) -> Vec<(u64, u64)> {
    let round_trips = &options.round_trips;
    let paths = round_trips.shortest_paths();
    let of = |(node, path): (usize, &Vec<u32>)| {
        let direct = (0..options.nodes).map(|other| round_trips.one_way_ms(node, other)).max();
        (path.iter().copied().max().unwrap_or(0).into(), direct.unwrap_or(0))
    };
    paths.iter().enumerate().map(of).collect()
}

/// How long what is said of an update may come after it: acks and digests are on their way by then.
const QUIET_MS: u64 = 7_000;
/// How long nobody writes in the end.
const IDLE_MS: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::mesh::Disturbance;

    fn options(nodes: usize) -> MeshOptions {
        let mut options = MeshOptions::new(nodes, 3);
        (options.warm_up, options.updates, options.rate) = (40, 60, 20);
        options
    }

    #[test]
    fn every_update_is_followed_to_its_last_node() {
        let figures = run(&options(6)).unwrap();
        assert_eq!(figures.rows_new, 60 * 5);
        assert!(figures.rows_received >= figures.rows_new);
        assert!(figures.copies_per_update >= 1.0);
        assert!(figures.shortest.p50_ms <= figures.latency.p50_ms);
        assert!(figures.shortest.p50_ms <= figures.star.p50_ms);
        assert!(figures.behind_shortest.max_ms <= figures.latency.max_ms);
        let pushes = figures.kinds.iter().find(|kind| kind.kind == "push").unwrap();
        assert_eq!(pushes.messages, figures.rows_received);
        assert!(figures.idle_kinds.iter().all(|kind| kind.purpose != Purpose::Data));
        assert!(figures.idle_bytes_per_s_per_node > 0.0);
    }

    #[test]
    fn equal_options_give_equal_figures() {
        let disturbed =
            MeshOptions { disturbance: Disturbance::HeldBack { percent: 5 }, ..options(5) };
        let figures = run(&disturbed).unwrap();
        assert_eq!(figures, run(&disturbed).unwrap());
        assert_ne!(figures.latency, run(&options(5)).unwrap().latency);
    }

    #[test]
    fn copies_between_regions_are_counted() {
        let round_trips = crate::sim::mesh::RoundTrips::regions(2, 3, 1);
        let mut regions = MeshOptions::over(round_trips, 1);
        (regions.warm_up, regions.updates, regions.region_nodes) = (40, 60, Some(3));
        let copies = run(&regions).unwrap().inter_region_copies_per_update.unwrap();
        assert!((1.0..=3.0).contains(&copies), "{copies}");
    }
}
