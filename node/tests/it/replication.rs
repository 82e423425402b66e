//! Replication between real replicas.

use crate::cluster::{Cluster, put, total, until, value};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_any_node_appears_on_all() {
    let cluster = Cluster::start(3).await;
    for (number, node) in cluster.nodes.iter().enumerate() {
        put(node, &format!("key-{number}"), &format!("value-{number}")).await;
    }
    for node in &cluster.nodes {
        for number in 0..3 {
            let (key, expected) = (format!("key-{number}"), format!("value-{number}"));
            until("the value is here", async || value(node, &key) == Some(expected.clone())).await;
        }
    }
    cluster.converged().await;
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_update_crosses_each_node_once() {
    for count in [3, 5] {
        let cluster = Cluster::start(count).await;
        let before = rows(&cluster).await;
        let writers = cluster.nodes.iter().enumerate().map(|(number, node)| async move {
            for round in 0..200 {
                put(node, &format!("{number}-{round}"), "value").await;
            }
        });
        for writer in writers.map(Box::pin).collect::<Vec<_>>() {
            writer.await;
        }
        cluster.converged().await;
        let after = rows(&cluster).await;
        let (received, new) = (after.0 - before.0, after.1 - before.1);
        let expected = 200 * count as u64 * (count as u64 - 1);
        assert!(new >= expected, "{new} of {expected} rows were new");
        assert_eq!(received, new, "{count} nodes");
        cluster.close().await;
    }
}

/// Rows received, and those of them that were new.
async fn rows(cluster: &Cluster) -> (u64, u64) {
    let received = total(&cluster.nodes, |status| status.totals.links.rows_received).await;
    let new = total(&cluster.nodes, |status| status.totals.links.rows_new).await;
    (received, new)
}
