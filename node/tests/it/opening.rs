//! Opening, cloning and closing replicas, as an application does.

use std::time::Duration;

use millpond::store::StoreError;
use millpond::{InviteOptions, JoinError, OpenError, Replica, WriteError};

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

/// Each has data, in a domain of its own; they meet, by an invite and on the wire.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_data_of_two_domains_keep_everything() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |name: &str| {
        let listen = "127.0.0.1:0".parse().unwrap();
        Replica::builder(folder.path().join(name)).name(name).listen(listen).open().await.unwrap()
    };
    let (anna, ben) = (open("anna").await, open("ben").await);
    put(&anna, "milk", "buy").await;
    put(&ben, "bread", "bake").await;
    let seals = (anna.seal().await.unwrap(), ben.seal().await.unwrap());
    let invite = anna.invite(InviteOptions::default()).await.unwrap();
    let refused = ben.join(invite.clone()).await.unwrap_err();
    assert!(matches!(refused, JoinError::OtherDomain { .. }), "{refused}");

    // Cleo has written nothing, but has what Anna wrote, and Anna for company.
    let cleo = Replica::builder_in_memory().name("cleo").join(invite).open().await.unwrap();
    within("joined", cleo.joined()).await.unwrap();
    let theirs = ben.invite(InviteOptions::default()).await.unwrap();
    let refused = cleo.join(theirs.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
    until("Cleo has what Anna wrote", async || value(&cleo, "milk").is_some()).await;

    assert_eq!((anna.seal().await.unwrap(), ben.seal().await.unwrap()), seals);
    put(&ben, "bread", "eat").await;
    put(&cleo, "milk", "drink").await;
    until("Anna has what Cleo wrote", async || value(&anna, "milk").as_deref() == Some("drink"))
        .await;
    assert_eq!(value(&ben, "bread").as_deref(), Some("eat"));
    assert!(value(&ben, "milk").is_none() && value(&anna, "bread").is_none());
    for replica in [anna, ben, cleo] {
        replica.close().await;
    }
}

/// A folder that was just made, with indexes of nothing and an invite of its own; then a restart.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_replica_joins_while_it_runs_and_after_a_restart_it_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("ben");
    let anna = Replica::builder_in_memory().name("anna").open().await.unwrap();
    put(&anna, "milk", "buy").await;
    let ben = Replica::builder(&dir).name("ben").open().await.unwrap();
    within("joined its own", ben.joined()).await.unwrap();
    ben.invite(InviteOptions::default()).await.unwrap();
    ben.join(anna.invite(InviteOptions::default()).await.unwrap()).await.unwrap();
    within("joined", ben.joined()).await.unwrap();
    until("Ben has what Anna wrote", async || value(&ben, "milk").is_some()).await;
    let domain = anna.status().await.node.domain;
    assert_eq!(ben.status().await.node.domain, domain);
    put(&ben, "bread", "bake").await;
    until("Anna has what Ben wrote", async || value(&anna, "bread").is_some()).await;
    ben.close().await;
    drop(ben);
    let ben = Replica::builder(&dir).name("ben").open().await.unwrap();
    assert_eq!(ben.status().await.node.domain, domain);
    put(&ben, "bread", "eat").await;
    until("Anna has that too", async || value(&anna, "bread").as_deref() == Some("eat")).await;
    ben.close().await;
    anna.close().await;
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
