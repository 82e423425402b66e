//! A small model of the join and batch rules (R1-R7, R12, R13, and 7.3 of the design), explored exhaustively
//! and held against the code at every step.
//!
//! **The model** is the past: which write was made by whom, at which path, over what, knowing what. A node
//! is only how many writes of each node it covers, and the model knows of no entry, log or join: what is
//! live for whoever covers so much is what was written up to there and not overwritten up to there. A push
//! is taken when its causes are covered; a batch, if its base is, and then all of it is covered.
//!
//! **The code** is the code that ships: stores in memory, changed by [`commit_group`] and nothing else;
//! pushes put in order by the inbox; questions, supplies and jobs of catch-ups as the engine makes them, all
//! of it encoded and decoded on its way.
//!
//! Each [`Action`] is carried out by both, and then `check` compares: readers see exactly what is live (R1),
//! live dots are covered (R2), the log has one row for each of them and for each delete and no other (R3),
//! a batch is taken exactly if its base is covered (R4), seqs have no gaps (R5), transactions are whole and
//! a group is one commit (R7), a write overwrites what its node sees (R12), equal vectors mean equal
//! entries, causes come first, vectors never fall, what is on disk is what is in memory. Everything that a
//! [`Scope`] allows is explored: three nodes, two paths, two or three transactions, pushes and catch-ups
//! that come late, twice or never, cuts that are broken off and resumed, crashes.
//!
//! Where the engine keeps order, the exploration does not: a node may have several catch-ups under way at
//! once, whose slices, flips and folds come in between each other, and may ask from a base that it has received and
//! loses again. So the rules of the store hold by themselves, whatever the engine does around them. Nodes
//! that have not written are alike, so they write for the first time in the order of their numbers.
//!
//! Left out: the system namespace and how incarnations open and are fenced (R5, but for gaps), the schedule
//! of feeds and acks (R6), a store that falls back, admission (R14), types, hostile peers. Tombstones are not
//! collected yet (R8, R9). All of these are the simulator's.
//!
//! `MILLPOND_MODEL=large cargo test --release -p millpond --lib model` explores more, in some minutes.
//!
//! [`Action`]: steps::Action
//! [`Scope`]: scope::Scope
//! [`commit_group`]: crate::state::commit_group

mod check;
mod code;
mod history;
mod scope;
mod state;
mod steps;
mod tests;
mod transfer;
