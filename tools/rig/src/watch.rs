//! What a node's clients get to see, and when.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Client;

/// A client that follows the changes of a collection.
#[derive(Debug)]
pub struct Watch {
    stream: TcpStream,
    seen: Receiver<Seen>,
    /// What came while another key was waited for.
    earlier: BTreeMap<String, Instant>,
    thread: Option<JoinHandle<()>>,
}

/// A record as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its key.
    pub key: String,
    /// When its cut was whole.
    pub at: Instant,
}

impl Watch {
    /// Follows a collection from now on.
    ///
    /// # Errors
    /// The node does not answer.
    pub fn start(client: &Client, collection: &str) -> io::Result<Self> {
        let path = format!("/api/v1/changes?collection={collection}");
        let mut lines = client.follow(&path)?;
        // The first cut tells that the node has begun.
        while read_event(&mut lines)?["type"] != "cut" {}
        let stream = lines.get_ref().try_clone()?;
        let (sender, seen) = channel();
        let thread = std::thread::spawn(move || {
            let mut keys = Vec::new();
            while let Ok(event) = read_event(&mut lines) {
                if event["type"] == "change" {
                    keys.push(event["key"].as_str().unwrap_or_default().to_owned());
                    continue;
                }
                let at = Instant::now();
                for key in keys.drain(..) {
                    let _ = sender.send(Seen { key, at }); // nobody may be left to hear it
                }
            }
        });
        Ok(Self { stream, seen, earlier: BTreeMap::new(), thread: Some(thread) })
    }

    /// Waits until a key is seen, and tells when that was; `None` if it is not within this time.
    pub fn until(&mut self, key: &str, patience: Duration) -> Option<Instant> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = self.earlier.remove(key) {
                return Some(at);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.seen.recv_timeout(left) {
                Ok(Seen { key, at }) => self.earlier.insert(key, at),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            };
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_event(lines: &mut BufReader<TcpStream>) -> io::Result<Value> {
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_str(&line).map_err(io::Error::other)
}
