//! Planted bugs: each rule of this crate has one line of production code that upholds it, and that line asks
//! [`planted!`] whether a test has taken the rule out. A test of a rule runs its interleaving twice: it must
//! end well with the rule, and badly without, or it proves nothing. The simulator runs every one of them and
//! counts which it finds.
//!
//! Outside this crate's tests and the feature `planted-bugs` the question is the constant `false`, and the
//! bugs are not compiled.

/// Whether the rule of this name is taken out: never, in what ships.
#[cfg(not(any(test, feature = "planted-bugs")))]
macro_rules! planted {
    ($rule:literal) => {
        false
    };
}

#[cfg(any(test, feature = "planted-bugs"))]
macro_rules! planted {
    ($rule:literal) => {
        $crate::planted::is_taken_out($rule)
    };
}

pub(crate) use planted;

#[cfg(any(test, feature = "planted-bugs"))]
#[allow(unused_imports, reason = "some are the simulator's, which is another feature")]
pub(crate) use {
    active::{is_taken_out, met, without},
    registry::{PlantedBug, all_planted},
};

#[cfg(any(test, feature = "planted-bugs"))]
#[allow(dead_code, reason = "some of it is the simulator's, which is another feature")]
mod active;
#[cfg(any(test, feature = "planted-bugs"))]
#[allow(dead_code, reason = "some of it is the simulator's, which is another feature")]
mod registry;
