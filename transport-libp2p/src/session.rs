//! What the parts of a link share, and its goodbye.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use libp2p::Stream;
use millpond_core::transport::{
    LinkError, REASON_BYTES_MAX, TRANSPORT_CLOSE_CODES_FROM, cut_reason,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// The transport was closed.
pub(crate) const SHUTDOWN: u32 = TRANSPORT_CLOSE_CODES_FROM;
/// The link was dropped without being closed.
pub(crate) const DROPPED: u32 = TRANSPORT_CLOSE_CODES_FROM + 1;
/// The peer sent bytes that are no frame.
pub(crate) const BAD_FRAME: u32 = TRANSPORT_CLOSE_CODES_FROM + 2;
/// A lane ended while the session lived, or within a frame.
pub(crate) const LANE_ENDED: u32 = TRANSPORT_CLOSE_CODES_FROM + 4;

/// What both lanes of a link share.
pub(crate) struct Session {
    /// Why the link ended, as calls here say it.
    ended: watch::Sender<Option<LinkError>>,
    /// What is to be said to the peer, once this side has ended the link.
    goodbye: OnceLock<Vec<u8>>,
    began: Instant,
    /// When something came last, in milliseconds since it began.
    heard_ms: AtomicU64,
    pub(crate) round_trip_us: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
}

impl Session {
    pub(crate) fn new() -> Arc<Self> {
        let ((ended, _), goodbye) = (watch::channel(None), OnceLock::new());
        let began = Instant::now();
        let (heard_ms, round_trip_us, sent_bytes, received_bytes) = Default::default();
        Arc::new(Self {
            ended,
            goodbye,
            began,
            heard_ms,
            round_trip_us,
            sent_bytes,
            received_bytes,
        })
    }

    /// Waits for a goodbye of either side, and says ours. Afterwards the connection is of no more use.
    ///
    /// Until then each side says now and then that it lives. A ping alone does not tell: it waits behind whatever was
    /// sent before it, for longer than a peer may be silent where the road is narrow.
    pub(crate) async fn run(self: Arc<Self>, stream: Stream, keep_alive: Duration) {
        let (mut reader, mut writer) = stream.split();
        let live = async {
            let mut tick = tokio::time::interval(keep_alive.max(KEEP_ALIVE_MIN));
            loop {
                tick.tick().await;
                // Where there is no room for a byte, bytes are on their way.
                let _ = writer.write(&[ALIVE]).now_or_never();
            }
        };
        tokio::select! {
            heard = self.listen(&mut reader) => self.end(match heard {
                Ok((code, reason)) => LinkError::Closed { code, reason },
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    LinkError::Lost("the peer is gone".to_owned())
                }
                Err(error) => LinkError::Lost(error.to_string()),
            }),
            _ = self.ended() => {}
            () = live => {}
        }
        // Looked at after the end: whoever ends the link leaves it there first.
        let Some(words) = self.goodbye.get() else { return };
        let say = async {
            writer.write_all(words).await?;
            writer.close().await?;
            // The peer ends its half when it has heard; what it says until then is that it lives.
            while reader.read(&mut [0; 64]).await? > 0 {}
            io::Result::Ok(())
        };
        let _ = timeout(GOODBYE_WAIT, say).await;
    }

    /// The peer's goodbye, after whatever signs of life.
    async fn listen(
        &self,
        reader: &mut (impl futures::AsyncRead + Unpin),
    ) -> io::Result<(u32, String)> {
        loop {
            let mut word = [0];
            reader.read_exact(&mut word).await?;
            self.hear();
            match word {
                [ALIVE] => {}
                [GOODBYE] => return goodbye(reader).await,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Ends the link, and tells the peer. Only the first end counts.
    pub(crate) fn close(&self, code: u32, reason: &str) {
        self.close_as(LinkError::ClosedHere, code, reason);
    }

    /// The same, for calls here to say why.
    fn close_as(&self, why: LinkError, code: u32, reason: &str) {
        self.ended.send_if_modified(|ended| {
            if ended.is_some() {
                return false;
            }
            let reason = cut_reason(reason);
            let length = u16::try_from(reason.len()).expect("a reason was cut");
            let words =
                [&[GOODBYE][..], &code.to_le_bytes(), &length.to_le_bytes(), reason.as_bytes()]
                    .concat();
            // First, so that whoever sees the end finds what to say about it.
            self.goodbye.get_or_init(|| words);
            *ended = Some(why);
            true
        });
    }

    /// The link has ended, and there is nobody to tell.
    pub(crate) fn end(&self, why: LinkError) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            ended.get_or_insert(why);
            is_first
        });
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits for the end of the link.
    pub(crate) async fn ended(&self) -> LinkError {
        let mut ended = self.ended.subscribe();
        let end = ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        end.unwrap_or(LinkError::ClosedHere)
    }

    /// Why a lane gives nothing any more. A goodbye, or the end of the connection, comes soon if it has not come yet;
    /// otherwise the lane has ended alone, and its link with it.
    pub(crate) async fn lane_ended(&self) -> LinkError {
        if let Ok(end) = timeout(LANE_GRACE, self.ended()).await {
            return end;
        }
        let reason = "a lane ended alone";
        let why = LinkError::Lost(reason.to_owned());
        self.close_as(why.clone(), LANE_ENDED, reason);
        why
    }

    /// Something has come from the peer.
    pub(crate) fn hear(&self) {
        self.heard_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    /// How long nothing has come from it.
    pub(crate) fn silence(&self) -> Duration {
        let heard_ms = self.heard_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.age_ms().saturating_sub(heard_ms))
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A ping came back. Smoothed as by TCP (RFC 6298).
    pub(crate) fn measured(&self, round_trip: Duration) {
        self.hear();
        let us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).max(1);
        let before = self.round_trip_us.load(Ordering::Relaxed);
        let smoothed = if before == 0 { us } else { (7 * before).saturating_add(us) / 8 };
        self.round_trip_us.store(smoothed, Ordering::Relaxed);
    }
}

/// What a goodbye says, after its first byte.
async fn goodbye(reader: &mut (impl futures::AsyncRead + Unpin)) -> io::Result<(u32, String)> {
    let mut head = [0; 6];
    reader.read_exact(&mut head).await?;
    let [c0, c1, c2, c3, l0, l1] = head;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if length > REASON_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut reason = vec![0; length];
    reader.read_exact(&mut reason).await?;
    let reason = String::from_utf8_lossy(&reason).into_owned();
    Ok((u32::from_le_bytes([c0, c1, c2, c3]), cut_reason(&reason).to_owned()))
}

/// The words of a session.
const ALIVE: u8 = 0;
const GOODBYE: u8 = 1;
/// No more often than that, whatever is asked for.
const KEEP_ALIVE_MIN: Duration = Duration::from_millis(10);
/// How long a goodbye may take. The connection is kept for so long at most: a socket that is closed while something lies
/// unread in it is reset, and the peer may lose what it has not read yet.
const GOODBYE_WAIT: Duration = Duration::from_secs(5);
/// How much later than a lane's end the goodbye that came before it may be noticed.
const LANE_GRACE: Duration = Duration::from_secs(1);
