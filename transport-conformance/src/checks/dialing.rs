//! Many dials, and peers that come back.

use std::sync::Arc;
use std::time::Duration;

use millpond_core::transport::{Lane, Link};
use tokio::task::JoinSet;

use crate::Broken;
use crate::broken::ensure;
use crate::frames::{number_of, numbered};
use crate::nodes::{Node, Pair, Suite, skipped};

/// Two endpoints that dial each other at the same moment get two links, each of which lives by itself.
pub(crate) async fn simultaneous_dials_give_two_links(suite: &Suite) -> Result<(), Broken> {
    let (a, b) = (suite.node().await?, suite.node().await?);
    for round in 0..10 {
        let (a_dialed, b_dialed, a_accepted, b_accepted) = tokio::try_join!(
            suite.dial(&a, &b),
            suite.dial(&b, &a),
            suite.accept(&a),
            suite.accept(&b)
        )?;
        suite.carries(&*a_dialed, &*b_accepted).await?;
        suite.carries(&*b_dialed, &*a_accepted).await?;
        a_dialed.close(round, "the other one stays");
        suite.ended(&*b_accepted, Lane::Control).await?;
        suite.carries(&*b_dialed, &*a_accepted).await?;
    }
    Ok(())
}

/// Many peers that dial one endpoint at once, go, and come again, are all served.
pub(crate) async fn a_storm_of_dials_is_served(suite: &Suite) -> Result<(), Broken> {
    let hub = suite.node().await?;
    let mut peers = Vec::new();
    for _ in 0..STORM_PEERS {
        peers.push(suite.node().await?);
    }
    for _ in 0..STORM_ROUNDS {
        let (address, key) = (hub.address(), hub.key);
        let mut dials = JoinSet::new();
        for peer in &peers {
            let (transport, address) = (Arc::clone(&peer.transport), address.clone());
            dials.spawn(async move { transport.dial(&address, key).await });
        }
        let mut dialed: Vec<Arc<dyn Link>> = Vec::new();
        let mut accepted: Vec<Arc<dyn Link>> = Vec::new();
        let storm = async {
            let dialing = async {
                while let Some(link) = dials.join_next().await {
                    let link =
                        link.map_err(|error| Broken::new(format!("a dial panicked: {error}")))?;
                    let link = link
                        .map_err(|error| Broken::new(format!("a dial of many failed: {error}")))?;
                    dialed.push(link.into());
                }
                Ok(())
            };
            let accepting = async {
                while accepted.len() < STORM_PEERS {
                    accepted.push(suite.accept(&hub).await?);
                }
                Ok(())
            };
            tokio::try_join!(dialing, accepting)
        };
        suite.within("serving many dials", storm).await??;
        for peer in &peers {
            let links = accepted.iter().filter(|link| link.peer() == peer.key).count();
            ensure!(links == 1, "{links} links came from a peer that has dialled once");
        }
        for (number, link) in accepted.iter().enumerate() {
            suite.send(&**link, Lane::Control, numbered(number as u32, 10)).await?;
        }
        let mut seen = [false; STORM_PEERS];
        for link in &dialed {
            let number = number_of(&suite.receive(&**link, Lane::Control).await?) as usize;
            ensure!(
                seen.get(number) == Some(&false),
                "frame {number} arrived at two peers, or was made up"
            );
            seen[number] = true;
        }
        for link in &dialed {
            link.close(1, "again");
        }
        for link in &accepted {
            suite.ended(&**link, Lane::Control).await?;
        }
    }
    Ok(())
}

const STORM_PEERS: usize = 16;
const STORM_ROUNDS: u32 = 4;

/// A peer that was closed and is back at its address, with its key, is dialled as before.
pub(crate) async fn a_restarted_peer_is_dialled_again(suite: &Suite) -> Result<(), Broken> {
    let Pair { mut dialer, mut acceptor, dialed, accepted } = suite.linked().await?;
    let mut links = (dialed, accepted);
    for restarts_acceptor in [true, false, true] {
        if restarts_acceptor {
            acceptor = restarted(suite, acceptor, links.1).await?;
            suite.ended(&*links.0, Lane::Control).await?;
        } else {
            dialer = restarted(suite, dialer, links.0).await?;
            suite.ended(&*links.1, Lane::Control).await?;
        }
        let (dialed, accepted) =
            tokio::try_join!(suite.dial(&dialer, &acceptor), suite.accept(&acceptor))?;
        ensure!(dialed.peer() == acceptor.key, "a restart changed the acceptor's key");
        ensure!(accepted.peer() == dialer.key, "a restart changed the dialler's key");
        suite.carries(&*dialed, &*accepted).await?;
        links = (dialed, accepted);
    }
    Ok(())
}

async fn restarted(suite: &Suite, node: Node, link: Arc<dyn Link>) -> Result<Node, Broken> {
    let (seed, address) = (node.seed, node.address());
    suite.within("closing", node.transport.close()).await?;
    drop((node, link));
    let bound = async {
        loop {
            if let Ok(node) = suite.again(seed, Some(address.clone())).await {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(5)).await; // until the system has let go of it
        }
    };
    suite.within("binding the address of a closed transport", bound).await
}

/// A peer is its key and not its address.
pub(crate) async fn a_peer_that_moved_is_the_same(suite: &Suite) -> Result<(), Broken> {
    let pair = suite.linked().await?;
    let (seed, key, before) = (pair.acceptor.seed, pair.acceptor.key, pair.acceptor.address());
    suite.within("closing", pair.acceptor.transport.close()).await?;
    suite.ended(&*pair.dialed, Lane::Control).await?;
    // Somebody else takes the address, where that is possible.
    let squatter = suite.again(suite.node().await?.seed, Some(before.clone())).await;
    let moved = suite.again(seed, None).await?;
    if squatter.is_ok() {
        suite.dial_in_vain(&pair.dialer, &before, key).await?;
    }
    let again = suite.link(pair.dialer, moved).await?;
    ensure!(again.dialed.peer() == key, "a peer that moved has another key");
    suite.carries(&*again.dialed, &*again.accepted).await
}

/// A link that survives a change of its peer's address loses nothing by it.
pub(crate) async fn an_address_that_changes_on_the_way_loses_nothing(
    suite: &Suite,
) -> Result<(), Broken> {
    let (dialer, acceptor) = (suite.node().await?, suite.node().await?);
    let Some(path) = suite.rig.path(&acceptor.address()).await else {
        return skipped("the rig has no paths");
    };
    let pair = suite.link_at(dialer, acceptor, &path.address()).await?;
    let sent = async {
        for number in 0..200 {
            suite.send(&*pair.dialed, Lane::Control, numbered(number, 2_000)).await?;
        }
        Ok(())
    };
    let received = async {
        for number in 0..200 {
            if number % 50 == 25 && !path.rebind().await {
                return Ok(false);
            }
            let received = suite.receive(&*pair.accepted, Lane::Control).await?;
            ensure!(received == numbered(number, 2_000), "frame {number} arrived changed");
        }
        Ok(true)
    };
    let moved = tokio::select! {
        moved = received => moved?,
        Err(broken) = sent => return Err(broken),
    };
    if !moved {
        return skipped("links of this transport end when an address changes");
    }
    suite.carries(&*pair.dialed, &*pair.accepted).await
}
