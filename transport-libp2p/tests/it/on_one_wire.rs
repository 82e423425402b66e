//! Peers that hear of each other by multicast, each on a host of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use millpond_core::frame::frame;
use millpond_core::transport::{Lane, Transport};
use millpond_rig::{Host, Network};
use millpond_transport_conformance::pkcs8;
use millpond_transport_libp2p::{Libp2p, Libp2pOptions};

/// Runs on a host, in a runtime of which no thread is elsewhere.
fn on<T: Send>(host: &Host, work: impl AsyncFnOnce() -> T + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let deadline = Duration::from_secs(30);
        Ok(runtime.block_on(async { tokio::time::timeout(deadline, work()).await }))
    };
    host.within(run).unwrap().expect("it takes no 30 s")
}

fn bind(host: &Host, seed: u8) -> Libp2p {
    let mut options = Libp2pOptions::default();
    options.mdns = true;
    let at = SocketAddr::new(host.address(), 8445);
    Libp2p::bind(&pkcs8([seed; 32]), at, options).unwrap()
}

#[test]
fn peers_on_one_wire_find_each_other() {
    if let Some(why) = Network::why_not() {
        let is_required = std::env::var("MILLPOND_NETNS").is_ok_and(|it| it == "required");
        assert!(!is_required, "{why}");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
        return;
    }
    let network = Network::lan().unwrap();
    let (keys, key) = std::sync::mpsc::channel();
    let hosts = network.hosts();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            on(&hosts[1], async || {
                let acceptor = bind(&hosts[1], 2);
                keys.send(acceptor.key()).unwrap();
                let link = acceptor.accept().await.unwrap();
                let received = link.receive(Lane::Control).await.unwrap();
                link.send(Lane::Control, received).await.unwrap();
                let _ = link.receive(Lane::Control).await; // until the other has it
            });
        });
        let key = key.recv().unwrap();
        on(&hosts[0], async || {
            let dialer = bind(&hosts[0], 1);
            let mut interval = tokio::time::interval(Duration::from_millis(50));
            let found = loop {
                if let Some(found) = dialer.found(key).pop() {
                    break found;
                }
                interval.tick().await;
            };
            assert_eq!(found, format!("/ip4/{}/tcp/8445", hosts[1].address()));
            let link = dialer.dial(&found, key).await.unwrap();
            link.send(Lane::Control, frame(1, 1, b"here")).await.unwrap();
            assert_eq!(link.receive(Lane::Control).await.unwrap(), frame(1, 1, b"here"));
        });
    });
}
