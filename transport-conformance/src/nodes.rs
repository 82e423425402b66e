//! Endpoints and links between them, and the deadline of everything.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use millpond_core::NodeKey;
use millpond_core::transport::{DialError, Lane, Link, LinkError, Transport};
use tokio::runtime::Runtime;

use crate::{Binding, Broken, Rig, Seed};

/// What every check works with.
pub(crate) struct Suite {
    pub(crate) rig: Arc<dyn Rig>,
    pub(crate) patience: Duration,
}

/// One endpoint.
pub(crate) struct Node {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) seed: Seed,
    pub(crate) key: NodeKey,
}

/// Two endpoints and both ends of a link between them.
pub(crate) struct Pair {
    pub(crate) dialer: Node,
    pub(crate) acceptor: Node,
    pub(crate) dialed: Arc<dyn Link>,
    pub(crate) accepted: Arc<dyn Link>,
}

impl Suite {
    /// An endpoint with a key of its own.
    pub(crate) async fn node(&self) -> Result<Node, Broken> {
        self.bound(Self::binding()).await
    }

    /// An endpoint that soon takes a silent peer for lost.
    pub(crate) async fn impatient_node(&self) -> Result<Node, Broken> {
        let binding = Binding { silence_max: Some(SILENCE), ..Self::binding() };
        self.bound(binding).await
    }

    /// An endpoint with a runtime of its own, which dies with it in the middle of whatever it does.
    pub(crate) async fn doomed_node(&self) -> Result<(Node, Runtime), Broken> {
        let (suite, binding) =
            (Self { rig: Arc::clone(&self.rig), patience: self.patience }, Self::binding());
        let binding = Binding { silence_max: Some(SILENCE), ..binding };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Broken::new(format!("no runtime: {error}")))?;
        let bound = runtime.spawn(async move { suite.bound(binding).await });
        let node =
            bound.await.map_err(|error| Broken::new(format!("binding panicked: {error}")))??;
        Ok((node, runtime))
    }

    fn binding() -> Binding {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut seed = [0x5e; 32];
        seed[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Binding { seed, at: None, silence_max: None }
    }

    /// The endpoint with this identity, at this address or anywhere.
    pub(crate) async fn again(&self, seed: Seed, at: Option<String>) -> Result<Node, Broken> {
        self.bound(Binding { seed, at, silence_max: None }).await
    }

    async fn bound(&self, binding: Binding) -> Result<Node, Broken> {
        let seed = binding.seed;
        let transport = self.within("binding", self.rig.bind(binding)).await?;
        let transport =
            transport.map_err(|error| Broken::new(format!("it was not bound: {error}")))?;
        Ok(Node { transport, seed, key: self.rig.key(seed) })
    }

    /// Two endpoints with a link between them.
    pub(crate) async fn linked(&self) -> Result<Pair, Broken> {
        let (dialer, acceptor) = (self.node().await?, self.node().await?);
        self.link(dialer, acceptor).await
    }

    /// A link between two endpoints.
    pub(crate) async fn link(&self, dialer: Node, acceptor: Node) -> Result<Pair, Broken> {
        let address = acceptor.address();
        self.link_at(dialer, acceptor, &address).await
    }

    /// A link between two endpoints by way of another address.
    pub(crate) async fn link_at(
        &self,
        dialer: Node,
        acceptor: Node,
        address: &str,
    ) -> Result<Pair, Broken> {
        let (dialed, accepted) =
            tokio::join!(self.dial_at(&dialer, &acceptor, address), self.accept(&acceptor));
        let (dialed, accepted) = (dialed?, accepted?);
        Ok(Pair { dialer, acceptor, dialed, accepted })
    }

    pub(crate) async fn dial(&self, from: &Node, to: &Node) -> Result<Arc<dyn Link>, Broken> {
        self.dial_at(from, to, &to.address()).await
    }

    async fn dial_at(
        &self,
        from: &Node,
        to: &Node,
        address: &str,
    ) -> Result<Arc<dyn Link>, Broken> {
        let dialed = self.within("a dial", from.transport.dial(address, to.key)).await?;
        dialed.map(Arc::from).map_err(|error| Broken::new(format!("a dial failed: {error}")))
    }

    /// Dials whom nobody should reach.
    pub(crate) async fn dial_in_vain(
        &self,
        from: &Node,
        address: &str,
        expected: NodeKey,
    ) -> Result<DialError, Broken> {
        match self.within("a dial in vain", from.transport.dial(address, expected)).await? {
            Ok(_) => Err(Broken::new(format!("dialling {address:?} for another key gave a link"))),
            Err(error) => Ok(error),
        }
    }

    pub(crate) async fn accept(&self, node: &Node) -> Result<Arc<dyn Link>, Broken> {
        let accepted = self.within("accepting", node.transport.accept()).await?;
        accepted.map(Arc::from).ok_or_else(|| Broken::new("an open transport accepts no more"))
    }

    pub(crate) async fn send(
        &self,
        link: &dyn Link,
        lane: Lane,
        frame: Bytes,
    ) -> Result<(), Broken> {
        let sent = self.within("sending a frame", link.send(lane, frame)).await?;
        sent.map_err(|error| Broken::new(format!("a frame was not sent: {error}")))
    }

    pub(crate) async fn receive(&self, link: &dyn Link, lane: Lane) -> Result<Bytes, Broken> {
        let received = self.within("receiving a frame", link.receive(lane)).await?;
        received.map_err(|error| Broken::new(format!("a frame was not received: {error}")))
    }

    /// That a link carries frames both ways on both lanes.
    pub(crate) async fn carries(&self, one: &dyn Link, other: &dyn Link) -> Result<(), Broken> {
        for lane in [Lane::Control, Lane::Bulk] {
            for (from, to) in [(one, other), (other, one)] {
                let frame = crate::frames::numbered(77, 100);
                self.send(from, lane, frame.clone()).await?;
                let received = self.receive(to, lane).await?;
                crate::broken::ensure!(received == frame, "another frame arrived than was sent");
            }
        }
        Ok(())
    }

    /// The error with which a lane ends: whole frames may come before.
    pub(crate) async fn ended(&self, link: &dyn Link, lane: Lane) -> Result<LinkError, Broken> {
        let ended = async {
            loop {
                if let Err(error) = link.receive(lane).await {
                    return error;
                }
            }
        };
        self.within("the end of a link", ended).await
    }

    /// Ends a check instead of hanging it.
    pub(crate) async fn within<T>(
        &self,
        what: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, Broken> {
        let done = tokio::time::timeout(self.patience, work).await;
        done.map_err(|_| Broken::new(format!("{what} took longer than {:?}", self.patience)))
    }
}

impl Node {
    pub(crate) fn address(&self) -> String {
        self.transport.local_address()
    }
}

/// Polls a future so many times at most, and drops it then.
pub(crate) async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut left = polls;
    let done = {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(move |context| match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left <= 1 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    };
    if done.is_none() {
        tokio::task::yield_now().await; // whoever tries again lets others go on
    }
    done
}

/// Says that a rig lacks what a check needs.
pub(crate) fn skipped(why: &str) -> Result<(), Broken> {
    eprintln!("skipped: {why}");
    Ok(())
}

/// When a silent peer counts as lost where a check waits for that: longer than a busy machine keeps its own nodes from
/// each other.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
