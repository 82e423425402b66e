//! Everything new goes to everybody: the fastest way there is, at the highest price.

use super::protocol::{Protocol, Way};
use super::stage::{Net, Update};

/// A plain flood: a node sends what is new to it to all peers but the one that it came from.
pub struct Flood;

impl Protocol for Flood {
    fn write(&mut self, net: &mut Net, update: Update) {
        for peer in net.peers(update.origin) {
            net.send(Way { from: update.origin, to: peer }, update);
        }
    }

    fn data(&mut self, net: &mut Net, way: Way, update: Update, is_new: bool) {
        if !is_new {
            return;
        }
        for peer in net.peers(way.to).filter(|peer| *peer != way.from) {
            net.send(Way { from: way.to, to: peer }, update);
        }
    }
}
