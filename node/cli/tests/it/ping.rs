//! `peers ping`: by which way members are reached.

use serde_json::Value;

use crate::node::Node;

#[test]
fn nodes_of_one_host_are_reached_by_their_sockets() {
    let mut paris = Node::start_with_state();
    let mut london = paris.join("london-1", "writer");
    paris.until(&["peers", "ping", "london-1"], "quic");
    for node in [&mut paris, &mut london] {
        let socket = format!("unix:{}", node.dir().join("pond.sock").display());
        let listen = format!("[replication]\nalso_listen = \"{socket}\"\n");
        node.reconfigure("[replication]\n", &listen);
    }
    // Whoever dialled first may have known an old address only; now both know both.
    paris.until(&["peers", "ls", "--json"], "pond.sock");
    assert_eq!(london.stop("TERM"), Some(0));
    paris.until(&["peers", "ping", "--json"], "\"linked\":false");
    paris.run(&["peers", "ping"]).failed(1);
    london.restart();
    paris.until(&["peers", "ping"], "unix");
    let told: Value =
        serde_json::from_str(&paris.run(&["peers", "ping", "london-1", "--json"]).ok()).unwrap();
    assert_eq!(told["routes"][0]["transport"], "unix", "{told}");
    let nobody = paris.run(&["peers", "ping", "nobody"]).failed(1);
    assert!(nobody.contains("there is no member `nobody`"), "{nobody}");
}
