//! What is explored, and which bugs it finds.

use std::collections::BTreeSet;
use std::time::Instant;

use super::history::Kind::{Delete, DeleteBoth, Put, PutBoth, PutOther};
use super::scope::{Explored, REACHED, Scope};

/// Transactions in every order, and a crash.
const PUSHES: Scope = Scope {
    scripts: &[&[PutBoth, Put, DeleteBoth], &[PutBoth, Delete, Put]],
    nodes: 3,
    pushes: true,
    asks: 0,
    batches: false,
    cuts: false,
    is_hasty: false,
    crashes: 1,
};

/// One batch among them, at any time and more than once, above a base that may not be durable.
const BATCH: Scope = Scope { asks: 1, batches: true, is_hasty: true, crashes: 0, ..PUSHES };

/// Batches only, over three nodes.
const BATCHES: Scope = Scope {
    scripts: &[&[Put, Delete, Put], &[Put, PutBoth, DeleteBoth]],
    pushes: false,
    asks: 3,
    batches: true,
    crashes: 0,
    ..PUSHES
};

/// A cut that is resumed again and again, between two nodes that write.
const CUTS: Scope = Scope { nodes: 2, asks: 3, batches: false, cuts: true, ..BATCHES };

/// The same with a crash, after which nothing of an earlier cut is under way any more.
const RESUMPTION: Scope =
    Scope { scripts: &[&[Put, PutOther], &[PutBoth, Put]], crashes: 1, ..CUTS };

/// Cuts of two suppliers, and pushes among their rows.
const CUTS_AND_PUSHES: Scope =
    Scope { scripts: &[&[PutBoth, Put]], asks: 2, cuts: true, crashes: 0, ..PUSHES };

/// What is explored each time.
const SCOPES: [(&str, Scope); 6] = [
    ("pushes", PUSHES),
    ("a batch", BATCH),
    ("batches", BATCHES),
    ("cuts", CUTS),
    ("a resumption", RESUMPTION),
    ("cuts and pushes", CUTS_AND_PUSHES),
];

/// What is explored on demand.
const LARGE: [(&str, Scope); 4] = [
    ("pushes, large", Scope { scripts: &[&[PutBoth, Put, Delete, Put]], ..PUSHES }),
    ("batches, large", Scope { scripts: &[&[Put, Delete, Put]], pushes: true, asks: 2, ..BATCHES }),
    ("a resumption, large", Scope { scripts: &[&[PutBoth, Put, DeleteBoth]], ..RESUMPTION }),
    ("cuts and pushes, large", Scope { batches: true, crashes: 1, ..CUTS_AND_PUSHES }),
];

#[test]
fn the_code_does_as_the_model_says() {
    let is_large = std::env::var("MILLPOND_MODEL").is_ok_and(|size| size == "large");
    let mut reached = BTreeSet::new();
    for (name, scope) in SCOPES.into_iter().chain(LARGE.into_iter().filter(|_| is_large)) {
        let start = Instant::now();
        let explored = scope.explore(&[]);
        let (states, steps, depth) = (explored.states, explored.steps, explored.depth);
        println!("{name}: {states} states, {steps} steps, depth {depth}, {:?}", start.elapsed());
        assert_eq!(explored.fault, None, "{name}");
        reached.extend(explored.reached);
    }
    assert_eq!(reached, BTreeSet::from(REACHED));
}

/// Each rule that the model is about, and where its absence shows.
///
/// Not here: that one delete dot does not remove several paths (finding 2), since a delete names one path;
/// that a request states what is durable (finding 4), since the exploration asks without that; that a cut is
/// of one boot (S11), since no store falls back here.
static FOUND: [(&str, Scope); 28] = [
    ("losers of a race are kept", PUSHES),
    ("an overwritten dot leaves the log", PUSHES),
    ("a delete stays in the log", PUSHES),
    ("a push follows its predecessor", PUSHES),
    ("causes come before effects", PUSHES),
    ("the first push of a boot depends on all", PUSHES),
    ("seqs have no gaps", PUSHES),
    ("a transaction is applied whole", PUSHES),
    ("a group is one commit", PUSHES),
    ("a covered dot that is absent stays so", BATCH),
    ("a batch is complete relative to its base", BATCH),
    ("a batch carries the deletes", BATCHES),
    ("a partial cut covers nothing", CUTS),
    ("a flip names its cut", CUTS),
    ("a cut never falls back", CUTS),
    ("rows are joined under the vector before the flip", CUTS),
    ("a cut is seen whole", CUTS),
    ("a write folds its path first", CUTS),
    ("a cut waits for the fold before it", CUTS),
    ("what is supplied is folded", CUTS_AND_PUSHES),
    ("a resumption sends what changed", CUTS),
    ("a resumption starts from the oldest rows", CUTS),
    ("a row sent again holds all its deletes", CUTS),
    ("a write overwrites what its node has covered", CUTS),
    ("a continuation needs its beginning", CUTS_AND_PUSHES),
    ("a direct cut meets an empty state", CUTS_AND_PUSHES),
    ("nothing stays of a cut that is given up", CUTS_AND_PUSHES),
    ("hidden dots are not supplied", CUTS_AND_PUSHES),
];

#[test]
fn the_exploration_finds_what_it_is_about() {
    let mut survivors = Vec::new();
    for (rule, scope) in &FOUND {
        let Explored { states, fault, .. } = scope.explore(std::slice::from_ref(rule));
        let Some((broken, why, steps)) = fault else {
            survivors.push(*rule);
            continue;
        };
        println!("without {rule:?}, after {states} states: {broken:?}, {why}, by {steps:?}");
    }
    assert_eq!(survivors, [""; 0]);
}
