//! Peers and links that go wrong: what both sides say, and that nothing is lost.

use crate::cluster::{Cluster, put, until, value};

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_heals_though_both_sides_have_written() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    put(anna, "before", "both").await;
    cluster.converged().await;
    anna.pause(None).await;
    until("the link is cut on both sides", async || {
        let status = [anna.status().await, ben.status().await];
        status.iter().all(|status| status.peers[0].link.is_none())
    })
    .await;
    put(anna, "anna", "from anna").await;
    put(ben, "ben", "from ben").await;
    put(anna, "same", "from anna").await;
    put(ben, "same", "from ben").await;
    anna.resume(None).await;
    cluster.converged().await;
    assert_eq!(value(ben, "anna").as_deref(), Some("from anna"));
    assert_eq!(value(anna, "ben").as_deref(), Some("from ben"));
    assert_eq!(value(anna, "same"), value(ben, "same"));
    cluster.close().await;
}
