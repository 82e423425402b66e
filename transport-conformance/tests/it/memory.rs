//! The transport in memory against the suite.

use std::sync::Arc;

use async_trait::async_trait;
use millpond_core::NodeKey;
use millpond_core::transport::Transport;
use millpond_transport_conformance::memory::{Hub, key_of};
use millpond_transport_conformance::{Binding, Rig, Seed};

/// Endpoints in memory.
pub struct InMemory(pub Hub);

#[async_trait]
impl Rig for InMemory {
    fn key(&self, seed: Seed) -> NodeKey {
        key_of(seed)
    }

    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(self.0.bind(key_of(binding.seed), binding.at.as_deref())?))
    }
}

millpond_transport_conformance::conformance_tests!(InMemory(Hub::new()));
