//! Where peers were found: what discovery has heard, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libp2p::{Multiaddr, PeerId};

use crate::limits::{FOUND_ADDRESSES_MAX, FOUND_PEERS_MAX};

/// Addresses by peer. Whoever is near may fill it, so it is small; and a dial names the key that it expects, so a
/// false word costs that dial.
#[derive(Default)]
pub(crate) struct Found(Mutex<BTreeMap<PeerId, Vec<Multiaddr>>>);

impl Found {
    pub(crate) fn add(&self, peer: PeerId, address: Multiaddr) {
        let mut found = self.lock();
        if found.len() >= FOUND_PEERS_MAX && !found.contains_key(&peer) {
            return;
        }
        let addresses = found.entry(peer).or_default();
        addresses.retain(|it| *it != address);
        addresses.insert(0, address); // what was heard last is the likeliest
        addresses.truncate(FOUND_ADDRESSES_MAX);
    }

    pub(crate) fn remove(&self, peer: PeerId, address: &Multiaddr) {
        let mut found = self.lock();
        if let Some(addresses) = found.get_mut(&peer) {
            addresses.retain(|it| it != address);
            if addresses.is_empty() {
                found.remove(&peer);
            }
        }
    }

    pub(crate) fn of(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.lock().get(peer).cloned().unwrap_or_default()
    }

    /// What is kept is whole after any panic: nothing here runs code of others.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Vec<Multiaddr>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn the_latest_addresses_are_kept_and_come_first() {
        let (found, peer) = (Found::default(), PeerId::random());
        for port in [1, 2, 3, 4, 5, 3] {
            found.add(peer, address(port));
        }
        assert_eq!(found.of(&peer), [3, 5, 4, 2].map(address));
        for port in [2, 3, 4, 5] {
            found.remove(peer, &address(port));
        }
        assert!(found.of(&peer).is_empty() && found.lock().is_empty());
    }

    #[test]
    fn a_crowd_does_not_fill_the_memory() {
        let found = Found::default();
        for port in 0..FOUND_PEERS_MAX + 10 {
            found.add(PeerId::random(), address(port));
        }
        assert_eq!(found.lock().len(), FOUND_PEERS_MAX);
    }
}
