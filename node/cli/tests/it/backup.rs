//! Backups of running nodes, and nodes made of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

use crate::kill::{export, request, until, until_within};
use crate::node::{Node, millpond};

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn put(node: &Node, key: &str, n: u64) {
    node.run(&["put", key, &format!("{{\"n\":{n}}}")]).ok();
}

fn incarnation(node: &Node) -> Option<String> {
    let status = value(&node.run(&["status", "--json"]).ok());
    status["node"]["incarnation"].as_str().map(Into::into)
}

#[test]
fn a_backup_is_made_of_a_node_that_runs_and_of_one_that_is_stopped() {
    let mut node = Node::start();
    put(&node, "t/a", 1);
    let folder = node.dir().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let made = node.run(&["backup", "create", "--into", text(&folder)]).ok();
    assert!(made.contains("/paris-1-20") && made.contains("Z.mpb\n"), "{made}");
    assert!(made.contains("the node's key is not in it"), "{made}");
    let path = Path::new(made.lines().next().unwrap());
    let whole = millpond(&["backup", "verify", text(path)], b"").ok();
    assert!(whole.contains("is whole\nparis-1 in domain "), "{whole}");
    let again = node.run(&["backup", "create", "--to", text(path)]).failed(1);
    assert!(again.contains("is there already") && again.contains("do:  choose"), "{again}");

    let keyed = folder.join("keyed.mpb");
    let made = node.run(&["backup", "create", "--to", text(&keyed), "--with-key"]).ok();
    assert!(made.contains("SECRET KEY is in it"), "{made}");
    assert_eq!(node.stop("TERM"), Some(0));
    let stopped = folder.join("stopped.mpb");
    let made = node.run(&["backup", "create", "--to", text(&stopped), "--json"]).ok();
    assert_eq!(value(&made)["has_key"], false);
    let listed = millpond(&["backup", "ls", text(&folder)], b"").ok();
    assert_eq!(listed.lines().count(), 5, "{listed}");
    let listed = value(&millpond(&["backup", "ls", text(&folder), "--json"], b"").ok());
    assert_eq!(listed["backups"].as_array().unwrap().len(), 3);
    let rows = |index: usize| listed["backups"][index]["rows"].as_u64().unwrap();
    assert!(rows(0) > 0 && rows(0) == rows(1) && rows(1) == rows(2), "{listed}");

    let mut bytes = std::fs::read(&stopped).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&stopped, bytes).unwrap();
    let damaged = millpond(&["backup", "verify", text(&stopped)], b"").failed(1);
    assert!(damaged.contains("is damaged: block "), "{damaged}");
    let json = millpond(&["backup", "verify", text(&stopped), "--json"], b"");
    assert_eq!((value(&json.stdout)["valid"].as_bool(), json.code), (Some(false), Some(1)));
    let data = node.dir().join("never");
    let restore = ["backup", "restore", text(&stopped), "--data", text(&data)];
    let refused = millpond(&[&restore[..], &["--as-fork"]].concat(), b"").failed(1);
    assert!(refused.contains("is damaged: block "), "{refused}");
    assert!(!data.join("millpond.redb").exists() && !data.join("node.key").exists());
    millpond(&restore, b"").failed(2);
}

/// The folder is lost, the backup is old, the others went on: the node comes back, all converge, what any of them
/// acknowledged and passed on is there, what was deleted stays deleted, and no number is issued twice.
#[test]
fn a_node_restored_into_the_live_mesh_catches_up_under_a_new_incarnation() {
    let mut first = Node::start_with_state();
    let second = first.join("london-1", "writer");
    for n in 0..50 {
        put(&first, &format!("t/k{n}"), n);
    }
    second.until(&["ls"], "        50  t\n");
    let old = incarnation(&first).unwrap();
    let backup = first.dir().join("old.mpb");
    first.run(&["backup", "create", "--to", text(&backup)]).ok();

    // What the backup does not know: writes, deletes, and all of it known to the other.
    put(&first, "t/after", 1);
    first.run(&["rm", "t/k7"]).ok();
    second.run(&["rm", "t/k8"]).ok();
    put(&second, "t/other", 2);
    second.until(&["ls"], "        50  t\n");
    first.until(&["get", "t/other"], "n  2\n");
    second.until(&["get", "t/after"], "n  1\n");
    first.kill();

    let key = first.dir().join("node.key.copy");
    std::fs::copy(first.data().join("node.key"), &key).unwrap();
    let configuration = std::fs::read(first.data().join("millpond.toml")).unwrap();
    std::fs::remove_dir_all(first.data()).unwrap();
    let data = first.data().to_owned();
    let restore = ["backup", "restore", text(&backup), "--data", text(&data), "--into-domain"];
    let refused = millpond(&restore, b"").failed(1);
    assert!(refused.contains("there is no key") && refused.contains("--key FILE"), "{refused}");
    std::fs::write(data.join("millpond.toml"), configuration).unwrap();
    let told = millpond(&[&restore[..], &["--key", text(&key)]].concat(), b"").ok();
    assert!(told.contains("writes under a new incarnation"), "{told}");
    let taken = millpond(&[&restore[..], &["--key", text(&key)]].concat(), b"").failed(1);
    assert!(taken.contains("holds a replica already"), "{taken}");

    first.restart();
    first.until(&["get", "t/after"], "n  1\n");
    put(&first, "t/new", 3);
    second.until(&["get", "t/new"], "n  3\n");
    let new = incarnation(&first).unwrap();
    assert_ne!(new, old);
    for node in [&first, &second] {
        node.until(&["ls"], "        51  t\n");
        node.run(&["get", "t/k7"]).failed(1);
        node.run(&["get", "t/k8"]).failed(1);
        node.until(&["status"], "OK  ");
    }
    assert_eq!(first.run(&["digest"]).ok(), second.run(&["digest"]).ok());
}

/// A backup is made while all nodes write, and restored while the others do: all that was acknowledged and passed on
/// is on every node, and all hold the same.
#[test]
fn a_node_of_a_busy_cluster_is_restored_while_the_others_write() {
    let mut first = Node::start_with_state();
    let others = [first.join("london-1", "writer"), first.join("tokyo-1", "writer")];
    let key = first.dir().join("node.key.copy");
    std::fs::copy(first.data().join("node.key"), &key).unwrap();
    let configuration = std::fs::read(first.data().join("millpond.toml")).unwrap();
    let backup = first.dir().join("busy.mpb");
    let (is_over, answered) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    let write = |folder: &Path, writer: &str, n: u64| {
        let (key, body) = (format!("own/{writer}-{n}"), format!("{{\"n\":{n}}}"));
        let answer = request(folder, "PUT", &format!("/api/v1/c/{key}"), &body);
        if answer.is_some() {
            answered.lock().unwrap().insert(key, n);
        }
        // All of them change this one, and it must come out the same.
        request(folder, "PUT", "/api/v1/c/shared/one", &body);
    };
    let is_everywhere = |folders: &[&Path]| {
        until("all that was answered has come", || {
            let answered = answered.lock().unwrap().clone();
            let has_all = |folder: &&Path| {
                let held = export(folder);
                answered.keys().all(|key| held.contains_key(key))
            };
            folders.iter().all(has_all)
        });
    };
    std::thread::scope(|scope| {
        let _end = End(&is_over);
        for (node, writer) in others.iter().zip(["london", "tokyo"]) {
            let (write, is_over) = (&write, &is_over);
            scope.spawn(move || {
                (1..)
                    .take_while(|_| !is_over.load(Relaxed))
                    .for_each(|n| write(node.data(), writer, n));
            });
        }
        (0..40).for_each(|n| write(first.data(), "paris", n));
        first.run(&["backup", "create", "--to", text(&backup)]).ok();
        (40..80).for_each(|n| write(first.data(), "paris", n));
        is_everywhere(&[others[0].data()]);
        first.kill();
        std::fs::remove_dir_all(first.data()).unwrap();
        std::fs::create_dir(first.data()).unwrap();
        std::fs::write(first.data().join("millpond.toml"), configuration).unwrap();
        let restore = ["backup", "restore", text(&backup), "--data", text(first.data())];
        let how = ["--into-domain", "--key", text(&key)];
        millpond(&[&restore[..], &how].concat(), b"").ok();
        first.restart();
        (80..120).for_each(|n| write(first.data(), "paris", n));
    });
    assert!(answered.lock().unwrap().len() > 150);
    let folders = [first.data(), others[0].data(), others[1].data()];
    is_everywhere(&folders);
    until("all hold the same", || {
        let digests = folders.map(|folder| request(folder, "GET", "/api/v1/digest", ""));
        digests.iter().all(|it| it.is_some() && *it == digests[0])
    });
}

/// The backup is older than the others remember deletes (bar B7): what was deleted since is forgotten by all, and what
/// the backup holds of it is not believed. Meanwhile the others write, and never show a deleted key again.
#[test]
fn a_backup_older_than_all_deletes_brings_none_of_them_back() {
    let mut first = Node::start_with_state();
    let mut others = [first.join("london-1", "writer"), first.join("tokyo-1", "writer")];
    for node in [&mut first].into_iter().chain(&mut others) {
        node.reconfigure("[replication]\n", "[replication]\noffline_window = \"5s\"\n");
    }
    for n in 0..60 {
        put(&first, &format!("t/k{n}"), n);
    }
    others.iter().for_each(|node| node.until(&["ls"], "        60  t\n"));
    let key = first.dir().join("node.key.copy");
    std::fs::copy(first.data().join("node.key"), &key).unwrap();
    let configuration = std::fs::read(first.data().join("millpond.toml")).unwrap();
    let backup = first.dir().join("old.mpb");
    first.run(&["backup", "create", "--to", text(&backup)]).ok();

    // Each deletes some, and writes something; then all have forgotten the deletes.
    for (number, node) in [&first, &others[0], &others[1]].into_iter().enumerate() {
        (0..10).for_each(|n| drop(node.run(&["rm", &format!("t/k{}", 10 * number + n)]).ok()));
        put(node, &format!("own/{number}"), 1);
    }
    for node in [&first, &others[0], &others[1]] {
        node.until(&["ls"], "         3  own\n        30  t\n");
        // A minute after the last of them has told that it has them.
        until_within(Duration::from_secs(150), "the deletes are forgotten", || {
            let status = value(&node.run(&["status", "--json"]).ok());
            status["node"]["tombstones"]["count"] == 0
        });
    }
    first.kill();
    std::fs::remove_dir_all(first.data()).unwrap();
    std::fs::create_dir(first.data()).unwrap();
    std::fs::write(first.data().join("millpond.toml"), configuration).unwrap();
    // It is away for longer than it is waited for.
    for node in &others {
        let evicted = |peer: &Value| peer["name"] == "paris-1" && !peer["evicted"].is_null();
        until("it is waited for no longer", || {
            let status = value(&node.run(&["status", "--json"]).ok());
            status["peers"].as_array().unwrap().iter().any(evicted)
        });
    }
    let (is_over, written) = (AtomicBool::new(false), Mutex::new(0));
    std::thread::scope(|scope| {
        let _end = End(&is_over);
        let (is_over, written) = (&is_over, &written);
        for (number, node) in others.iter().enumerate() {
            scope.spawn(move || {
                for n in (0..).take_while(|_| !is_over.load(Relaxed)) {
                    let key = format!("/api/v1/c/busy/{number}-{n}");
                    let answer = request(node.data(), "PUT", &key, "{\"n\":1}");
                    *written.lock().unwrap() += u64::from(answer.is_some());
                    let gone = request(node.data(), "GET", &format!("/api/v1/c/t/k{}", n % 30), "");
                    assert_eq!(gone, None, "a deleted key is back");
                }
            });
        }
        let restore = ["backup", "restore", text(&backup), "--data", text(first.data())];
        let how = ["--into-domain", "--key", text(&key)];
        millpond(&[&restore[..], &how].concat(), b"").ok();
        first.restart();
        put(&first, "own/restored", 1);
        first.until(&["status"], "OK  ");
    });
    let busy = *written.lock().unwrap();
    assert!(busy > 0);
    let all = format!("{busy:>10}  busy\n         4  own\n        30  t\n");
    for node in [&first, &others[0], &others[1]] {
        node.until(&["ls"], &all);
        for n in 0..30 {
            node.run(&["get", &format!("t/k{n}")]).failed(1);
        }
    }
    let digest = |node: &Node| node.run(&["digest"]).ok();
    assert_eq!(digest(&first), digest(&others[0]));
    assert_eq!(digest(&first), digest(&others[1]));
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Killed again and again while it writes backups: what has a name is whole.
#[test]
fn a_kill_leaves_no_half_backup_under_a_name() {
    let mut node = Node::start_with_state();
    let lines: String = (0..5_000)
        .map(|n| format!("{{\"id\":\"k{n}\",\"text\":\"{:0>100}\"}}\n", n * 7919))
        .collect();
    node.run_with(&["import", "-", "--collection", "t", "--key-field", "id"], lines.as_bytes())
        .ok();
    assert_eq!(node.stop("TERM"), Some(0));
    let file = node.data().join("millpond.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let schedule =
        "[backup]\ndir = \"backups\"\nevery = \"1s\"\nkeep = { last = 3, daily = 0, weekly = 0 }\n";
    std::fs::write(&file, format!("{settings}\n{schedule}")).unwrap();
    for _ in 0..4 {
        node.restart();
        // One is due, or under way: sooner or later than the kill.
        node.until(&["status"], "last backup");
        node.until(&["ls"], "      5000  t\n");
        node.kill();
    }
    node.restart();
    node.until(&["status", "--json"], "\"made\":3,");
    let listed = value(&node.run(&["backup", "ls", "--json"]).ok());
    let listed = listed["backups"].as_array().unwrap();
    assert!((1..=4).contains(&listed.len()), "{listed:?}");
    for backup in listed {
        // The node goes on, and removes what need not be kept.
        let path = backup["path"].as_str().unwrap();
        let verified = millpond(&["backup", "verify", path], b"");
        assert!(verified.code == Some(0) || !Path::new(path).exists(), "{verified:?}");
    }
    let names = std::fs::read_dir(node.data().join("backups")).unwrap();
    let hidden =
        names.filter(|it| it.as_ref().unwrap().file_name().to_str().unwrap().starts_with('.'));
    assert!(hidden.count() <= 1, "only that which is being written");
    let metrics = request(node.data(), "GET", "/metrics", "").unwrap();
    assert!(metrics.contains("millpond_backup_last_success_timestamp_seconds 1"), "{metrics}");
}

#[test]
fn a_fork_never_links_to_the_domain_that_it_comes_from() {
    let node = Node::start_with_state();
    put(&node, "t/a", 1);
    let backup = node.dir().join("a.mpb");
    node.run(&["backup", "create", "--to", text(&backup), "--with-key"]).ok();
    let fork = Node::restored(&["backup", "restore", text(&backup), "--as-fork"]);
    assert_eq!(fork.run(&["get", "t/a"]).ok(), "n  1\n");
    let domain =
        |node: &Node| value(&node.run(&["status", "--json"]).ok())["node"]["domain"].clone();
    assert_ne!(domain(&fork), domain(&node));
    put(&fork, "t/fork", 1);
    // It is a domain like any: others join it, and get all.
    let third = fork.join("tokyo-1", "writer");
    assert_eq!(third.run(&["ls"]).ok(), "         2  t\n");
    assert_eq!(third.run(&["digest"]).ok(), fork.run(&["digest"]).ok());
    let peers = value(&fork.run(&["peers", "ls", "--json"]).ok());
    assert_eq!(peers["peers"].as_array().unwrap().len(), 1, "{peers}");
    node.run(&["get", "t/fork"]).failed(1);
    assert!(node.run(&["status"]).ok().contains("alone in its domain so far"));
}

#[test]
fn a_clone_is_a_new_member_that_fetches_only_the_rest() {
    let node = Node::start_with_state();
    let lines: String = (0..3_000)
        .map(|n| format!("{{\"id\":\"k{n}\",\"text\":\"{:0>200}\"}}\n", n * 7919))
        .collect();
    node.run_with(&["import", "-", "--collection", "t", "--key-field", "id"], lines.as_bytes())
        .ok();
    let backup = node.dir().join("a.mpb");
    node.run(&["backup", "create", "--to", text(&backup)]).ok();
    for n in 0..20 {
        put(&node, &format!("late/k{n}"), n);
    }
    let invite = node.run(&["invite"]).ok();
    let clone = Node::restored(&["clone", invite.trim(), "--from", text(&backup)]);
    clone.until(&["ls"], "        20  late\n      3000  t\n");
    clone.until(&["status"], "OK  ");
    let told = value(&clone.run(&["status", "--json"]).ok());
    let moved = &told["peers"][0]["counters"];
    let (rows, bytes) = (&moved["rows_received"], &moved["frame_bytes_received"]);
    println!("{rows} rows and {bytes} frame bytes received, of {} bytes", lines.len());
    assert!(rows.as_u64().unwrap() < 60, "{moved}");
    assert!(bytes.as_u64().unwrap() < 16_000, "{moved}");
    put(&clone, "t/own", 1);
    node.until(&["get", "t/own"], "n  1\n");
    assert_eq!(clone.run(&["digest"]).ok(), node.run(&["digest"]).ok());
    assert_ne!(incarnation(&clone), incarnation(&node));
}
