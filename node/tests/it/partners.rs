//! Partners that are known by certificates, and take from each other or from one side only.

use millpond::{Certificate, Config, Direction, InviteOptions, LinkSettings, Replica};

use crate::cluster::{put, until, value, within};

/// Two nodes, the second of which was invited by the first, with what each says of the other.
async fn pair(here: Direction, there: Direction) -> (tempfile::TempDir, Replica, Replica) {
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str| {
        let mut config = Config::new(folder.path().join(name));
        config.state_dir = Some(folder.path().join("state"));
        config
    };
    let (mut first, mut second) = (config("first"), config("second"));
    Replica::init(&first).unwrap();
    let node = Replica::open(first.clone()).await.unwrap();
    let invite = node.invite(InviteOptions::default()).await.unwrap();
    Replica::prepare_join(&second, &invite).unwrap();
    let other = Replica::open(second.clone()).await.unwrap();
    within("joined", other.joined()).await.unwrap();
    until("both know each other", async || {
        let has_peer = async |node: &Replica| {
            let peers = node.status().await.peers;
            peers.first().is_some_and(|peer| !peer.addresses.is_empty())
        };
        has_peer(&node).await && has_peer(&other).await
    })
    .await;

    // From the line that one prints to the settings of the other.
    let keys = [node.key(), other.key()].map(|key| {
        let line = Certificate::of(key).to_string();
        line.parse::<Certificate>().unwrap().key().to_string()
    });
    let addresses = [&node, &other].map(|node| node.local_address().unwrap());
    let link = |index: usize, direction: Direction| {
        let mut link = LinkSettings::new(keys[index].clone());
        link.address = Some(addresses[index].clone());
        link.direction = direction;
        link.dial = direction != Direction::Serve;
        link
    };
    first.topology.links = vec![link(1, here)];
    second.topology.links = vec![link(0, there)];
    for (config, address) in [&mut first, &mut second].into_iter().zip(&addresses) {
        config.listen = address.parse().unwrap();
    }
    node.close().await;
    other.close().await;
    drop((node, other));
    let node = Replica::open(first).await.unwrap();
    let other = Replica::open(second).await.unwrap();
    until("they are linked", async || {
        let is_linked =
            async |node: &Replica| node.status().await.peers.iter().any(|peer| peer.link.is_some());
        is_linked(&node).await && is_linked(&other).await
    })
    .await;
    (folder, node, other)
}

async fn direction(node: &Replica) -> Option<Direction> {
    let peers = node.status().await.peers;
    peers.first().and_then(|peer| Some(peer.link.as_ref()?.direction))
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_take_from_each_other() {
    let (_folder, first, second) = pair(Direction::Both, Direction::Both).await;
    put(&first, "a", "first").await;
    put(&second, "b", "second").await;
    until("both have both", async || value(&first, "b").is_some() && value(&second, "a").is_some())
        .await;
    first.close().await;
    second.close().await;
}

/// Each side alone is enough: what one may not give the other does not get, whatever that one wants.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_side_does_not_allow_does_not_pass() {
    for (here, there) in [
        (Direction::Serve, Direction::Pull),
        (Direction::Serve, Direction::Both),
        (Direction::Both, Direction::Pull),
    ] {
        let (_folder, first, second) = pair(here, there).await;
        put(&second, "back", "kept here").await;
        put(&first, "a", "one").await;
        until("what is given arrives", async || value(&second, "a").is_some()).await;
        put(&first, "b", "two").await;
        until("and what follows", async || value(&second, "b").is_some()).await;
        assert_eq!(value(&first, "back"), None, "{here:?}, {there:?}: it came back");
        assert_eq!((direction(&first).await, direction(&second).await), (Some(here), Some(there)));
        first.close().await;
        second.close().await;
    }
}

/// The certificate was copied from another node.
#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_is_no_member_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path().join("first"));
    Replica::init(&config).unwrap();
    let mut link = LinkSettings::new("07".repeat(32));
    link.address = Some("127.0.0.1:9".into());
    config.topology.links = vec![link];
    let node = Replica::open(config).await.unwrap();
    let warnings = node.status().await.warnings;
    let is_told = |warning: &String| warning.contains("07070707 at 127.0.0.1:9 is no member");
    assert!(warnings.iter().any(is_told), "{warnings:?}");
    node.close().await;
}
