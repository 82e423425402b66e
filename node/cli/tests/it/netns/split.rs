//! Parts that are apart and come together, with writes all the while.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::Scope;

use millpond_rig::{Node, until};
use serde_json::json;

use super::Rig;

#[test]
fn two_halves_that_both_write_converge() {
    let Some(mut rig) = Rig::start(4) else { return };
    let load = Load::of(&rig);
    std::thread::scope(|scope| {
        let _end = load.start(scope, rig.cluster.nodes());
        load.until_each_wrote(20);
        rig.network.split(&[0, 1]).unwrap();
        load.until_each_wrote(50);
        rig.network.heal_all().unwrap();
        load.until_each_wrote(20);
    });
    load.check(&rig);
}

#[test]
fn a_node_that_was_lost_for_good_comes_back() {
    let Some(mut rig) = Rig::start(3) else { return };
    let load = Load::of(&rig);
    std::thread::scope(|scope| {
        let _end = load.start(scope, rig.cluster.nodes());
        rig.network.split(&[2]).unwrap();
        // Longer than a link lives on which nothing arrives.
        until("the links are given up", || {
            let [first, .., last] = rig.cluster.nodes() else { unreachable!() };
            links(first) == 1 && links(last) == 0
        })
        .unwrap();
        load.until_each_wrote(20);
        rig.network.heal_all().unwrap();
        rig.cluster.until_linked().unwrap();
    });
    load.check(&rig);
}

#[test]
fn a_flapping_link_loses_nothing() {
    let Some(mut rig) = Rig::start(3) else { return };
    let load = Load::of(&rig);
    std::thread::scope(|scope| {
        let _end = load.start(scope, rig.cluster.nodes());
        for round in 0..12 {
            match round % 3 {
                0 => rig.network.cut(0, 2),
                1 => rig.network.cut_one_way(2, 0),
                _ => rig.network.take_down(0, 2),
            }
            .unwrap();
            load.until_each_wrote(10);
            rig.network.heal(0, 2).unwrap();
            load.until_each_wrote(10);
        }
    });
    load.check(&rig);
}

/// A writer at each node: keys of its own, and some that all of them write.
struct Load {
    written: Vec<AtomicU64>,
    is_over: AtomicBool,
}

/// However a test ends, the writers end.
struct End<'a>(&'a Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
    }
}

impl Load {
    fn of(rig: &Rig) -> Self {
        let written = rig.cluster.nodes().iter().map(|_| AtomicU64::new(0)).collect();
        Self { written, is_over: AtomicBool::new(false) }
    }

    fn start<'scope, 'env: 'scope>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        nodes: &[Node],
    ) -> End<'env> {
        for (number, node) in nodes.iter().enumerate() {
            let client = node.client().clone();
            scope.spawn(move || {
                let mut connection = client.connect().unwrap();
                for n in 1.. {
                    if self.is_over.load(Relaxed) {
                        return;
                    }
                    let put = |key: String| {
                        let fields = json!({"n": n, "by": number});
                        json!({"op": "put", "collection": "split", "key": key, "fields": fields})
                    };
                    let shared = format!("all-{}", n % SHARED_KEYS);
                    let ops = [put(format!("{number}-{n}")), put(shared)];
                    let body = json!({"ops": ops}).to_string();
                    connection.request("POST", "/api/v1/tx", &body).unwrap();
                    self.written[number].store(n, Relaxed);
                }
            });
        }
        End(self)
    }

    /// Waits until each writer got so many further answers.
    fn until_each_wrote(&self, count: u64) {
        let written = || self.written.iter().map(|it| it.load(Relaxed));
        let wanted: Vec<u64> = written().map(|it| it + count).collect();
        until("all nodes take writes", || {
            written().zip(&wanted).all(|(written, wanted)| written >= *wanted)
        })
        .unwrap();
    }

    /// All nodes hold the same, and all that was answered.
    fn check(&self, rig: &Rig) {
        rig.cluster.until_equal().unwrap();
        let nodes = rig.cluster.nodes();
        let all: u64 = self.written.iter().map(|it| it.load(Relaxed)).sum();
        let digest = nodes[0].client().get("/api/v1/digest").unwrap();
        println!("{all} writes of {} nodes, {} records", nodes.len(), digest["records"]);
        assert_eq!(digest["records"].as_u64(), Some(all + SHARED_KEYS));
    }
}

/// Links that a node has.
fn links(node: &Node) -> usize {
    let status = node.status().unwrap();
    let peers = status["peers"].as_array().unwrap();
    peers.iter().filter(|peer| !peer["link"].is_null()).count()
}

/// Keys that all writers write.
const SHARED_KEYS: u64 = 7;
