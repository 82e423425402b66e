//! A node changes its key, and is killed on the way.

use serde_json::Value;

use crate::node::Node;

fn keys(node: &Node) -> Value {
    serde_json::from_str(&node.run(&["keys", "show", "--json"]).ok()).unwrap()
}

fn shown(node: &Node) -> String {
    let keys = keys(node);
    let shown = keys["keys"].as_array().unwrap().iter().find(|key| key["state"] == "shown");
    shown.unwrap()["key"].as_str().unwrap().to_owned()
}

#[test]
fn a_node_that_is_killed_while_it_changes_its_key_goes_on() {
    let paris = Node::start_with_state();
    let mut london = paris.join("london-1", "writer");
    let first = shown(&london);
    london.run(&["put", "t/before", r#"{"n":1}"#]).ok();
    let told = london.run(&["keys", "rotate", "--overlap", "12s", "--json"]).ok();
    let next: Value = serde_json::from_str(&told).unwrap();
    let next = next["next"].as_str().unwrap().to_owned();
    london.kill();
    assert!(london.data().join("next.key").exists() || london.data().join("node.key").exists());
    london.restart();
    london.until(&["keys", "show"], &format!("shown     {next}"));
    london.kill();
    london.restart();
    london.run(&["put", "t/after", r#"{"n":2}"#]).ok();
    paris.until(&["get", "t/before"], "n  1");
    paris.until(&["get", "t/after"], "n  2");
    // It is the same member, and in the end the old key is gone everywhere.
    london.until_not(&["keys", "show"], "old  ");
    assert_eq!(keys(&london)["key"], first.as_str());
    let peers = paris.run(&["peers", "ls", "--json"]).ok();
    let peers: Value = serde_json::from_str(&peers).unwrap();
    let peer = &peers["peers"].as_array().unwrap()[0];
    assert_eq!((&peer["key"], &peer["shows"]), (&first.into(), &next.clone().into()));
    let refused = paris.run(&["keys", "revoke", &next]).failed(1);
    assert!(refused.contains("newest key"), "{refused}");
}
