//! A delayed replica, as a process.

use serde_json::Value;

use crate::node::Node;

/// A record is deleted by mistake: the delayed replica still shows it, also when it is killed meanwhile, and shows
/// exactly what was before the mistake when it is told to.
#[test]
fn what_was_deleted_by_mistake_is_found_at_the_delayed_replica() {
    let paris = Node::start_with_state();
    paris.run(&["put", "t/old", r#"{"n":1}"#]).ok();
    let mut london = paris.join("london-1", "writer");
    assert_eq!(london.stop("TERM"), Some(0));
    let file = london.data().join("millpond.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let delayed = text.replacen("[replication]", "[replication]\napply_after = \"1h\"", 1);
    std::fs::write(&file, delayed).unwrap();
    london.restart();
    assert_eq!(london.run(&["get", "t/old"]).ok(), "n  1\n", "it begins with what there is");
    paris.until(&["peers", "ls"], "delayed");
    let refused = london.run(&["put", "t/own", "{}"]).failed(1);
    assert!(refused.contains("(delayed)") && refused.contains("another member"), "{refused}");

    paris.run(&["put", "t/new", r#"{"n":2}"#]).ok();
    let vv = |node: &Node| -> Value {
        let status: Value = serde_json::from_str(&node.run(&["status", "--json"]).ok()).unwrap();
        let main = &status["namespaces"].as_array().unwrap()[1];
        main["vv"].clone()
    };
    let is_level = |london: &Node| {
        let wanted = vv(&paris);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while vv(london) != wanted {
            assert!(std::time::Instant::now() < deadline, "it does not receive");
        }
    };
    is_level(&london);
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    paris.run(&["rm", "t/old"]).ok();
    is_level(&london);
    london.kill();
    london.restart();
    assert_eq!(london.run(&["get", "t/old"]).ok(), "n  1\n", "it shows what was");
    london.run(&["get", "t/new"]).failed(1);
    let status = london.run(&["status"]).ok();
    assert!(status.contains("shows what it has received after 1h: the oldest"), "{status}");

    let ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() - before;
    let ago = format!("{}ms", ago.as_millis());
    london.run(&["delayed", "apply-until", &ago]).ok();
    london.until(&["get", "t/new"], "n  2");
    assert_eq!(london.run(&["get", "t/old"]).ok(), "n  1\n", "not the mistake");
    london.run(&["delayed", "promote"]).ok();
    london.run(&["get", "t/old"]).failed(1);
    london.run(&["put", "t/own", "{}"]).ok();
    let none = paris.run(&["delayed", "pause"]).failed(1);
    assert!(none.contains("this node is no delayed replica"), "{none}");
}
