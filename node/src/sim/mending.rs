//! Whoever has lost values to damage gets back what others hold.

use std::ops::ControlFlow;

use millpond_core::{Dot, Namespace, Path};

use super::net::NodeId;
use super::stage::Stage;
use super::world::{Check, World};
use crate::replication::Request;
use crate::state::{Overlay, is_lost};
use crate::store::Store;

impl Stage {
    /// Damaged nodes look through what they hold, and miss in the end only what no other node has.
    pub(super) fn judge_mending(&mut self) -> Check {
        let is_sick = |&node: &NodeId| {
            let is_running = self.world.nodes[node].running.is_some();
            let is_damaged =
                self.world.nodes[node].store.is_rotten() || !lost(&self.world, node).is_empty();
            is_running && !self.gone.contains(&node) && is_damaged
        };
        let sick: Vec<NodeId> = (0..self.world.nodes.len()).filter(is_sick).collect();
        if !self.copies.is_empty() || sick.is_empty() {
            return Ok(());
        }
        for &node in &sick {
            self.world.ask(node, Request::Verify { peers: None, is_deep: true });
        }
        let mut missed = String::new();
        for _ in 0..MENDED_MS / LOOK_MS {
            self.world.run(LOOK_MS);
            self.world.observed.clone()?;
            let miss = sick.iter().find_map(|&node| misses(&self.world, node));
            let Some(miss) = miss else { return Ok(()) };
            missed = miss;
        }
        Err(format!("mending: {missed}"))
    }
}

/// What a node has lost and another one holds.
fn misses(world: &World, node: NodeId) -> Option<String> {
    if world.nodes[node].store.is_rotten() {
        return Some(format!("{node} leaves damage as it is"));
    }
    lost(world, node).into_iter().find_map(|(path, dot)| {
        let holds = |other: &NodeId| {
            let view = world.try_view(*other, Namespace::MAIN);
            let entry = view.and_then(|view| view.entry(&path));
            entry.is_ok_and(|entry| entry.contains(dot))
        };
        let other = world.running().filter(|other| *other != node).find(holds)?;
        Some(format!("{node} has not got {dot} at {path} back, which {other} holds"))
    })
}

/// The dots that a node knows to live, without knowing what they are.
fn lost(world: &World, node: NodeId) -> Vec<(Path, Dot)> {
    let store = &world.nodes[node].store;
    let mut lost = Vec::new();
    let tables = store.snapshot().and_then(|it| Overlay::over(it, Namespace::MAIN));
    let read = tables.and_then(|tables| {
        tables.entries(Namespace::MAIN, None, None, &mut |path, entry| {
            let dots = entry.live().iter().filter(|live| is_lost(live));
            lost.extend(dots.map(|live| (path.clone(), live.dot)));
            ControlFlow::Continue(())
        })
    });
    drop(read);
    lost
}

/// How long a node may take to get back what others have, and how often it is looked at.
const MENDED_MS: u64 = 120_000;
const LOOK_MS: u64 = 1_000;
