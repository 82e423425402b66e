//! The node as a service: what it tells the service manager.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::node::Node;

#[test]
fn the_service_manager_hears_that_the_node_is_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let patience_us = "600000";
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", patience_us)];
    let mut node = Node::start_with(&environment);
    let ready = next(&manager);
    assert!(ready.contains("READY=1\n"), "{ready}");
    assert!(ready.contains("STATUS=alone in its domain so far"), "{ready}");
    for _ in 0..3 {
        let alive = next(&manager);
        assert!(alive.contains("WATCHDOG=1\n") && alive.contains("STATUS="), "{alive}");
    }
    assert_eq!(node.stop("TERM"), Some(0));
    let mut last = next(&manager);
    while last.contains("WATCHDOG=1") {
        last = next(&manager);
    }
    assert_eq!(last, "STOPPING=1\n");
}

fn next(manager: &UnixDatagram) -> String {
    let mut text = [0; 1024];
    let length = manager.recv(&mut text).expect("a message in time");
    String::from_utf8(text[..length].to_vec()).unwrap()
}
