//! Nodes behind NATs, which nobody can dial, and a relay between them.

use std::path::Path;

use millpond_rig::{Network, Node, until};
use serde_json::Value;
use tempfile::TempDir;

/// A relay, and two nodes that know each other through it only.
struct Natted {
    // The nodes end before their hosts do.
    relay: Node,
    nodes: [Node; 2],
    _folder: TempDir,
    _network: Network,
}

impl Natted {
    /// `None`, with words, where there can be no NAT.
    fn start(settings: &str) -> Option<Self> {
        if !super::is_done_without(Network::why_no_nat()) {
            return None;
        }
        let mut network = Network::mesh(3).unwrap();
        let behind = [1, 2].map(|router| network.put_behind(router).unwrap());
        let (folder, program) =
            (TempDir::new().unwrap(), Path::new(env!("CARGO_BIN_EXE_millpond")));
        let start = |host: usize, name: &str, invite: Option<&str>, libp2p: &str| {
            let host = &network.hosts()[host];
            let at = format!("/ip4/{}/tcp/8445", host.address());
            let settings = format!("also_listen = \"{at}\"\nlibp2p = {{ {libp2p} }}");
            let node = Node::start(program, host, &folder.path().join(name), invite, &settings);
            (node.unwrap(), at)
        };
        let (relay, at) = start(0, "relay", None, "relay_for_members = true");
        let status = relay.status().unwrap();
        let place = format!("{at}/p2p/{}", status["node"]["key"].as_str().unwrap());
        let nodes = [("anna", behind[0]), ("ben", behind[1])].map(|(name, host)| {
            let invite = relay.run(&["invite"]).unwrap();
            let libp2p = format!("relays = [\"{place}\"]{settings}");
            start(host, name, Some(invite.trim()), &libp2p).0
        });
        Some(Self { relay, nodes, _folder: folder, _network: network })
    }

    /// Waits until the two have a link, and tells where each sees the other.
    fn linked(&self) -> [String; 2] {
        let [anna, ben] = &self.nodes;
        let link = |node: &Node, peer: &Node| {
            let status = node.status().unwrap_or_default();
            let peers = status["peers"].as_array().cloned().unwrap_or_default();
            let peer = peers.into_iter().find(|it| it["name"] == peer.name());
            peer.map(|it| it["link"].clone()).filter(|link| link["fed"] == true)
        };
        let both = || (link(anna, ben), link(ben, anna));
        until("they have a link", || matches!(both(), (Some(_), Some(_))))
            .unwrap_or_else(|error| panic!("{error}\n{}", self.shown()));
        let (Some(at_anna), Some(at_ben)) = both() else { panic!("it has ended") };
        [at_anna, at_ben].map(|link| {
            assert_eq!(link["transport"], "libp2p");
            link["remote_address"].as_str().unwrap().to_owned()
        })
    }

    fn converge(&self) {
        let [anna, ben] = &self.nodes;
        for number in 0..50 {
            anna.put("by-anna", &number.to_string(), number).unwrap();
            ben.put("by-ben", &number.to_string(), number).unwrap();
        }
        let digest = |node: &Node| node.digest().unwrap();
        until("both hold the same", || digest(anna) == digest(ben))
            .unwrap_or_else(|error| panic!("{error}\n{}", self.shown()));
    }

    fn shown(&self) -> String {
        let nodes = [&self.relay, &self.nodes[0], &self.nodes[1]];
        let status = |node: &Node| node.status().unwrap_or(Value::Null);
        nodes.map(|node| format!("{:#}\n", status(node))).concat()
    }
}

#[test]
fn two_nodes_behind_nats_meet_at_a_relay() {
    let Some(natted) = Natted::start("") else { return };
    let seen = natted.linked();
    assert!(seen.iter().any(|address| address.contains("p2p-circuit")), "{seen:?}");
    natted.converge();
}

#[test]
fn two_nodes_behind_nats_go_on_without_their_relay() {
    let Some(mut natted) = Natted::start(", hole_punching = true") else { return };
    let seen = natted.linked();
    assert!(!seen.iter().any(|address| address.contains("p2p-circuit")), "{seen:?}");
    natted.relay.kill().unwrap();
    natted.converge();
}
