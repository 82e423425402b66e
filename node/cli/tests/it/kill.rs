//! Bar B2: nodes killed at random moments of a write load lose nothing that they answered.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::node::Node;

#[test]
fn every_answered_write_survives_kill_nine() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = variable("MILLPOND_KILL_ROUNDS").unwrap_or(3);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = variable("MILLPOND_KILL_SEED").unwrap_or(now.as_micros() as u64);
    println!("{rounds} rounds with seed {seed}: repeat with MILLPOND_KILL_SEED={seed}");
    let mut random = Random(seed);

    let first = Node::start_with_state();
    let mut nodes = vec![first.join("london-1", "writer"), first.join("tokyo-1", "writer")];
    nodes.insert(0, first);
    let folders: Vec<PathBuf> = nodes.iter().map(|node| node.data().to_owned()).collect();
    until("all nodes are linked", || {
        let is_linked = |peer: &Value| !peer["link"].is_null();
        folders.iter().all(|folder| {
            let peers = get(folder, "/api/v1/peers").expect("the node answers");
            let peers = peers["peers"].as_array().expect("a list");
            peers.len() == nodes.len() - 1 && peers.iter().all(is_linked)
        })
    });
    let load = Load::default();
    std::thread::scope(|scope| {
        // However this ends, the writers end.
        let _end = End(&load);
        for writer in 0..nodes.len() * WRITERS_PER_NODE {
            let (node, load) = (writer % nodes.len(), &load);
            let (folder, mut random) = (&folders[node], Random(random.next()));
            scope.spawn(move || load.write(writer, node, folder, &mut random));
        }
        for round in 1..=rounds {
            let moment = load.answered() + 20 + random.below(300);
            until("the writers get on", || load.answered() >= moment);
            let victim = random.below(nodes.len() as u64) as usize;
            nodes[victim].kill();
            println!("round {round}: killed node {victim} after {} answers", load.answered());
            // Sometimes the others write on without it, sometimes it is back at once.
            let back = load.answered() + random.below(2) * 100;
            until("the others write on", || load.answered() >= back);
            nodes[victim].restart();
            let before = load.answered_by(victim);
            until("it takes writes again", || load.answered_by(victim) > before);
        }
    });
    let answered = load.answers.into_inner().unwrap();
    println!("{} writes were answered", answered.len());
    assert!(answered.len() as u64 > rounds * 20);

    let seals = || folders.iter().map(|it| get(it, "/api/v1/digest")).collect::<Vec<_>>();
    let deadline = Instant::now() + DEADLINE;
    while !seals().windows(2).all(|pair| pair[0].is_some() && pair[0] == pair[1]) {
        let states = || nodes.iter().map(|node| node.run(&["status"]).stdout).collect::<String>();
        assert!(Instant::now() < deadline, "not the same: {:#?}\n{}", seals(), states());
        look_again();
    }
    for folder in &folders {
        let held = export(folder);
        for (key, value) in &answered {
            let found = held.get(key).map_or(&Value::Null, |fields| &fields["n"]);
            // Of a key that its writer wrote again and again, a later write may show.
            let is_here = match key.starts_with("latest/") {
                true => found.as_u64() >= Some(*value),
                false => found.as_u64() == Some(*value),
            };
            assert!(is_here, "{key} is {found} instead of {value} in {}", folder.display());
        }
    }
}

/// What was written and answered.
#[derive(Default)]
struct Load {
    answers: Mutex<BTreeMap<String, u64>>,
    by_node: [AtomicU64; 3],
    is_over: AtomicBool,
}

impl Load {
    /// Writes through one node until the end, and remembers what it answered.
    fn write(&self, writer: usize, node: usize, folder: &Path, random: &mut Random) {
        for n in 1.. {
            if self.is_over.load(Relaxed) {
                return;
            }
            let (own, latest) = (format!("{writer}-{n}"), format!("{writer}"));
            let is_transaction = random.below(4) == 0;
            let answer = match is_transaction {
                true => {
                    let put = |collection: &str, key: &str| json!({"op": "put", "collection": collection, "key": key, "fields": {"n": n}});
                    let shared = format!("{}", random.below(10));
                    let ops = [put("own", &own), put("latest", &latest), put("shared", &shared)];
                    request(folder, "POST", "/api/v1/tx", &json!({"ops": ops}).to_string())
                }
                false => {
                    let path = format!("/api/v1/c/own/{own}");
                    request(folder, "PUT", &path, &json!({"n": n}).to_string())
                }
            };
            if answer.is_none() {
                // Unknown whether it was written: nothing is promised. The node is back soon.
                until("the node answers", || {
                    self.is_over.load(Relaxed) || get(folder, "/api/v1/peers").is_some()
                });
                continue;
            }
            let mut answers = self.answers.lock().unwrap();
            answers.insert(format!("own/{own}"), n);
            if is_transaction {
                answers.insert(format!("latest/{latest}"), n);
            }
            self.by_node[node].fetch_add(1, Relaxed);
        }
    }

    fn answered_by(&self, node: usize) -> u64 {
        self.by_node[node].load(Relaxed)
    }

    fn answered(&self) -> u64 {
        (0..self.by_node.len()).map(|node| self.answered_by(node)).sum()
    }
}

struct End<'a>(&'a Load);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
    }
}

/// All records of a node: `collection/key` to its fields.
pub(crate) fn export(folder: &Path) -> BTreeMap<String, Value> {
    let text = request(folder, "GET", "/api/v1/export", "").expect("the node answers");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON Lines"));
    let name = |line: &Value| {
        format!("{}/{}", line["collection"].as_str().unwrap(), line["key"].as_str().unwrap())
    };
    lines.map(|line| (name(&line), line["fields"].clone())).collect()
}

fn get(folder: &Path, path: &str) -> Option<Value> {
    serde_json::from_str(&request(folder, "GET", path, "")?).ok()
}

/// The body of an answer whose status is a success, if there is one.
pub(crate) fn request(folder: &Path, method: &str, path: &str, body: &str) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let (address, token) = (read("http.addr")?, read("http.token")?);
    let (address, token) = (address.trim(), token.trim());
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(ANSWER_DEADLINE)).ok()?;
    // HTTP/1.0: the answer ends with the connection, and comes in one piece.
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split(' ').nth(1)?.starts_with('2').then(|| body.to_owned())
}

pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(DEADLINE, what, holds);
}

pub(crate) fn until_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        look_again();
    }
}

/// Between two looks at a condition that has a deadline.
#[expect(clippy::disallowed_methods, reason = "other processes' conditions can only be polled")]
fn look_again() {
    std::thread::sleep(POLL_INTERVAL);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

const WRITERS_PER_NODE: usize = 3;
const DEADLINE: Duration = Duration::from_secs(60);
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
