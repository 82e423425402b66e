//! Links that others make, and the transports that they come by.

use std::sync::Arc;

use millpond_core::NodeKey;
use millpond_core::transport::Transport;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Event;
use crate::config::Config;
use crate::key_ring::KeyRing;
use crate::network::{Routes, addresses_to_tell};
use crate::replication::Input;

/// Takes links from all transports, until they are closed.
pub(crate) fn accept(
    routes: &Routes,
    events: &mpsc::Sender<Event>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    for transport in routes.transports() {
        tasks.spawn(accept_from(transport, events.clone(), stop.clone()));
    }
}

async fn accept_from(
    transport: Arc<dyn Transport>,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) {
    loop {
        let link = tokio::select! {
            () = stop.cancelled() => return,
            link = transport.accept() => link,
        };
        let Some(link) = link else { return };
        if events.send(Event::Link(link)).await.is_err() {
            return;
        }
    }
}

/// What showing another key takes.
pub(super) struct Showing {
    pub(super) keys: Arc<KeyRing>,
    pub(super) network: Option<Arc<Routes>>,
    pub(super) config: Arc<Config>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Showing {
    /// Shows a key that was prepared: first on disk, then by transports that are bound anew, where the ones before were.
    pub(super) async fn show(self, key: NodeKey) {
        let keys = self.keys.clone();
        let advanced = tokio::task::spawn_blocking(move || keys.advance(key)).await;
        let advanced = advanced.unwrap_or_else(|panicked| Err(panicked.to_string()));
        let shown = advanced.as_ref().map(|_| key).map_err(String::clone);
        // Before any link under it is there: the hello says whose successor it is.
        let told = self.events.send(Event::Input(Input::KeyShown(shown))).await;
        let (Ok(pair), Some(network), Ok(())) = (advanced, &self.network, told) else { return };
        tokio::select! {
            () = self.stop.cancelled() => return,
            () = network.renew(&self.config, &pair) => {}
        }
        accept(network, &self.events, &self.tasks, &self.stop);
        let addresses = addresses_to_tell(&self.config, Some(network));
        let _ = self.events.send(Event::Input(Input::Listens(addresses))).await;
    }
}
