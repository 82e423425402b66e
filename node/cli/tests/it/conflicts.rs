//! Conflicts from outside.

use serde_json::Value;

use crate::node::Node;

#[test]
fn a_conflict_is_listed_shown_and_ended() {
    let node = Node::start();
    let other = node.join("london-1", "writer");
    node.run(&["put", "t/a", r#"{"n":0}"#, "--concern", "all"]).ok();
    node.run(&["peers", "pause"]).ok();
    node.run(&["put", "t/a", r#"{"n":1}"#]).ok();
    other.run(&["put", "t/a", r#"{"n":2}"#]).ok();
    node.run(&["peers", "resume"]).ok();
    node.until_not(&["conflicts", "ls"], "no conflicts\n");

    let listed: Value =
        serde_json::from_str(&node.run(&["conflicts", "ls", "t", "--json"]).ok()).unwrap();
    assert_eq!(listed["conflicts"][0]["field"], "n");
    assert_eq!(listed["conflicts"][0]["candidates"].as_array().unwrap().len(), 2);
    let explained = node.run(&["explain", "t/a", "n"]).ok();
    assert!(explained.contains("the latest stamp shows"), "{explained}");
    assert!(explained.contains("by london-1 at"), "{explained}");
    let (_, seen) = explained.split_once("--seen ").unwrap();
    let seen = seen.split_whitespace().next().unwrap();
    let resolve = |seen: &str, how: &[&str]| {
        node.run(&[&["conflicts", "resolve", "t/a", "n", "--seen", seen], how].concat())
    };
    let none = resolve(seen, &["--keep", "2"]).failed(1);
    assert!(none.contains("there is no value 2"), "{none}");
    let unseen = resolve("0123abcd", &["--keep", "1"]).failed(1);
    assert!(unseen.contains("has other values than those seen as 0123abcd"), "{unseen}");
    let follows = node.follow(&["conflicts", "--follow", "--json"]);
    follows.until("\"type\":\"conflict\"");
    follows.until("\"type\":\"cut\"");
    let ended = resolve(seen, &["--set", "null"]).ok();
    follows.until("\"type\":\"ended\",\"collection\":\"t\",\"key\":\"a\",\"field\":\"n\"");
    drop(follows);
    assert!(ended.contains("undo: millpond conflicts undo t/a n"), "{ended}");
    assert_eq!(node.run(&["get", "t/a", "--json"]).ok(), "{\"n\":null}\n");
    assert_eq!(node.run(&["conflicts", "ls"]).ok(), "no conflicts\n");
    let ended = resolve(seen, &["--keep", "0"]).failed(1);
    assert!(ended.contains("has other values"), "{ended}");

    // On the other node, and only once.
    other.until_not(&["get", "t/a", "--json"], "{\"n\":2}\n");
    other.run(&["conflicts", "undo", "t/a", "n"]).ok();
    let again: Value =
        serde_json::from_str(&other.run(&["conflicts", "ls", "--json"]).ok()).unwrap();
    let values = |list: &Value| -> Vec<Value> {
        let candidates = list["conflicts"][0]["candidates"].as_array().unwrap();
        candidates.iter().map(|it| it["value"].clone()).collect()
    };
    assert_eq!(values(&again), values(&listed));
    let nothing = other.run(&["conflicts", "undo", "t/a", "n"]).failed(1);
    assert!(nothing.contains("error[E0703]") && nothing.contains("(nothing_to_undo)"), "{nothing}");
}
