//! A transport that notes what crosses its links.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use millpond::sim::shell::Cluster;
use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Lane, Link, LinkError, LinkStats, Transport};

use crate::rig::Fault;
use crate::wires::{EndId, Wires};

/// The transport of a node, and who is told of what crosses it.
pub(crate) struct Watched {
    pub(crate) inner: Arc<dyn Transport>,
    pub(crate) watch: Watch,
}

#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) node: usize,
    pub(crate) cluster: Cluster,
    pub(crate) wires: Wires,
    pub(crate) fault: Option<Fault>,
}

struct WatchedLink {
    inner: Box<dyn Link>,
    end: EndId,
    watch: Watch,
}

impl Watched {
    fn watched(&self, inner: Box<dyn Link>) -> Box<dyn Link> {
        let end = self.watch.wires.open(self.watch.node, inner.peer(), inner.dialed());
        Box::new(WatchedLink { inner, end, watch: self.watch.clone() })
    }
}

#[async_trait]
impl Transport for Watched {
    fn local_address(&self) -> String {
        self.inner.local_address()
    }

    async fn dial(&self, address: &str, expected: NodeKey) -> Result<Box<dyn Link>, DialError> {
        self.watch.wires.dial();
        Ok(self.watched(self.inner.dial(address, expected).await?))
    }

    async fn accept(&self) -> Option<Box<dyn Link>> {
        Some(self.watched(self.inner.accept().await?))
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl WatchedLink {
    fn ended<T>(&self, result: Result<T, LinkError>) -> Result<T, LinkError> {
        if result.is_err() {
            self.watch.wires.end(self.end);
        }
        result
    }
}

#[async_trait]
impl Link for WatchedLink {
    fn peer(&self) -> NodeKey {
        self.inner.peer()
    }

    fn dialed(&self) -> bool {
        self.inner.dialed()
    }

    fn transport(&self) -> &'static str {
        self.inner.transport()
    }

    fn remote_address(&self) -> String {
        self.inner.remote_address()
    }

    async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError> {
        let Watch { node, cluster, wires, fault } = &self.watch;
        cluster.may_say(*node, &frame);
        let number = wires.send(self.end, lane, &frame, cluster.now_ms());
        if *fault == Some(Fault::DropsFrames) && number == DROPPED_FRAME {
            return Ok(());
        }
        self.ended(self.inner.send(lane, frame).await)
    }

    async fn receive(&self, lane: Lane) -> Result<Bytes, LinkError> {
        let frame = self.ended(self.inner.receive(lane).await)?;
        self.watch.wires.receive(self.end, lane, &frame);
        Ok(frame)
    }

    fn close(&self, code: u32, reason: &str) {
        self.watch.wires.end(self.end);
        self.inner.close(code, reason);
    }

    fn stats(&self) -> LinkStats {
        self.inner.stats()
    }
}

impl Drop for WatchedLink {
    fn drop(&mut self) {
        self.watch.wires.end(self.end);
    }
}

/// Which frame of each lane a link that drops frames drops: one in the middle of things.
const DROPPED_FRAME: usize = 20;
