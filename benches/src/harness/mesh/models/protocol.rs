//! What a model answers.

use std::rc::Rc;

use super::stage::{Net, Update};

/// A protocol, with the state of all its nodes.
pub trait Protocol {
    /// Before anything happens.
    fn start(&mut self, _net: &mut Net) {}

    /// Nobody wrote for so long that what the writes set at one time has drifted apart.
    fn rest(&mut self, _net: &mut Net) {}

    /// An update is written at its origin, which holds it already.
    fn write(&mut self, net: &mut Net, update: Update);

    /// An update comes. `is_new` if the node did not hold it before; it does now.
    fn data(&mut self, net: &mut Net, way: Way, update: Update, is_new: bool);

    /// Something else comes.
    fn control(&mut self, _net: &mut Net, _way: Way, _control: Control) {}

    /// The time that was asked for has come.
    fn wake(&mut self, _net: &mut Net, _node: usize, _about: usize) {}
}

/// From which node to which.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub from: usize,
    pub to: usize,
}

/// What is sent that is no update.
#[derive(Debug, Clone)]
pub enum Control {
    /// The new vector of the sender: of each origin the highest number that it holds.
    Vector(Rc<[u32]>),
    /// Nothing happened; a vector is asked for.
    Heartbeat,
    /// The sender holds this update.
    Announce(Update),
    /// The sender wants this update, and those of its tree that follow.
    Graft(Update),
    /// The sender has another parent in the tree of this update.
    Prune(Update),
}
