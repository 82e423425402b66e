//! A transport of your own: first the suite says whether it is one, then two replicas replicate over it.
//!
//! The transport here is `millpond-transport-unix`, which is made of nothing but the contract: read it beside this.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use millpond::{Collection, InviteOptions, Keys, OwnTransport, Record, Replica};
use millpond_core::NodeKey;
use millpond_core::transport::Transport;
use millpond_transport_conformance::{Binding, Rig, Seed, checks, pkcs8};
use millpond_transport_unix::{Unix, UnixOptions};
use ring::signature::{Ed25519KeyPair, KeyPair};

#[derive(Debug, Record)]
struct Note {
    #[millpond(key)]
    id: u32,
    text: String,
}

/// How the suite makes endpoints.
struct Sockets {
    folder: tempfile::TempDir,
    next: AtomicU32,
}

impl Sockets {
    fn path(&self) -> PathBuf {
        self.folder.path().join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

#[async_trait::async_trait]
impl Rig for Sockets {
    fn key(&self, seed: Seed) -> NodeKey {
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8(seed)).expect("any seed is one");
        NodeKey::from_bytes(pair.public_key().as_ref().try_into().expect("a key has 32 bytes"))
    }

    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
        let mut options = UnixOptions::default();
        options.idle_timeout = binding.silence_max.unwrap_or(Duration::from_secs(60));
        options.keep_alive = options.idle_timeout / 10;
        let path = binding.at.map(|address| PathBuf::from(address.trim_start_matches("unix:")));
        let path = path.unwrap_or_else(|| self.path());
        let bound = Unix::bind(&pkcs8(binding.seed), path, options);
        bound.map(|unix| Arc::new(unix) as _).map_err(|error| error.to_string())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In a crate of your own this is one line: conformance_tests!(Sockets::new());
    let rig = Arc::new(Sockets { folder: tempfile::tempdir()?, next: AtomicU32::new(0) });
    for check in checks() {
        check.run(rig.clone(), Duration::from_secs(30)).await?;
        println!("ok: {}", check.name);
    }

    let folder = tempfile::tempdir()?;
    let own = |name: &str| {
        let path = folder.path().join(name);
        OwnTransport::new(move |pkcs8| {
            let bound = Unix::bind(pkcs8, &path, UnixOptions::default());
            bound.map(|unix| Arc::new(unix) as _).map_err(|error| error.to_string())
        })
    };
    let founder = Replica::builder_in_memory().name("founder");
    let founder =
        founder.configure(|it| it.own_transports = vec![own("founder.sock")]).open().await?;
    let invite = founder.invite(InviteOptions::default()).await?;
    let joiner = Replica::builder_in_memory().name("joiner").join(invite);
    let joiner = joiner.configure(|it| it.own_transports = vec![own("joiner.sock")]).open().await?;
    joiner.joined().await?;

    founder.write(|tx| tx.store(&Note { id: 1, text: "by way of a socket".into() })).await?;
    let mut commits = joiner.committed();
    while Collection::<Note>::new(joiner.read()?).list(&Keys::all())?.is_empty() {
        commits.changed().await?;
    }
    let status = joiner.status().await;
    let link = status.peers[0].link.as_ref().expect("it has just received something");
    println!("joiner received it over {}", link.transport);
    assert_eq!(link.transport, "unix", "QUIC is there too, and costs more");
    Ok(())
}
