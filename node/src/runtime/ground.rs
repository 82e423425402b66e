//! What a replica stands on: a machine, or a simulated one.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::{Event, WriterHandle};
use crate::folder;
use crate::indexes::Declared;
use crate::network::Network;
use crate::store::{Store, StoreError};

/// What differs between a replica on a machine and one in a simulation. All else is the same code.
pub(crate) struct Ground {
    /// Bound and ready; `None` for a node that is alone.
    pub(crate) network: Option<Network>,
    pub(crate) clock: WallClock,
    /// Seed of all that the engine draws.
    pub(crate) seed: [u8; 32],
    pub(crate) start_writer: StartWriter,
}

/// Starts what commits jobs to a store, answers to these events, and reports the failure that ends it.
pub(crate) type StartWriter = Box<
    dyn FnOnce(Arc<dyn Store>, mpsc::Sender<Event>, Failed) -> Result<WriterHandle, StoreError>,
>;

/// Told of the failure that the writer cannot go on from.
pub(crate) type Failed = Box<dyn Fn(StoreError) + Send>;

/// What the time of day is taken from, in milliseconds since 1970.
pub(crate) type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Ground {
    /// This machine: its clock and its randomness, and a writer that keeps these indexes.
    pub(crate) fn machine(
        network: Option<Network>,
        declared: Arc<[Declared]>,
        is_in_memory: bool,
    ) -> Self {
        let start = if is_in_memory { WriterHandle::task } else { WriterHandle::thread };
        let start_writer: StartWriter =
            Box::new(move |store, events, failed| start(store, declared, events, failed));
        Self { network, clock: Arc::new(wall_ms), seed: folder::random(), start_writer }
    }
}

/// This machine's clock.
pub(crate) fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}
