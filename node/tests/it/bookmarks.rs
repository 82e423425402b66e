//! A client that moves between replicas, over real sockets.

use std::time::Duration;

use millpond::{AtLeastError, Bookmark};

use crate::cluster::{Cluster, path, put_in, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_its_writes_wherever_it_goes() {
    let cluster = Cluster::start(3).await;
    // Whoever has just joined, or has no lease, is of use once it has caught up.
    let mut session = Bookmark::default();
    for node in &cluster.nodes {
        within("caught up", node.at_least(&session, LONG)).await.unwrap();
    }
    for round in 0..30 {
        let node = &cluster.nodes[round % 3];
        // Writes follow what was read and written before.
        let view = node.at_least(&session, LONG).await.unwrap();
        if round > 0 {
            let before = view.entry(&path(&format!("k{}", round - 1))).unwrap();
            assert!(!before.is_absent(), "round {round}: the write before is not shown");
        }
        let at = path(&format!("k{round}"));
        let ((), receipt) = node.write(move |tx| put_in(tx, at, "v")).await.unwrap();
        let text = receipt.bookmark().to_string();
        assert!(text.len() < 200, "{text}");
        session.join(&text.parse().unwrap());
    }
    let written = session.to_string();
    until("nothing is left to name", async || {
        let view = cluster.nodes[0].at_least(&session, LONG).await.unwrap();
        cluster.nodes[0].bookmark(&view) == Bookmark::default()
    })
    .await;
    eprintln!("{} bytes while it wrote", written.len());

    let [a, b, _] = &cluster.nodes[..] else { unreachable!() };
    b.pause(None).await;
    let at = path("away");
    let ((), receipt) = a.write(move |tx| put_in(tx, at, "v")).await.unwrap();
    let behind = b.at_least(&receipt.bookmark(), Duration::from_millis(50)).await;
    assert!(matches!(behind, Err(AtLeastError::Behind { missing: 1, .. })), "{behind:?}");
    b.close().await;
    let closed = b.at_least(&session, LONG).await;
    assert!(matches!(closed, Err(AtLeastError::Closed)), "{closed:?}");
    cluster.close().await;
}

const LONG: Duration = Duration::from_secs(30);
