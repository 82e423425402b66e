//! A test over many seeds.

use super::cluster::Sim;
use super::story::chosen_seed;

/// Runs a test on a cluster of three nodes for each of these seeds, under faults that the seed draws
/// ([`Sim::faulty`]), and panics with the first one that fails: it is printed before all else, with what happened.
/// In the end everything is mended, and the nodes must converge. For what must hold then, let the test
/// [heal](Sim::heal) and [settle](Sim::settle) the cluster itself.
///
/// With `MILLPOND_SEED=7` in the environment that seed is run, and no other.
///
/// # Example
/// An application that stores what it has read loses what was written elsewhere meanwhile. Counters do not:
///
/// ```
/// use millpond::records::RecordError;
/// use millpond::sim::check;
/// use millpond::{Counter, Record};
///
/// #[derive(Default, Record)]
/// struct Account {
///     #[millpond(key)]
///     owner: String,
///     balance: Counter, // and no i64
/// }
///
/// check(0..5, |sim| {
///     let account = Account { owner: "anna".into(), ..Account::default() };
///     sim.write(0, move |tx| tx.store(&account)).unwrap();
///     sim.settle();
///     for node in 0..3 {
///         sim.write(node, |tx| -> Result<(), RecordError> {
///             tx.edit::<Account, _>("anna", |account| account.balance.add(10))
///         })
///         .unwrap();
///     }
///     sim.heal().settle();
///     let account = sim.collection::<Account>(0).get("anna").unwrap().expect("it was stored");
///     assert_eq!(account.balance.value(), 30);
/// });
/// ```
///
/// # Panics
/// When the test does, when nodes do not converge, and when `MILLPOND_SEED` is no number.
pub fn check(seeds: impl IntoIterator<Item = u64>, mut test: impl FnMut(&mut Sim)) {
    let seeds: Vec<u64> = match chosen_seed() {
        Some(chosen) => vec![chosen],
        None => seeds.into_iter().collect(),
    };
    for seed in seeds {
        let mut sim = Sim::found(NODES, seed).faulty();
        test(&mut sim);
        sim.heal().assert_converged();
    }
}

/// Enough for a majority to be cut off from a minority, and for a way round.
const NODES: usize = 3;
