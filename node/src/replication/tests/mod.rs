//! The engine under attack: a rig of a few nodes in virtual time, and the interleavings that broke earlier
//! designs, each as a test that fails when its rule is taken out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::Check;
use crate::planted;

mod acceptance;
mod audit;
mod catch_up;
mod continuity;
mod feeds;
mod history;
mod hostile;
mod net;
mod node;
mod schedules;
mod world;

/// A scenario ends well, and does not once these rules are taken out: or it would prove nothing.
fn depends_on(rules: &'static [&'static str], scenario: impl Fn() -> Check) {
    scenario().unwrap_or_else(|why| panic!("{why}"));
    let without = planted::without(rules, || catch_unwind(AssertUnwindSafe(&scenario)));
    println!("{rules:?} taken out: {without:?}");
    assert!(
        !matches!(without, Ok(Ok(()))),
        "{rules:?} taken out, and all goes well: proves nothing"
    );
}
