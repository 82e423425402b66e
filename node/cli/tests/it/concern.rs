//! Writes that wait for other members, from outside.

use serde_json::Value;

use crate::node::Node;

#[test]
fn a_write_that_others_do_not_hold_in_time_is_written_and_exits_with_7() {
    let node = Node::start();
    let put = ["put", "t/a", r#"{"n":1}"#, "--concern", "replicas:1", "--timeout", "100ms"];
    let unknown = node.run(&put).failed(7);
    assert!(unknown.starts_with("unknown: replicas:1 is not met in time"), "{unknown}");
    assert!(unknown.contains("it is stored here and stays"), "{unknown}");
    assert_eq!(node.run(&["get", "t/a", "--json"]).ok(), "{\"n\":1}\n");
    let refused = node.run(&["put", "t/b", "{}", "--min-connected", "1"]).failed(1);
    assert!(refused.contains("(too_few_connected)"), "{refused}");
    node.run(&["put", "t/b", "{}", "--concern", "some"]).failed(2);

    let other = node.join("london-1", "writer");
    let held = node.run(&["put", "t/a", r#"{"n":2}"#, "--concern", "named:london-1"]).ok();
    assert_eq!(held, "updated t/a\nheld by london-1\n");
    assert_eq!(other.run(&["get", "t/a", "--json"]).ok(), "{\"n\":2}\n");
    assert_eq!(node.run(&["count", "t/a", "votes", "3", "--concern", "all"]).ok(), "3\n");
    let removed = node.run(&["rm", "t/a", "--concern", "majority", "--json"]).ok();
    let removed: Value = serde_json::from_str(&removed).unwrap();
    assert_eq!(removed["receipt"]["concern"]["is_met"], true);
}
