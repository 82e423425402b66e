//! Writes that wait for other members, over real sockets.

use std::time::{Duration, Instant};

use millpond::{AckLevel, Concern, ConcernError, Replica, Standing, WriteError, WriteTx};

use crate::cluster::{Cluster, path, put_in, until, value, within};

fn set(key: &str) -> impl FnOnce(&mut WriteTx<'_>) -> Result<(), WriteError> + Send + 'static {
    let path = path(key);
    move |tx| put_in(tx, path, "v")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_who_has_it() {
    let cluster = Cluster::start(3).await;
    let [a, b, c] = &cluster.nodes[..] else { unreachable!() };
    let written = Instant::now();
    let write = a.write(set("all")).concern(Concern::All);
    let ((), receipt) = within("acks", write.into_future()).await.unwrap();
    eprintln!("on three disks after {:?}", written.elapsed());
    let names: Vec<&str> = receipt.acks.acked.iter().map(|ack| &ack.name[..]).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(receipt.acks.acked.iter().all(|ack| ack.level == Some(AckLevel::Durable)));
    // An ack is true: what it says is there, at once.
    for node in [b, c] {
        assert_eq!(value(node, "all").as_deref(), Some("v"));
    }

    // Anybody who has a receipt may ask again, for something else.
    let again = receipt.wait_for(Concern::Majority).received();
    assert_eq!(within("acks", again.into_future()).await.unwrap(), receipt);
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_met_in_time_is_written_and_can_be_awaited_again() {
    let cluster = Cluster::start(3).await;
    let [a, b, c] = &cluster.nodes[..] else { unreachable!() };
    c.pause(None).await;
    let write = a.write(set("two")).concern(Concern::Replicas(2));
    let outcome = write.timeout(Duration::from_millis(300)).await;
    let Err(ConcernError::NotMet { unmet, .. }) = outcome else { panic!("{outcome:?}") };
    let text = unmet.to_string();
    assert!(text.contains("stored on this node and stays"), "{text}");
    let (acked, late) = (&unmet.receipt.acks.acked, &unmet.receipt.acks.late);
    assert_eq!((acked.len(), acked[0].key), (1, b.key()));
    assert_eq!((late.len(), late[0].key, late[0].standing), (1, c.key(), Standing::NotLinked));
    assert_eq!(value(a, "two").as_deref(), Some("v"), "it stays");

    // A guard refuses before anything is written.
    let guarded = a.write(set("guarded")).min_connected(2).await;
    let is_refused =
        matches!(guarded, Err(WriteError::TooFewConnected { connected: 1, wanted: 2 }));
    assert!(is_refused, "{guarded:?}");
    assert_eq!(value(a, "guarded"), None);

    let waiting = unmet.receipt.clone();
    let waiting =
        tokio::spawn(async move { waiting.wait_for(Concern::Replicas(2)).timeout(MINUTE).await });
    c.resume(None).await;
    let receipt = within("acks", waiting).await.unwrap().unwrap();
    assert_eq!(receipt.acks.acked.len(), 2);
    assert_eq!(value(c, "two").as_deref(), Some("v"));
    cluster.close().await;
}

/// Whoever waits is told when the replica closes, and that it is written; nobody waits for a replica that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_the_wait() {
    let db = Replica::builder_in_memory().offline().open().await.unwrap();
    let write = db.clone();
    let waiting = tokio::spawn(async move {
        let write = write.write(set("k")).concern(Concern::Replicas(1));
        write.timeout(MINUTE).await
    });
    until("it is written", async || value(&db, "k").is_some()).await;
    db.close().await;
    let outcome = within("the end", waiting).await.unwrap();
    let Err(ConcernError::NotMet { unmet, .. }) = outcome else { panic!("{outcome:?}") };
    drop(db);
    let again = unmet.receipt.wait_for(Concern::Replicas(1));
    assert!(within("an answer", again.into_future()).await.is_err());
}

const MINUTE: Duration = Duration::from_secs(60);
