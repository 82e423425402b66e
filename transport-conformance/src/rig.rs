//! What an author tells of a transport, so that it can be checked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::{Lane, Transport};

/// Who an endpoint is: the secret of an Ed25519 key, for transports that have keys.
pub type Seed = [u8; 32];

/// How to bind an endpoint.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Binding {
    /// Its identity.
    pub seed: Seed,
    /// Where to listen: an address that an endpoint of this rig had before, or anywhere.
    pub at: Option<String>,
    /// When a peer of which nothing is heard counts as lost. Without it, so late that no busy machine gets there:
    /// a minute.
    pub silence_max: Option<Duration>,
}

/// How endpoints of one transport are made. Endpoints of one rig reach each other.
#[async_trait]
pub trait Rig: Send + Sync + 'static {
    /// The key of whoever has this identity.
    fn key(&self, seed: Seed) -> NodeKey;

    /// Binds an endpoint, within the runtime of the caller. Its deadline of a dial should be generous: many checks
    /// run at the same time.
    ///
    /// # Errors
    /// Why there is none, in words.
    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String>;

    /// A way to the endpoint at `to` of which the check has control.
    async fn path(&self, to: &str) -> Option<Box<dyn Path>> {
        let _ = to;
        None
    }

    /// A link to the endpoint at `to` that proves the key of `seed`, has both lanes open, and then sends whatever it
    /// is told.
    async fn raw(&self, seed: Seed, to: &str, expected: NodeKey) -> Option<Box<dyn RawLink>> {
        let _ = (seed, to, expected);
        None
    }

    /// Bytes that one lane may take from its sender while nobody receives at the other end: buffers of both ends and
    /// of the network between. At most 8 MiB unless it says more.
    fn lane_bytes_max(&self) -> usize {
        8 << 20
    }
}

/// A way between a dialler and an endpoint.
#[async_trait]
pub trait Path: Send + Sync {
    /// What to dial.
    fn address(&self) -> String;

    /// Lets so many bytes through in a second, each way; all without a figure.
    fn throttle(&self, bytes_per_s: Option<u64>);

    /// Ends what is under way, in the middle of whatever it carries, and lets nothing through any more.
    fn cut(&self);

    /// From now on the endpoint sees its peer come from another address. False where links do not survive that.
    async fn rebind(&self) -> bool {
        false
    }
}

/// A peer that has finished its handshake, and is bound by nothing.
#[async_trait]
pub trait RawLink: Send {
    /// Sends bytes on a lane, all of them, without delay.
    async fn write(&mut self, lane: Lane, bytes: &[u8]);

    /// Ends the sending half of a lane, and leaves all else open.
    async fn end(&mut self, lane: Lane);

    /// Waits until the other side has ended the link.
    async fn ended(&mut self);
}

/// The Ed25519 key pair of a seed as PKCS#8 (RFC 8410), which is what most libraries read.
pub fn pkcs8(seed: Seed) -> Vec<u8> {
    let mut bytes = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    bytes.extend_from_slice(&seed);
    bytes
}
