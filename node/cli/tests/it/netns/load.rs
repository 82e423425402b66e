//! Writers at all nodes, and whether nothing of what they wrote is lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::Scope;

use millpond_rig::{Node, until};
use serde_json::json;

use super::Rig;

/// A writer at each node: keys of its own, and some that all of them write.
pub struct Load {
    written: Vec<AtomicU64>,
    is_over: AtomicBool,
}

/// However a test ends, the writers end.
pub struct End<'a>(&'a Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
    }
}

impl Load {
    /// None yet.
    pub fn of(rig: &Rig) -> Self {
        let written = rig.nodes().iter().map(|_| AtomicU64::new(0)).collect();
        Self { written, is_over: AtomicBool::new(false) }
    }

    /// Writes until what it gives is dropped.
    pub fn start<'scope, 'env: 'scope>(
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
    pub fn until_each_wrote(&self, count: u64) {
        let written = || self.written.iter().map(|it| it.load(Relaxed));
        let wanted: Vec<u64> = written().map(|it| it + count).collect();
        until("all nodes take writes", || {
            written().zip(&wanted).all(|(written, wanted)| written >= *wanted)
        })
        .unwrap();
    }

    /// All nodes hold the same, and all that was answered.
    pub fn check(&self, rig: &Rig) {
        rig.cluster.until_equal().unwrap();
        let nodes = rig.nodes();
        let all: u64 = self.written.iter().map(|it| it.load(Relaxed)).sum();
        let digest = nodes[0].client().get("/api/v1/digest").unwrap();
        println!("{all} writes of {} nodes, {} records", nodes.len(), digest["records"]);
        assert_eq!(digest["records"].as_u64(), Some(all + SHARED_KEYS));
    }
}

/// Keys that all writers write.
const SHARED_KEYS: u64 = 7;
