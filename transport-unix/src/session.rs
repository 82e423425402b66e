//! The session of a link: signs of life, and the goodbye.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millpond_core::transport::{
    LinkError, REASON_BYTES_MAX, TRANSPORT_CLOSE_CODES_FROM, cut_reason,
};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::unix::UnixOptions;

/// The transport was closed.
pub(crate) const SHUTDOWN: u32 = TRANSPORT_CLOSE_CODES_FROM;
/// The link was dropped without being closed.
pub(crate) const DROPPED: u32 = TRANSPORT_CLOSE_CODES_FROM + 1;
/// The peer sent bytes that are no frame, or no word.
pub(crate) const BAD_FRAME: u32 = TRANSPORT_CLOSE_CODES_FROM + 2;
/// A lane ended while the session lived, or within a frame.
pub(crate) const LANE_ENDED: u32 = TRANSPORT_CLOSE_CODES_FROM + 4;

/// What both lanes of a link share. Words are short and rare, so its socket always has room for one.
pub(crate) struct Session {
    stream: UnixStream,
    /// Why the link ended, as calls here say it.
    ended: watch::Sender<Option<LinkError>>,
    heard: Mutex<Heard>,
    round_trip_us: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
}

/// What has come of the peer's words.
struct Heard {
    bytes: Vec<u8>,
    last: Instant,
    /// When the ping went out that nobody has answered yet.
    pinged: Option<Instant>,
}

/// What the sides of a session say.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Ping,
    Pong,
    Goodbye { code: u32, reason: String },
}

impl Session {
    pub(crate) fn new(stream: UnixStream) -> Arc<Self> {
        let heard = Mutex::new(Heard { bytes: Vec::new(), last: Instant::now(), pinged: None });
        let (ended, _) = watch::channel(None);
        let (round_trip_us, sent_bytes, received_bytes) = Default::default();
        Arc::new(Self { stream, ended, heard, round_trip_us, sent_bytes, received_bytes })
    }

    /// Pings, answers and listens until the link has ended.
    pub(crate) async fn run(self: Arc<Self>, options: UnixOptions) {
        let mut ended = self.ended.subscribe();
        let mut next_ping = Instant::now();
        loop {
            let silent_at = self.heard().last + options.idle_timeout;
            tokio::select! {
                _ = ended.wait_for(Option::is_some) => return,
                readable = self.stream.readable() => match readable {
                    Ok(()) => self.listen(),
                    Err(error) => self.end(LinkError::Lost(error.to_string())),
                },
                () = at(next_ping, options.keep_alive) => {
                    next_ping = Instant::now() + options.keep_alive;
                    self.heard().pinged.get_or_insert_with(Instant::now);
                    self.say(&Word::Ping);
                }
                () = at(silent_at, options.idle_timeout) => {
                    self.listen(); // this process may have been asleep itself
                    if self.heard().last + options.idle_timeout <= Instant::now() {
                        self.end(LinkError::Lost("nothing arrived in time".to_owned()));
                    }
                }
            }
        }
    }

    /// Takes in what the peer has said.
    pub(crate) fn listen(&self) {
        let mut heard = self.heard();
        let mut piece = [0; 512];
        loop {
            match self.stream.try_read(&mut piece) {
                Ok(0) => return self.end(LinkError::Lost("the peer is gone".to_owned())),
                Ok(read) => heard.bytes.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.end(LinkError::Lost(error.to_string())),
            }
            heard.last = Instant::now();
            loop {
                match Word::decode(&heard.bytes) {
                    Ok(Some((word, length))) => {
                        heard.bytes.drain(..length);
                        self.take_in(word, &mut heard);
                    }
                    Ok(None) => break,
                    Err(reason) => return self.close(BAD_FRAME, reason),
                }
            }
        }
    }

    fn take_in(&self, word: Word, heard: &mut Heard) {
        match word {
            Word::Ping => self.say(&Word::Pong),
            Word::Pong => {
                let Some(pinged) = heard.pinged.take() else { return };
                let us = u64::try_from(pinged.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
                let before = self.round_trip_us();
                // As TCP smooths it (RFC 6298).
                let smoothed = if before == 0 { us } else { (7 * before).saturating_add(us) / 8 };
                self.round_trip_us.store(smoothed, Ordering::Relaxed);
            }
            Word::Goodbye { code, reason } => self.end(LinkError::Closed { code, reason }),
        }
    }

    /// Ends the link, and tells the peer. Only the first end counts.
    pub(crate) fn close(&self, code: u32, reason: &str) {
        if self.is_first_end(LinkError::ClosedHere) {
            self.say(&Word::Goodbye { code, reason: cut_reason(reason).to_owned() });
        }
    }

    fn end(&self, why: LinkError) {
        self.is_first_end(why);
    }

    fn is_first_end(&self, why: LinkError) -> bool {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            ended.get_or_insert(why);
            is_first
        })
    }

    /// Why the link has ended, if it has.
    pub(crate) fn end_so_far(&self) -> Option<LinkError> {
        self.ended.borrow().clone()
    }

    /// Waits for the end of the link.
    pub(crate) async fn ended(&self) -> LinkError {
        let mut ended = self.ended.subscribe();
        let end = ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        end.unwrap_or(LinkError::ClosedHere)
    }

    /// Smoothed; 0 while unknown.
    pub(crate) fn round_trip_us(&self) -> u64 {
        self.round_trip_us.load(Ordering::Relaxed)
    }

    /// A peer that has stopped reading, so that its socket is full, hears nothing, and is lost for its silence.
    fn say(&self, word: &Word) {
        let _ = self.stream.try_write(&word.encode());
    }

    /// What is kept is whole after any panic: nothing here runs code of others.
    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment, unless the period that leads to it is none.
async fn at(moment: Instant, period: Duration) {
    if period.is_zero() { pending().await } else { sleep_until(moment).await }
}

impl Word {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ping => vec![0],
            Self::Pong => vec![1],
            Self::Goodbye { code, reason } => {
                let length = u16::try_from(reason.len()).expect("a reason was cut");
                [&[2][..], &code.to_le_bytes(), &length.to_le_bytes(), reason.as_bytes()].concat()
            }
        }
    }

    /// The first word of some bytes, if it is whole, and its length.
    fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        match bytes {
            [] => Ok(None),
            [0, ..] => Ok(Some((Self::Ping, 1))),
            [1, ..] => Ok(Some((Self::Pong, 1))),
            [2, c0, c1, c2, c3, l0, l1, rest @ ..] => {
                let code = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
                let length = usize::from(u16::from_le_bytes([*l0, *l1]));
                if length > REASON_BYTES_MAX {
                    return Err("a reason is too long");
                }
                let Some(reason) = rest.get(..length) else { return Ok(None) };
                let reason = String::from_utf8_lossy(reason).into_owned();
                Ok(Some((
                    Self::Goodbye { code, reason: cut_reason(&reason).to_owned() },
                    7 + length,
                )))
            }
            [2, ..] => Ok(None),
            _ => Err("a word is unknown"),
        }
    }
}

/// Any bytes as words, all at once: what is read is written as it was, and nothing waits for more than a word takes.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn fuzz_words(mut bytes: &[u8]) {
    loop {
        match Word::decode(bytes) {
            Ok(Some((word, length))) => {
                let is_lossy =
                    matches!(&word, Word::Goodbye { reason, .. } if reason.contains('\u{fffd}'));
                assert!(is_lossy || word.encode() == bytes[..length], "a word has one form");
                bytes = &bytes[length..];
            }
            Ok(None) => return assert!(bytes.len() < 7 + REASON_BYTES_MAX, "a word is too long"),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written_however_they_are_cut() {
        for word in [Word::Ping, Word::Pong, Word::Goodbye { code: 7, reason: "é".repeat(128) }] {
            let bytes = word.encode();
            for cut in 0..bytes.len() {
                assert_eq!(Word::decode(&bytes[..cut]), Ok(None));
            }
            let length = bytes.len();
            assert_eq!(Word::decode(&[&bytes[..], b"\0"].concat()), Ok(Some((word, length))));
        }
    }

    #[test]
    fn what_is_no_word_is_refused() {
        assert!(Word::decode(&[3]).is_err());
        assert!(Word::decode(&[2, 0, 0, 0, 0, 0xff, 0xff]).is_err());
    }
}
