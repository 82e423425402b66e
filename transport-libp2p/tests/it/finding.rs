//! Peers that find each other, and that meet at a relay.

use std::time::Duration;

use millpond_core::NodeKey;
use millpond_core::frame::frame;
use millpond_core::transport::{DialError, Lane, Link, Transport};
use millpond_transport_conformance::pkcs8;
use millpond_transport_libp2p::{BindError, Libp2p, Libp2pOptions};

fn node(seed: u8, tune: impl FnOnce(&mut Libp2pOptions)) -> Libp2p {
    let mut options = Libp2pOptions::default();
    options.keep_alive = Duration::from_millis(100); // lost places at relays are asked for as often
    tune(&mut options);
    Libp2p::bind(&pkcs8([seed; 32]), "127.0.0.1:0".parse().unwrap(), options).unwrap()
}

/// How others write where it is.
fn whole_address(node: &Libp2p) -> String {
    format!("{}/p2p/{}", node.local_address(), node.key())
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(Duration::from_secs(30), work).await else {
        panic!("{what} took longer than 30 s")
    };
    done
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        let mut interval = tokio::time::interval(Duration::from_millis(50));
        while !holds().await {
            interval.tick().await;
        }
    };
    within(what, wait).await;
}

async fn carries(from: &dyn Link, to: &dyn Link) {
    for lane in [Lane::Control, Lane::Bulk] {
        let sent = frame(1, 1, &[7; 100_000]);
        let (sending, received) = tokio::join!(from.send(lane, sent.clone()), to.receive(lane));
        sending.unwrap();
        assert_eq!(received.unwrap(), sent);
    }
}

async fn link(from: &Libp2p, to: &Libp2p, at: &str) -> (Box<dyn Link>, Box<dyn Link>) {
    let both = async { tokio::join!(from.dial(at, to.key()), to.accept()) };
    let (dialed, accepted) = within("a dial", both).await;
    (dialed.unwrap(), accepted.unwrap())
}

/// A relay, and two nodes with places at it.
async fn at_a_relay(punch: bool) -> (Libp2p, Libp2p, Libp2p) {
    let relay = node(1, |options| options.relay_for_members = true);
    let place = |seed| {
        node(seed, |options| {
            options.relays = vec![whole_address(&relay)];
            options.hole_punching = punch;
        })
    };
    let (a, b) = (place(2), place(3));
    relay.members(&[a.key(), b.key()]);
    (relay, a, b)
}

/// Dials through the relay until the other has its place there.
async fn meet(a: &Libp2p, b: &Libp2p) -> (Box<dyn Link>, Box<dyn Link>) {
    let address = &b.relayed_addresses()[0];
    assert!(address.ends_with("/p2p-circuit"), "{address}");
    let dialing = async {
        loop {
            match a.dial(address, b.key()).await {
                Ok(link) => return link,
                Err(error) => assert!(matches!(error, DialError::Unreachable { .. }), "{error}"),
            }
        }
    };
    let (dialed, accepted) =
        within("a dial through a relay", async { tokio::join!(dialing, b.accept()) }).await;
    (dialed, accepted.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_found_in_the_table_that_others_keep() {
    let begin = node(1, |options| options.kademlia = true);
    let joins = |seed| {
        node(seed, |options| {
            options.kademlia = true;
            options.bootstrap = vec![whole_address(&begin)];
        })
    };
    let (a, b) = (joins(2), joins(3));
    let known = b.local_address();
    until("b is found", async || a.found(b.key()).contains(&known)).await;
    let (dialed, accepted) = link(&a, &b, &a.found(b.key())[0]).await;
    carries(&*dialed, &*accepted).await;
    assert!(a.found(NodeKey::from_bytes([9; 32])).is_empty(), "nobody is found who is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_find_nobody_unless_they_are_told_to() {
    let (a, b) = (node(2, |_| {}), node(3, |_| {}));
    let _links = link(&a, &b, &b.local_address()).await;
    assert!(a.found(b.key()).is_empty());
    assert!(a.relayed_addresses().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn members_meet_at_a_relay() {
    let (_relay, a, b) = at_a_relay(false).await;
    let (dialed, accepted) = meet(&a, &b).await;
    assert_eq!((dialed.peer(), accepted.peer()), (b.key(), a.key()));
    assert!(dialed.dialed() && !accepted.dialed());
    assert!(dialed.remote_address().contains("p2p-circuit"), "{}", dialed.remote_address());
    carries(&*dialed, &*accepted).await;
    carries(&*accepted, &*dialed).await;
    dialed.close(7, "enough");
    assert!(within("the end", accepted.receive(Lane::Control)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_is_not_carried() {
    let (relay, a, b) = at_a_relay(false).await;
    drop(meet(&a, &b).await);
    let stranger = node(4, |options| options.relays = vec![whole_address(&relay)]);
    let refused = within("a dial", stranger.dial(&b.relayed_addresses()[0], b.key())).await;
    assert!(matches!(refused, Err(DialError::Unreachable { .. })));
    // Nor whoever is none any more.
    let (dialed, _accepted) = meet(&a, &b).await;
    relay.members(&[b.key()]);
    assert!(within("the end", dialed.receive(Lane::Control)).await.is_err());
    let refused = within("a dial", a.dial(&b.relayed_addresses()[0], b.key())).await;
    assert!(matches!(refused, Err(DialError::Unreachable { .. })));
}

/// On loopback every hole is open: what is shown is that the direct connection takes the place of the relayed one.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_met_at_a_relay_go_on_without_it() {
    let (relay, a, b) = at_a_relay(true).await;
    let (dialed, accepted) = meet(&a, &b).await;
    assert!(dialed.dialed() && !accepted.dialed());
    assert!(!dialed.remote_address().contains("p2p-circuit"), "{}", dialed.remote_address());
    relay.close().await;
    carries(&*dialed, &*accepted).await;
    carries(&*accepted, &*dialed).await;
}

#[tokio::test]
async fn a_place_at_a_relay_is_no_address_for_who_uses_none() {
    let (a, b) = (node(2, |_| {}), node(3, |_| {}));
    let address = format!("{}/p2p-circuit", whole_address(&b));
    let address = address
        .replace(&b.key().to_string(), "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo");
    let refused = a.dial(&address, b.key()).await;
    assert!(matches!(refused, Err(DialError::Address { .. })));
}

#[tokio::test]
async fn a_relay_that_is_no_address_is_refused() {
    for text in ["", "/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1/p2p/anna", "/dns/a/tcp/1/p2p/00"]
    {
        let mut options = Libp2pOptions::default();
        options.relays = vec![text.to_owned()];
        let bound = Libp2p::bind(&pkcs8([1; 32]), "127.0.0.1:0".parse().unwrap(), options);
        assert!(matches!(bound, Err(BindError::MalformedPeer { .. })), "{text}");
    }
}
