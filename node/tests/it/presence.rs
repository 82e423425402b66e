//! Waiting for others, and following how they are.

use std::time::Duration;

use millpond::status::PeerState;
use millpond::{Presence, PresenceEvent, PresentPeer, SyncError};
use millpond_core::NodeKey;

use crate::cluster::{Cluster, put, value, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_waits_until_it_has_what_others_had_and_they_what_it_wrote() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    anna.pause(None).await;
    within("nobody is linked", ben.caught_up()).await.unwrap();
    for number in 0..100 {
        put(anna, &number.to_string(), "value").await;
    }
    let early = tokio::time::timeout(Duration::from_millis(100), anna.synced_with(ben.key())).await;
    assert!(early.is_err(), "ben has nothing: {early:?}");
    assert_eq!(value(ben, "99"), None);
    anna.resume(None).await;
    within("ben has it on disk", anna.synced_with(ben.key())).await.unwrap();
    assert_eq!(value(ben, "99").unwrap(), "value");

    put(anna, "more", "value").await;
    within("anna has told of it", async {
        while value(ben, "more").is_none() {
            ben.caught_up().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(anna.synced_with(anna.key()).await, Ok(()));
    let stranger = NodeKey::from_bytes([9; 32]);
    assert_eq!(anna.synced_with(stranger).await, Err(SyncError::NoMember));
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_members_are_is_followed() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    let mut presence = anna.presence();
    let current = until(&mut presence, |peer| peer.state == PeerState::Current).await;
    assert_eq!((current.key, current.is_linked), (ben.key(), true));
    assert_eq!(current.we_lack.map(|lag| lag.ops), Some(0));
    ben.pause(None).await;
    until(&mut presence, |peer| !peer.is_linked).await;
    put(anna, "a", "value").await;
    until(&mut presence, |peer| peer.they_lack.is_some_and(|lag| lag.ops > 0)).await;
    ben.resume(None).await;
    until(&mut presence, |peer| peer.is_linked && peer.they_lack.is_some_and(|lag| lag.ops == 0))
        .await;
    anna.remove(ben.key()).await.unwrap();
    within("ben is gone", async {
        while presence.next().await != Some(PresenceEvent::Gone(ben.key())) {}
    })
    .await;
    anna.close().await;
    assert_eq!(within("the end", presence.next()).await, None);
    ben.close().await;
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread")]
async fn how_members_are_is_followed_over_http() {
    use crate::client::{Events, Node, config};
    use millpond::{InviteOptions, Replica};

    let node = Node::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ben = config(&folder.path().join("ben"));
    let invite = node.replica.invite(InviteOptions::default()).await.unwrap();
    Replica::prepare_join(&ben, &invite).unwrap();
    let mut events = Events::follow(&node, "/api/v1/peers/changes", &[]).await;
    let ben = Replica::open(ben).await.unwrap();
    let linked = loop {
        let event = events.next().await.expect("it goes on");
        assert_eq!((event.name.as_str(), event.id), ("peer", None), "nothing resumes from it");
        if event.data["linked"] == true {
            break event.data;
        }
    };
    assert_eq!(linked["key"], ben.key().to_string());
    assert!(linked["name"].is_string() && linked["state"].is_string(), "{linked}");
    within("joined", ben.joined()).await.unwrap();
    node.replica.remove(ben.key()).await.unwrap();
    while events.next().await.expect("it goes on").name != "gone" {}
    ben.close().await;
    node.replica.close().await;
    while events.next().await.is_some() {}
    assert_eq!(node.get("/api/v1/peers/changes?since=1").await.problem(), "bad_query");
}

async fn until(presence: &mut Presence, holds: impl Fn(&PresentPeer) -> bool) -> PresentPeer {
    within("the peer is so", async {
        loop {
            match presence.next().await.expect("it goes on") {
                PresenceEvent::Peer(peer) if holds(&peer) => return peer,
                _ => {}
            }
        }
    })
    .await
}
