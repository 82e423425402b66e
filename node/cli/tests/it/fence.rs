//! A copied folder beside its original (bar B7): no dot is issued twice, and nothing is lost.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

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
    let put = |node: &Node, key: &str| node.run(&["put", key, r#"{"n":2}"#]);
    put(&original, "t/original").ok();
    put(&copy, "t/copy").ok();
    put(&original, "t/both").ok();
    let is_put_by_copy = put(&copy, "t/both").code == Some(0);
    for node in [&original, &copy] {
        node.until(&["fence", "status"], "fenced: tokyo-1 takes no writes");
        let refused = put(node, "t/refused").failed(1);
        assert!(refused.contains("fenced"), "{refused}");
    }
    // No number has two writers: each wrote under an incarnation of its own.
    assert_ne!(incarnation(&original), incarnation(&copy));

    copy.kill();
    let released = original.run(&["fence", "release"]).ok();
    assert!(released.starts_with("released: "), "{released}");
    // A member that has yet to find that there were two says so once more.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !original.run(&["status"]).stdout.contains("all 2 other members are current") {
        assert!(Instant::now() < deadline, "{:?}", original.run(&["status"]));
        original.run(&["fence", "release"]);
        std::thread::park_timeout(Duration::from_secs(1));
    }
    put(&original, "t/after").ok();
    third.until(&["ls", "t"], "after");
    let digest = |node: &Node| node.run(&["digest", "--json"]).ok();
    for key in ["t/before", "t/original", "t/both", "t/after"] {
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
    assert!(is_put_by_copy || third.run(&["get", "t/both"]).code == Some(0));
    assert!(original.run(&["fence", "release"]).failed(1).contains("not fenced"));
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
