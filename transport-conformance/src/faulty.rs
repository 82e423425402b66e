//! Transports that break a rule, to see whether the suite notices.
//!
//! A check that has caught nothing proves nothing. [`Faulty`] wraps whatever a rig binds and takes one rule out;
//! the check of that rule has to fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use millpond_core::NodeKey;
use millpond_core::frame::{frame, split_frame};
use millpond_core::limits::FRAME_BYTES_MAX;
use millpond_core::transport::{DialError, Lane, Link, LinkError, LinkStats, Transport};
use tokio::sync::{Mutex, mpsc};

use crate::{Binding, Path, RawLink, Rig, Seed};

/// One rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each says what it does wrong")]
#[non_exhaustive]
pub enum Fault {
    ShowsItsOwnKeyAsThePeers,
    SaysThatItDialled,
    TakesAnyKey,
    TakesAnyTextForAnAddress,
    WaitsForNobody,
    SwapsFrames,
    DropsFrames,
    DoublesFrames,
    MergesLanes,
    RefusesTheLargestFrame,
    SwallowsWhatIsNoFrame,
    DiesOfWhatIsNoFrame,
    CountsNothing,
    HandsOutTornFrames,
    HidesWhatIsNoFrame,
    SendsOneLaneAtATime,
    SendsOneLinkAtATime,
    BuffersWithoutBound,
    DropsWhatWaits,
    LosesReasons,
    CutsReasonsShort,
    ClosesBehindFrames,
    KeepsDroppedLinks,
    EndsLanesAlone,
    MissesEnds,
    TiresOfSilence,
    AcceptsWhenClosed,
    DialsWhenClosed,
    KeepsItsAddress,
    LinksOncePerPeer,
    GoesDeaf,
    LosesDroppedAccepts,
    LosesDroppedReceives,
    RepeatsDroppedSends,
    KeepsDroppedDials,
    ForgetsDroppedCloses,
}

/// A rig whose endpoints all have one fault.
pub struct Faulty<R> {
    rig: R,
    fault: Fault,
    /// Who is where, for those that take any key.
    keys: Arc<std::sync::Mutex<Vec<(String, NodeKey)>>>,
}

impl<R: Rig> Faulty<R> {
    /// A rig like another one, with a fault.
    pub fn new(rig: R, fault: Fault) -> Self {
        Self { rig, fault, keys: Arc::default() }
    }
}

#[async_trait]
impl<R: Rig> Rig for Faulty<R> {
    fn key(&self, seed: Seed) -> NodeKey {
        self.rig.key(seed)
    }

    async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
        let key = self.rig.key(binding.seed);
        let inner = self.rig.bind(binding).await?;
        self.keys.lock().expect("no panic").push((inner.local_address(), key));
        Ok(Arc::new(FaultyTransport {
            inner,
            key,
            fault: self.fault,
            keys: Arc::clone(&self.keys),
            is_closed: AtomicBool::new(false),
            accepted: AtomicU32::new(0),
            sending: Arc::default(),
            linked: std::sync::Mutex::default(),
        }))
    }

    async fn path(&self, to: &str) -> Option<Box<dyn Path>> {
        self.rig.path(to).await
    }

    async fn raw(&self, seed: Seed, to: &str, expected: NodeKey) -> Option<Box<dyn RawLink>> {
        self.rig.raw(seed, to, expected).await
    }
}

struct FaultyTransport {
    inner: Arc<dyn Transport>,
    key: NodeKey,
    fault: Fault,
    keys: Arc<std::sync::Mutex<Vec<(String, NodeKey)>>>,
    is_closed: AtomicBool,
    accepted: AtomicU32,
    sending: Arc<Mutex<()>>,
    linked: std::sync::Mutex<Vec<NodeKey>>,
}

impl FaultyTransport {
    fn link(&self, inner: Box<dyn Link>) -> Box<dyn Link> {
        FaultyLink::wrap(inner.into(), self.key, self.fault, Arc::clone(&self.sending))
    }

    fn is_first_of(&self, peer: NodeKey) -> bool {
        let mut linked = self.linked.lock().expect("no panic");
        let is_first = !linked.contains(&peer);
        linked.push(peer);
        is_first
    }
}

#[async_trait]
impl Transport for FaultyTransport {
    fn local_address(&self) -> String {
        self.inner.local_address()
    }

    async fn dial(&self, address: &str, mut expected: NodeKey) -> Result<Box<dyn Link>, DialError> {
        if self.fault == Fault::TakesAnyKey {
            let keys = self.keys.lock().expect("no panic");
            let there = keys.iter().rev().find(|(there, _)| there == address);
            expected = there.map_or(expected, |(_, key)| *key);
        }
        if self.fault == Fault::DialsWhenClosed {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            if self.is_closed.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
        }
        let dialed = if self.fault == Fault::KeepsDroppedDials {
            let (inner, address) = (Arc::clone(&self.inner), address.to_owned());
            let (done, dialed) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                if let Err(Ok(link)) = done.send(inner.dial(&address, expected).await) {
                    std::mem::forget(link);
                }
            });
            dialed.await.expect("the task sends")
        } else {
            self.inner.dial(address, expected).await
        };
        match dialed {
            Ok(link) => {
                self.is_first_of(link.peer());
                Ok(self.link(link))
            }
            Err(DialError::Address { address, reason })
                if self.fault == Fault::TakesAnyTextForAnAddress =>
            {
                Err(DialError::Unreachable { address, reason })
            }
            Err(DialError::Unreachable { .. }) if self.fault == Fault::WaitsForNobody => {
                std::future::pending().await
            }
            Err(error) => Err(error),
        }
    }

    async fn accept(&self) -> Option<Box<dyn Link>> {
        if self.fault == Fault::GoesDeaf && self.accepted.load(Ordering::SeqCst) >= DEAF_AFTER {
            return std::future::pending().await;
        }
        let Some(link) = self.inner.accept().await else {
            if self.fault == Fault::AcceptsWhenClosed {
                return std::future::pending().await;
            }
            return None;
        };
        if self.fault == Fault::LosesDroppedAccepts {
            tokio::task::yield_now().await;
        }
        if self.fault == Fault::LinksOncePerPeer && !self.is_first_of(link.peer()) {
            link.close(1, "there is a link already");
        }
        self.accepted.fetch_add(1, Ordering::SeqCst);
        Some(self.link(link))
    }

    async fn close(&self) {
        let was_closed = self.is_closed.swap(true, Ordering::SeqCst);
        match self.fault {
            Fault::KeepsItsAddress => std::mem::forget(Arc::clone(&self.inner)),
            Fault::ForgetsDroppedCloses if was_closed => {}
            Fault::ForgetsDroppedCloses => {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                self.inner.close().await;
            }
            _ => self.inner.close().await,
        }
    }
}

struct FaultyLink {
    inner: Arc<dyn Link>,
    key: NodeKey,
    fault: Fault,
    /// Of the endpoint, where it sends on one link at a time; else of this link.
    sending: Arc<Mutex<()>>,
    sent: AtomicU32,
    /// A frame that waits for the next call, by lane.
    kept: [Mutex<Option<Bytes>>; 2],
    /// What was buffered without a bound, by lane.
    buffers: [mpsc::UnboundedSender<Bytes>; 2],
    dead_lane: std::sync::Mutex<Option<Lane>>,
    has_torn: AtomicBool,
}

impl FaultyLink {
    fn wrap(
        inner: Arc<dyn Link>,
        key: NodeKey,
        fault: Fault,
        endpoint: Arc<Mutex<()>>,
    ) -> Box<dyn Link> {
        let buffers = [Lane::Control, Lane::Bulk].map(|lane| {
            let (sender, mut frames) = mpsc::unbounded_channel();
            if fault == Fault::BuffersWithoutBound {
                let inner = Arc::clone(&inner);
                tokio::spawn(async move {
                    while let Some(frame) = frames.recv().await {
                        let _ = inner.send(lane, frame).await;
                    }
                });
            }
            sender
        });
        if fault == Fault::KeepsDroppedLinks {
            std::mem::forget(Arc::clone(&inner));
        }
        if fault == Fault::TiresOfSilence {
            let inner = Arc::clone(&inner);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(1500)).await;
                inner.close(1, "nothing was said");
            });
        }
        let sending = if fault == Fault::SendsOneLinkAtATime { endpoint } else { Arc::default() };
        let (sent, kept, dead_lane, has_torn) = Default::default();
        Box::new(Self { inner, key, fault, sending, sent, kept, buffers, dead_lane, has_torn })
    }

    fn dead(&self) -> Option<Lane> {
        *self.dead_lane.lock().expect("no panic")
    }

    async fn send_strangely(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError> {
        let nth = self.sent.fetch_add(1, Ordering::SeqCst) % 10;
        match self.fault {
            Fault::SwapsFrames if nth == 7 => {
                *self.kept[index(lane)].lock().await = Some(frame);
                Ok(())
            }
            Fault::SwapsFrames => {
                self.inner.send(lane, frame).await?;
                let kept = self.kept[index(lane)].lock().await.take();
                match kept {
                    Some(kept) => self.inner.send(lane, kept).await,
                    None => Ok(()),
                }
            }
            Fault::DropsFrames if nth == 7 => Ok(()),
            Fault::DoublesFrames if nth == 7 => {
                self.inner.send(lane, frame.clone()).await?;
                self.inner.send(lane, frame).await
            }
            Fault::MergesLanes => self.inner.send(Lane::Control, frame).await,
            Fault::RefusesTheLargestFrame if frame.len() == FRAME_BYTES_MAX => {
                Err(LinkError::Lost("too large".into()))
            }
            Fault::SwallowsWhatIsNoFrame if split_frame(&frame).is_err() => Ok(()),
            Fault::DiesOfWhatIsNoFrame if split_frame(&frame).is_err() => {
                self.inner.close(1, "no frame");
                self.inner.send(lane, frame).await
            }
            Fault::SendsOneLaneAtATime | Fault::SendsOneLinkAtATime | Fault::ClosesBehindFrames => {
                let _alone = self.sending.lock().await;
                self.inner.send(lane, frame).await
            }
            Fault::BuffersWithoutBound => {
                let _ = self.buffers[index(lane)].send(frame);
                Ok(())
            }
            Fault::DropsWhatWaits => {
                let sent = crate::nodes::dropped_after(1, self.inner.send(lane, frame)).await;
                sent.unwrap_or(Ok(()))
            }
            Fault::RepeatsDroppedSends => {
                let mut kept = self.kept[index(lane)].lock().await;
                if let Some(kept) = kept.clone() {
                    self.inner.send(lane, kept).await?;
                }
                *kept = Some(frame.clone());
                self.inner.send(lane, frame).await?;
                tokio::task::yield_now().await;
                *kept = None;
                Ok(())
            }
            _ => self.inner.send(lane, frame).await,
        }
    }

    fn seen(&self, error: LinkError) -> LinkError {
        match error {
            LinkError::Closed { .. } if self.fault == Fault::LosesReasons => {
                LinkError::Lost("it ended".into())
            }
            LinkError::Closed { code, reason } if self.fault == Fault::CutsReasonsShort => {
                LinkError::Closed { code, reason: reason.chars().take(100).collect() }
            }
            LinkError::Frame(_) if self.fault == Fault::HidesWhatIsNoFrame => {
                LinkError::Lost("it ended".into())
            }
            error => error,
        }
    }
}

#[async_trait]
impl Link for FaultyLink {
    fn peer(&self) -> NodeKey {
        if self.fault == Fault::ShowsItsOwnKeyAsThePeers { self.key } else { self.inner.peer() }
    }

    fn dialed(&self) -> bool {
        self.fault == Fault::SaysThatItDialled || self.inner.dialed()
    }

    fn transport(&self) -> &'static str {
        self.inner.transport()
    }

    fn remote_address(&self) -> String {
        self.inner.remote_address()
    }

    async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError> {
        if self.dead().is_some_and(|dead| dead != lane) {
            return Ok(());
        }
        self.send_strangely(lane, frame).await.map_err(|error| self.seen(error))
    }

    async fn receive(&self, lane: Lane) -> Result<Bytes, LinkError> {
        if self.dead().is_some_and(|dead| dead != lane) {
            return std::future::pending().await;
        }
        match self.inner.receive(lane).await {
            Ok(frame) => {
                if self.fault == Fault::LosesDroppedReceives {
                    tokio::task::yield_now().await;
                }
                Ok(frame)
            }
            Err(_)
                if self.fault == Fault::HandsOutTornFrames
                    && !self.has_torn.swap(true, Ordering::SeqCst) =>
            {
                Ok(frame(1, 1, b"torn"))
            }
            Err(_) if self.fault == Fault::MissesEnds => std::future::pending().await,
            Err(error) => {
                if self.fault == Fault::EndsLanesAlone {
                    *self.dead_lane.lock().expect("no panic") = Some(lane);
                }
                Err(self.seen(error))
            }
        }
    }

    fn close(&self, code: u32, reason: &str) {
        if self.fault != Fault::ClosesBehindFrames {
            return self.inner.close(code, reason);
        }
        let (inner, sending, reason) =
            (Arc::clone(&self.inner), Arc::clone(&self.sending), reason.to_owned());
        tokio::spawn(async move {
            let _behind = sending.lock().await;
            inner.close(code, &reason);
        });
    }

    fn stats(&self) -> LinkStats {
        if self.fault == Fault::CountsNothing { LinkStats::default() } else { self.inner.stats() }
    }
}

fn index(lane: Lane) -> usize {
    usize::from(lane == Lane::Bulk)
}

/// Links that one who goes deaf accepts.
const DEAF_AFTER: u32 = 20;
