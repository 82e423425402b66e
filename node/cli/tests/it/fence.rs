//! A copied folder beside its original (bar B7): no dot is issued twice, and nothing is lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::kill::{export, request};
use crate::node::{Node, millpond};

#[test]
fn a_copied_folder_beside_its_original_harms_nothing() {
    let first = Node::start_with_state();
    let mut original = first.join("tokyo-1", "writer");
    let third = first.join("rome-1", "writer");
    original.run(&["put", "t/before", r#"{"n":1}"#]).ok();
    assert_eq!(original.stop("TERM"), Some(0));
    let mut copy = Node::copied(original.data());
    original.restart();

    // With the original's state folder it does not even start.
    let refused = millpond(&["run", "--dir", copy.data().to_str().unwrap()], b"").failed(1);
    assert!(refused.contains("is a copy of a folder whose node runs on this host"), "{refused}");
    assert!(refused.contains("millpond clone"), "{refused}");

    copy.settle_elsewhere();
    copy.restart();
    let issued = write_at_once([&original, &copy]);
    let [by_original, by_copy] = &issued;
    println!("{} dots of the original, {} of the copy", by_original.len(), by_copy.len());
    let put = |node: &Node, key: &str| node.run(&["put", key, r#"{"n":2}"#]);
    for node in [&original, &copy] {
        node.until(&["fence", "status"], "fenced: tokyo-1 takes no writes");
        let refused = put(node, "t/refused").failed(1);
        assert!(refused.contains("fenced"), "{refused}");
    }
    // No number has two writers: each wrote under an incarnation of its own.
    assert_ne!(incarnation(&original), incarnation(&copy));
    assert!(!by_original.is_empty() && !by_copy.is_empty());
    assert!(by_original.keys().all(|it| !by_copy.contains_key(it)), "{issued:?}");
    // What both hold under one name is one write.
    let [held_here, held_there] = [&original, &copy].map(held);
    let shared: Vec<&String> = held_here.keys().filter(|it| held_there.contains_key(*it)).collect();
    assert!(!shared.is_empty(), "what was written before the copy was made");
    for dot in shared {
        assert_eq!(held_here[dot], held_there[dot], "{dot}");
    }

    copy.kill();
    let released = original.run(&["fence", "release"]).ok();
    assert!(released.starts_with("released: "), "{released}");
    original.until(&["status"], "all 2 other members are current");
    put(&original, "t/after").ok();
    third.until(&["ls", "t"], "after");
    let digest = |node: &Node| node.run(&["digest", "--json"]).ok();
    for key in ["t/before", "t/original", "t/after"] {
        third.run(&["get", key]).ok();
    }
    assert_eq!(digest(&original), digest(&third));
    assert_eq!(digest(&original), digest(&first));

    // What the copy alone held comes with a key of its own.
    let invite = first.run(&["invite"]).ok();
    let from = copy.data().to_str().unwrap().to_owned();
    let saved = Node::restored(&["clone", invite.trim(), "--from", &from]);
    saved.run(&["get", "t/copy"]).ok();
    third.until(&["ls", "t"], "copy");
    let held = export(third.data());
    for key in by_original.values().chain(by_copy.values()) {
        assert!(held.contains_key(key), "{key} was acknowledged");
    }
    assert!(original.run(&["fence", "release"]).failed(1).contains("not fenced"));
}

/// Writes at both until each has written enough, or is fenced; tells the dots that each of them was told, and
/// the keys.
fn write_at_once(nodes: [&Node; 2]) -> [BTreeMap<String, String>; 2] {
    let write = |node: &Node, by: &str| {
        let mut issued = BTreeMap::new();
        for n in 0..WRITES_AT_ONCE {
            let key = match n {
                0 => format!("t/{by}"),
                1 => "t/both".to_owned(),
                n => format!("many/{by}-{n}"),
            };
            let answer = request(node.data(), "PUT", &format!("/api/v1/c/{key}"), r#"{"n":1}"#);
            let Some(answer) = answer else { break };
            let answer: Value = serde_json::from_str(&answer).unwrap();
            issued.insert(answer["receipt"]["dot"].as_str().expect("it wrote").to_owned(), key);
        }
        issued
    };
    std::thread::scope(|scope| {
        let threads = [(nodes[0], "original"), (nodes[1], "copy")]
            .map(|(node, by)| scope.spawn(move || write(node, by)));
        threads.map(|it| it.join().unwrap())
    })
}

/// All that a node holds: the dot of each write, and what was written, where and when.
fn held(node: &Node) -> BTreeMap<String, Value> {
    let mut held = BTreeMap::new();
    for key in export(node.data()).keys() {
        let record = request(node.data(), "GET", &format!("/api/v1/c/{key}?meta=1"), "").unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        for (field, written) in record["written"].as_object().unwrap() {
            let what = json!([key, field, written["at"], record["fields"][field]]);
            held.insert(written["dot"].as_str().unwrap().to_owned(), what);
        }
    }
    held
}

fn incarnation(node: &Node) -> Value {
    let status: Value = serde_json::from_str(&node.run(&["status", "--json"]).ok()).unwrap();
    status["node"]["incarnation"].clone()
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp exists").success());
}

/// More than a node gets to before it is told of the other one.
const WRITES_AT_ONCE: u64 = 500;
