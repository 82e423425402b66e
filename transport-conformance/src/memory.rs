//! The transport in memory: the contract without a network, for tests and for what runs in one process.
//!
//! Endpoints of one [`Hub`] reach each other. A key is whatever its holder says: nothing is proven, since nothing
//! leaves the process. A lane takes [`LANE_BYTES_MAX`] that were not received.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use millpond_core::NodeKey;
use millpond_core::frame::split_frame;
use millpond_core::limits::FRAME_BYTES_MAX;
use millpond_core::transport::{
    DialError, Lane, Link, LinkError, LinkStats, TRANSPORT_CLOSE_CODES_FROM, Transport, cut_reason,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::Seed;

/// Bytes of one lane and direction that may wait: one frame of the largest size.
pub const LANE_BYTES_MAX: usize = FRAME_BYTES_MAX;

/// The key that stands for a seed here: the seed itself.
pub fn key_of(seed: Seed) -> NodeKey {
    NodeKey::from_bytes(seed)
}

/// A place where endpoints find each other.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    next: u64,
    listening: BTreeMap<String, (NodeKey, mpsc::Sender<MemoryLink>)>,
}

impl Hub {
    /// An empty place.
    pub fn new() -> Self {
        Self::default()
    }

    /// An endpoint at an address, `memory:NUMBER`, or at a new one.
    ///
    /// # Errors
    /// When somebody else is there, or it is no address.
    pub fn bind(&self, key: NodeKey, at: Option<&str>) -> Result<Memory, String> {
        let mut places = lock(&self.0);
        let address = match at {
            Some(address) if is_address(address) => address.to_owned(),
            Some(address) => return Err(format!("{address:?} is no address in memory")),
            None => {
                places.next += 1;
                format!("{SCHEME}{}", places.next)
            }
        };
        if places.listening.contains_key(&address) {
            return Err(format!("{address} is taken"));
        }
        let (sender, ready) = mpsc::channel(READY_LINKS_MAX);
        places.listening.insert(address.clone(), (key, sender));
        drop(places);
        let (closed, _) = watch::channel(false);
        let ready = tokio::sync::Mutex::new(ready);
        Ok(Memory { hub: self.clone(), key, address, ready, links: Mutex::default(), closed })
    }
}

fn is_address(text: &str) -> bool {
    text.strip_prefix(SCHEME).is_some_and(|number| number.parse::<u64>().is_ok())
}

/// One endpoint.
pub struct Memory {
    hub: Hub,
    key: NodeKey,
    address: String,
    ready: tokio::sync::Mutex<mpsc::Receiver<MemoryLink>>,
    /// Each with the side that is here.
    links: Mutex<Vec<(Weak<Connection>, usize)>>,
    closed: watch::Sender<bool>,
}

impl Memory {
    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Remembers a link, so that closing the endpoint ends it.
    fn keep(&self, link: &MemoryLink) {
        let mut links = lock(&self.links);
        links.retain(|(link, _)| link.strong_count() > 0);
        links.push((Arc::downgrade(&link.connection), link.side));
        drop(links);
        if self.is_closed() {
            link.connection.end(link.side, TRANSPORT_CLOSE_CODES_FROM, STOPPED);
        }
    }

    fn shut(&self) {
        if self.closed.send_replace(true) {
            return;
        }
        lock(&self.hub.0).listening.remove(&self.address);
        for (link, side) in lock(&self.links).drain(..) {
            if let Some(connection) = link.upgrade() {
                connection.end(side, TRANSPORT_CLOSE_CODES_FROM, STOPPED);
            }
        }
    }
}

#[async_trait]
impl Transport for Memory {
    fn local_address(&self) -> String {
        self.address.clone()
    }

    async fn dial(&self, address: &str, expected: NodeKey) -> Result<Box<dyn Link>, DialError> {
        let address = address.to_owned();
        if !is_address(&address) {
            return Err(DialError::Address {
                address,
                reason: "it is no address in memory".into(),
            });
        }
        let nobody = |reason: &str| DialError::Unreachable {
            address: address.clone(),
            reason: reason.into(),
        };
        if self.is_closed() {
            return Err(nobody(STOPPED));
        }
        let there = lock(&self.hub.0).listening.get(&address).cloned();
        let (key, door) = there.ok_or_else(|| nobody("nobody is there"))?;
        if key != expected {
            let reason = format!("{} is there", key.short());
            return Err(DialError::WrongKey { address, expected, reason });
        }
        let mut closed = self.closed.subscribe();
        let place = tokio::select! {
            place = door.reserve() => place.map_err(|_| nobody("it has just gone"))?,
            _ = closed.wait_for(|closed| *closed) => return Err(nobody(STOPPED)),
        };
        let connection =
            Arc::new(Connection::new([self.key, key], [self.address.clone(), address]));
        let dialed = MemoryLink { connection: Arc::clone(&connection), side: 0 };
        self.keep(&dialed);
        place.send(MemoryLink { connection, side: 1 });
        Ok(Box::new(dialed))
    }

    async fn accept(&self) -> Option<Box<dyn Link>> {
        let mut closed = self.closed.subscribe();
        let mut ready = self.ready.lock().await;
        loop {
            let link = tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => return None,
                link = ready.recv() => link?,
            };
            self.keep(&link);
            if link.connection.ended.borrow().is_none() {
                return Some(Box::new(link));
            }
        }
    }

    async fn close(&self) {
        self.shut();
        // What was not accepted ends with its place in the queue.
        let mut ready = self.ready.lock().await;
        ready.close();
        while ready.try_recv().is_ok() {}
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.shut();
    }
}

/// What both ends of a link share. Side 0 dialled.
struct Connection {
    keys: [NodeKey; 2],
    addresses: [String; 2],
    /// By lane, then by the side that receives.
    queues: [[Queue; 2]; 2],
    /// By the side that receives.
    received_bytes: [AtomicU64; 2],
    sent_bytes: [AtomicU64; 2],
    ended: watch::Sender<Option<End>>,
}

/// Which side ended it, and its words.
#[derive(Clone)]
struct End {
    side: usize,
    code: u32,
    reason: String,
}

/// Frames that wait for one side on one lane; each holds as many permits as it has bytes.
struct Queue {
    room: Arc<Semaphore>,
    sender: mpsc::UnboundedSender<(Bytes, OwnedSemaphorePermit)>,
    receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Bytes, OwnedSemaphorePermit)>>,
}

impl Queue {
    fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(LANE_BYTES_MAX));
        Self { room, sender, receiver: tokio::sync::Mutex::new(receiver) }
    }
}

impl Connection {
    fn new(keys: [NodeKey; 2], addresses: [String; 2]) -> Self {
        let queues = [(); 2].map(|()| [(); 2].map(|()| Queue::new()));
        let (ended, _) = watch::channel(None);
        let (received_bytes, sent_bytes) = Default::default();
        Self { keys, addresses, queues, received_bytes, sent_bytes, ended }
    }

    fn end(&self, side: usize, code: u32, reason: &str) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(End { side, code, reason: cut_reason(reason).to_owned() });
            }
            is_first
        });
    }

    fn queue(&self, lane: Lane, receiver: usize) -> &Queue {
        &self.queues[usize::from(lane == Lane::Bulk)][receiver]
    }
}

/// One end of a link.
struct MemoryLink {
    connection: Arc<Connection>,
    side: usize,
}

impl MemoryLink {
    fn other(&self) -> usize {
        1 - self.side
    }

    /// Waits for the end of the link, as this side sees it.
    async fn ended(&self) -> LinkError {
        let mut ended = self.connection.ended.subscribe();
        let end = ended.wait_for(|ended| ended.is_some()).await;
        match end.ok().and_then(|end| end.clone()) {
            Some(end) if end.side == self.side => LinkError::ClosedHere,
            Some(End { code, reason, .. }) => LinkError::Closed { code, reason },
            None => LinkError::Lost("the link is gone".into()),
        }
    }
}

#[async_trait]
impl Link for MemoryLink {
    fn peer(&self) -> NodeKey {
        self.connection.keys[self.other()]
    }

    fn dialed(&self) -> bool {
        self.side == 0
    }

    fn transport(&self) -> &'static str {
        "memory"
    }

    fn remote_address(&self) -> String {
        self.connection.addresses[self.other()].clone()
    }

    async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError> {
        split_frame(&frame)?;
        let queue = self.connection.queue(lane, self.other());
        let bytes = u32::try_from(frame.len()).expect("a frame has at most 1 MiB");
        let room = tokio::select! {
            biased;
            end = self.ended() => return Err(end),
            room = Arc::clone(&queue.room).acquire_many_owned(bytes) => room,
        };
        self.connection.sent_bytes[self.side].fetch_add(u64::from(bytes), Ordering::Relaxed);
        // Both outlive the link, since it holds them.
        let _ = queue.sender.send((frame, room.expect("nobody closes the semaphore")));
        Ok(())
    }

    async fn receive(&self, lane: Lane) -> Result<Bytes, LinkError> {
        let mut receiver = self.connection.queue(lane, self.side).receiver.lock().await;
        tokio::select! {
            biased;
            end = self.ended() => Err(end),
            frame = receiver.recv() => {
                let (frame, _room) = frame.expect("its sender lives as long as the link");
                let bytes = frame.len() as u64;
                self.connection.received_bytes[self.side].fetch_add(bytes, Ordering::Relaxed);
                Ok(frame)
            }
        }
    }

    fn close(&self, code: u32, reason: &str) {
        self.connection.end(self.side, code, reason);
    }

    fn stats(&self) -> LinkStats {
        let mut stats = LinkStats::default();
        stats.wire_bytes_sent = self.connection.sent_bytes[self.side].load(Ordering::Relaxed);
        stats.wire_bytes_received =
            self.connection.received_bytes[self.side].load(Ordering::Relaxed);
        stats
    }
}

impl Drop for MemoryLink {
    fn drop(&mut self) {
        self.close(TRANSPORT_CLOSE_CODES_FROM + 1, "the link was dropped");
    }
}

/// What is kept is whole after any panic: nothing here runs code of others.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SCHEME: &str = "memory:";
const STOPPED: &str = "the node was stopped";
/// Links that wait for `accept`; the next dials wait until there is room.
const READY_LINKS_MAX: usize = 64;
