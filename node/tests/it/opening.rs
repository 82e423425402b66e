//! Opening, cloning and closing replicas, as an application does.

use std::time::Duration;

use millpond::store::StoreError;
use millpond::{InviteOptions, OpenError, Replica, WriteError};

use crate::cluster::{put, until, value, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_makes_a_replica_and_opens_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("todo");
    let first = Replica::builder(&dir).offline().open().await.unwrap();
    let key = first.key();
    assert_eq!(first.local_address(), None);
    put(&first, "milk", "buy").await;
    first.close().await;
    drop(first);

    let again = Replica::builder(&dir).name("kitchen").open().await.unwrap();
    assert_eq!(again.key(), key);
    assert!(again.local_address().is_some(), "it has a socket this time");
    assert_eq!(value(&again, "milk").as_deref(), Some("buy"));
    again.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("todo");
    let first = Replica::builder(&dir).offline().open().await.unwrap();
    let second = Replica::builder(&dir).offline().open().await;
    let error = second.unwrap_err();
    assert!(matches!(error, OpenError::Store(StoreError::InUse { .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains("todo is in use already"), "{text}");
    first.close().await;
    drop(first);
    Replica::builder(&dir).offline().open().await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_are_one_replica_and_end_together() {
    let db = Replica::builder_in_memory().offline().open().await.unwrap();
    let clone = db.clone();
    let writing = tokio::spawn(async move {
        put(&clone, "milk", "buy").await;
        clone
    });
    let clone = writing.await.unwrap();
    assert_eq!(value(&db, "milk").as_deref(), Some("buy"));
    db.close().await;
    let refused = clone.write(|_| Ok::<_, WriteError>(())).await;
    assert!(matches!(refused, Err(WriteError::Closed)), "{refused:?}");
    // Once more does nothing.
    clone.close().await;
}

/// One in a folder, one in memory; who closes says goodbye, and the other one knows at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_in_memory_joins_and_says_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let anna = Replica::builder(folder.path().join("anna")).open().await.unwrap();
    put(&anna, "milk", "buy").await;
    let invite = anna.invite(InviteOptions::default()).await.unwrap();
    let ben = Replica::builder_in_memory().name("ben").join(invite).open().await.unwrap();
    within("joined", ben.joined()).await.unwrap();
    until("Ben has what Anna wrote", async || value(&ben, "milk").is_some()).await;
    put(&ben, "bread", "bake").await;
    until("Anna has what Ben wrote", async || value(&anna, "bread").is_some()).await;

    let linked = async || anna.status().await.peers.iter().any(|peer| peer.link.is_some());
    assert!(linked().await);
    let closing = std::time::Instant::now();
    ben.close().await;
    until("Anna knows that Ben is gone", async || !linked().await).await;
    assert!(closing.elapsed() < Duration::from_secs(10), "not by a timeout");
    anna.close().await;
}
