//! Primary and backup, as processes.

use serde_json::Value;

use crate::node::Node;

/// A backup refuses writes and names the primary, goes on when it dies, takes over when it is promoted, and the
/// old primary comes back as its backup with what only it had.
#[test]
fn a_primary_dies_and_comes_back_as_a_backup() {
    let mut paris = Node::start_with_state();
    let london = paris.join("london-1", "admin");
    assert_eq!(
        paris.run(&["promote"]).ok(),
        "paris-1 is the primary now; the other members are its backups\n"
    );
    london.until(&["status"], "a backup of paris-1");
    paris.run(&["put", "t/a", r#"{"n":1}"#]).ok();
    let refused = london.run(&["put", "t/b", r#"{"n":2}"#]).failed(1);
    assert!(refused.contains("the primary is paris-1, at 127.0.0.1:"), "{refused}");
    assert!(refused.contains("(not_primary)") && refused.contains("millpond promote"), "{refused}");
    london.until(&["get", "t/a"], "n  1");

    // What the primary writes alone is not lost when it dies.
    paris.run(&["peers", "pause"]).ok();
    paris.run(&["put", "t/unsynced", r#"{"n":3}"#]).ok();
    paris.kill();
    assert_eq!(london.run(&["get", "t/a"]).ok(), "n  1\n");
    london.run(&["put", "t/b", r#"{"n":2}"#]).failed(1);
    london.run(&["promote", "london-1"]).ok();
    london.run(&["put", "t/b", r#"{"n":2}"#]).ok();

    paris.restart();
    london.until(&["get", "t/unsynced"], "n  3");
    paris.until(&["get", "t/b"], "n  2");
    paris.until(&["status"], "a backup of london-1");
    let refused = paris.run(&["put", "t/c", "{}"]).failed(1);
    assert!(refused.contains("the primary is london-1"), "{refused}");
    let status: Value = serde_json::from_str(&paris.run(&["status", "--json"]).ok()).unwrap();
    assert_eq!(status["node"]["primary"]["name"], "london-1");

    let nobody = london.run(&["promote", "nobody"]).failed(1);
    assert!(nobody.contains("there is no member `nobody`"), "{nobody}");
    assert_eq!(london.run(&["promote", "--everybody"]).ok(), "every writer writes now\n");
    london.run(&["put", "t/d", "{}"]).ok();
}

/// With the preset in its configuration a node is nobody's writer before a primary is named.
#[test]
fn a_preset_without_a_primary_lets_nobody_write_yet() {
    let mut node = Node::start();
    assert_eq!(node.stop("TERM"), Some(0));
    let file = node.data().join("millpond.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("preset = \"primary-backup\"\n{text}")).unwrap();
    node.restart();
    let refused = node.run(&["put", "t/a", "{}"]).failed(1);
    assert!(refused.contains("no member is the primary yet"), "{refused}");
    node.run(&["promote"]).ok();
    node.run(&["put", "t/a", "{}"]).ok();

    assert_eq!(node.stop("TERM"), Some(0));
    std::fs::write(&file, format!("primary = \"paris-1\"\n{text}")).unwrap();
    let odd = node.run(&["config", "check"]).failed(3);
    assert!(odd.contains("`preset` is not \"primary-backup\""), "{odd}");
}
