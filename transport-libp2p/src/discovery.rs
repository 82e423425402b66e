//! What the swarm hears of where peers are.

use libp2p::kad::{self, GetClosestPeersError, GetClosestPeersOk, QueryResult};
use libp2p::{Multiaddr, PeerId, identify, mdns};

use crate::address::without_peer;
use crate::behaviours::{BehavioursEvent, KADEMLIA};
use crate::limits::TOLD_ADDRESSES_MAX;
use crate::swarm::Driver;

impl Driver {
    pub(crate) fn discovered(&mut self, event: BehavioursEvent) {
        match event {
            BehavioursEvent::Mdns(mdns::Event::Discovered(peers)) => {
                for (peer, address) in peers {
                    self.heard(peer, address);
                }
            }
            BehavioursEvent::Mdns(mdns::Event::Expired(peers)) => {
                for (peer, address) in peers {
                    self.found.remove(peer, &without_peer(address));
                }
            }
            BehavioursEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() else { return };
                if info.protocols.contains(&KADEMLIA) {
                    for address in info.listen_addrs.into_iter().take(TOLD_ADDRESSES_MAX) {
                        kademlia.add_address(&peer_id, address);
                    }
                }
            }
            BehavioursEvent::Kademlia(kad::Event::OutboundQueryProgressed { result, .. }) => {
                let QueryResult::GetClosestPeers(closest) = result else { return };
                let peers = match closest {
                    Ok(GetClosestPeersOk { peers, .. })
                    | Err(GetClosestPeersError::Timeout { peers, .. }) => peers,
                };
                for found in peers {
                    for address in found.addrs {
                        self.heard(found.peer_id, address);
                    }
                }
            }
            BehavioursEvent::Reachable(tested) => {
                let (address, result) = (tested.tested_addr, tested.result);
                tracing::debug!(%address, ?result, "whether others reach this node was tested");
            }
            _ => {}
        }
    }

    fn heard(&self, peer: PeerId, address: Multiaddr) {
        let address = without_peer(address);
        if self.below.takes(&address) {
            self.found.add(peer, address);
        }
    }
}
