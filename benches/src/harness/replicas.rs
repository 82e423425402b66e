//! Replicas for a scenario, each in a folder of its own.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use millpond::{Config, InviteOptions, Replica};
use millpond_core::VersionVector;
use serde_json::Value;

use crate::Result;
use crate::workload::Row;

/// The configuration of the node of this name, its lease beside the folder.
pub fn config(folder: &Path, name: &str) -> Config {
    let mut config = Config::new(folder.join(name));
    config.state_dir = Some(folder.join("state"));
    config
}

/// The first node of a domain.
pub async fn found(config: &Config) -> Result<Replica> {
    Replica::init(config)?;
    let node = Replica::open(config.clone()).await?;
    node.joined().await?;
    Ok(node)
}

/// Makes a folder that will join at `inviter` when it is opened.
pub async fn prepare_join(config: &Config, inviter: &Replica) -> Result<()> {
    let invite = inviter.invite(InviteOptions::default()).await?;
    Ok(Replica::prepare_join(config, &invite)?)
}

/// Writes rows in transactions of a thousand.
pub async fn load(node: &Replica, rows: &[Row], fields: &[String]) -> Result<()> {
    for chunk in rows.chunks(LOAD_ROWS / fields.len().clamp(1, LOAD_ROWS)) {
        let (chunk, fields) = (chunk.to_vec(), fields.to_vec());
        node.write(move |tx| {
            chunk.iter().try_for_each(|row| fields.iter().try_for_each(|field| row.put(tx, field)))
        })
        .await?;
    }
    Ok(())
}

/// Waits until a node has committed all that a vector covers.
pub async fn covers(node: &Replica, vv: &VersionVector) -> Result<()> {
    let mut committed = node.committed();
    match tokio::time::timeout(PATIENCE, committed.covers(vv)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err("the node stopped before it was level".into()),
        Err(_) => Err(format!("the node was not level within {} s", PATIENCE.as_secs()).into()),
    }
}

/// Waits until a node and all others feed each other.
pub async fn linked(node: &Replica, others: usize) -> Result<()> {
    let linked = async {
        loop {
            let status = node.status().await;
            let links = status.peers.iter().filter_map(|peer| peer.link.as_ref());
            if links.filter(|link| link.fed && link.feeding).count() == others {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, linked).await {
        Ok(linked) => linked,
        Err(_) => Err(format!("no links within {} s", PATIENCE.as_secs()).into()),
    }
}

/// Whether what has become visible is still being moved to where it stays.
pub async fn is_folding(node: &Replica) -> Result<bool> {
    let status = serde_json::to_value(node.status().await)?;
    let namespaces = status["namespaces"].as_array().ok_or("a status has namespaces")?;
    let is_there = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
    Ok(namespaces.iter().any(|namespace| is_there(namespace.get("folding"))))
}

/// Waits until a node has a link to another, whatever goes over it.
pub async fn connected(node: &Replica) -> Result<()> {
    let connected = async {
        while node.status().await.peers.iter().all(|peer| peer.link.is_none()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, connected).await {
        Ok(()) => Ok(()),
        Err(_) => Err(format!("no link within {} s", PATIENCE.as_secs()).into()),
    }
}

/// Waits until a node can listen at an address where another one did: on a machine under load its
/// connections may take seconds to drain after it has closed.
pub async fn port_is_free(address: SocketAddr) -> Result<()> {
    let free = async {
        while UdpSocket::bind(address).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, free).await {
        Ok(()) => Ok(()),
        Err(_) => Err(format!("{address} was not free within {} s", PATIENCE.as_secs()).into()),
    }
}

/// Checks that two nodes hold the same data, of this many rows.
pub async fn check_same(left: &Replica, right: &Replica, rows: u64) -> Result<()> {
    let (left, right) = (left.seal().await?, right.seal().await?);
    if left.digest != right.digest || left.rows != rows {
        return Err(format!("the nodes differ: {left:?} and {right:?}, {rows} rows wanted").into());
    }
    Ok(())
}

/// Puts of one transaction of the load.
const LOAD_ROWS: usize = 1_000;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
