//! A member is removed, and what it wrote stays.

use serde_json::Value;

use crate::node::Node;

fn members(node: &Node) -> Vec<String> {
    let peers: Value = serde_json::from_str(&node.run(&["peers", "ls", "--json"]).ok()).unwrap();
    let peers = peers["peers"].as_array().unwrap().iter();
    peers.map(|peer| peer["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_member_is_removed_and_what_it_wrote_stays() {
    let paris = Node::start_with_state();
    let london = paris.join("london-1", "writer");
    let tokyo = paris.join("tokyo-1", "writer");
    london.run(&["put", "t/a", r#"{"n":1}"#]).ok();
    paris.until(&["get", "t/a"], "n  1");
    tokyo.until(&["get", "t/a"], "n  1");
    tokyo.until(&["peers", "ls"], "london-1");

    // It is asked twice, and only an admin may.
    let asked = paris.run(&["peers", "remove", "london-1"]).failed(2);
    assert!(asked.contains("millpond peers remove london-1 --yes-remove=london-1"), "{asked}");
    assert_eq!(members(&paris).len(), 2);
    let refused = tokyo.run(&["peers", "remove", "london-1", "--yes-remove=london-1"]).failed(1);
    assert!(refused.contains("only an admin may remove others"), "{refused}");
    let last = paris.run(&["peers", "remove", "paris-1", "--yes-remove=paris-1"]).failed(1);
    assert!(last.contains("it is the last admin"), "{last}");

    let removed = paris.run(&["peers", "remove", "london-1", "--yes-remove=london-1"]).ok();
    assert_eq!(removed, "removed: london-1\n");
    assert_eq!(members(&paris), ["tokyo-1"]);
    tokyo.until_not(&["peers", "ls"], "london-1");
    assert_eq!(tokyo.run(&["get", "t/a"]).ok(), "n  1\n");
    paris.run(&["put", "t/b", r#"{"n":2}"#]).ok();
    tokyo.until(&["get", "t/b"], "n  2");
    // What it writes from now on comes to nobody.
    london.run(&["put", "t/c", r#"{"n":3}"#]).ok();
    paris.run(&["get", "t/c"]).failed(1);

    // A member may leave by itself.
    tokyo.run(&["peers", "remove", "tokyo-1", "--yes-remove=tokyo-1"]).ok();
    paris.until(&["peers", "ls"], "no other member yet");
}
