//! The engine under attack: a rig of a few nodes in virtual time, and the interleavings that broke earlier
//! designs, each as a test that fails when its rule is taken out ([`crate::planted`]).
//!
//! | rule | interleavings | tests |
//! |---|---|---|
//! | R4 a batch is relative to its base, and one snapshot | 4, 5, 6, S11 | `catch_up` |
//! | R7 a cut that is visible is whole, folded or not | 6, S16, S17 | `folds` |
//! | catch-up is pulled, from one supplier at a time | 24, S18 | `catch_up` |
//! | R8 what all live members have is collected | 13, 18, 20, 27 | `collection`, `super::words` |
//! | R8 words reach those that are not linked with their members | 18, S14, S19 | `relays`, `super::words` |
//! | R13 what is compacted takes dots, and waits for all | 8, 9, 12, S10 | `compactions` |
//! | R9 who is below a floor is not brought level by what changed | 1, 13, S11 | `floors` |
//! | R9 then they refresh, and nothing unsynced is lost | 9, 13, 14 | `refreshes` |
//! | what is staged of a refresh goes into the next one, where that is right | 14, S11 | `refresh_resumes` |
//! | R13 what is disputed is issued anew | 9, 15, S1, S5 | `reissues` |
//! | R5 no incarnation issues a seq twice, or leaves a gap | 15, 17, S2, S3, S12, S19 | `continuity` |
//! | R5 closed incarnations leave the vectors | 16, S20 | `closings`, `crate::sim::churn` |
//! | R6 acks are true, and a hello replaces them | 18 | `continuity` |
//! | a bookmark is never answered by who may show less | 29 | `bookmarks` |
//! | who counts for a concern has what it is counted for | 18, 30, S13, S14 | `concerns`, `crate::concern` |
//! | two live boots of one key are fenced, a restart is not | 15, S4 | `restarts` |
//! | causes before effects; the ring has a base | 21 | `feeds` |
//! | R14 incarnations are introduced | S7 | `feeds` |
//! | hold-down: progress restarts the clocks, acks are prompt | S13, S14 | `feeds`, `acceptance` |
//! | how many strangers and members there may be | | `limits` |
//! | who comes in by an invite | 27 | `invites` |
//! | who goes over to another domain, and that nothing is lost by it | | `entering` |
//! | one link for each pair; a fence stops all writes | | `sessions` |
//! | whom to dial, and when | | `dials` |
//! | what is decided wins over nothing that its maker has not seen | | `decisions` |
//! | who takes writes, where one member does | | `primary` |
//! | a delayed replica shows what it held so long ago | | `delays` |
//! | who is ready, and who is a source | | `rehab` |
//! | settings of a running node | | `settings` |
//! | numbers that stand for incarnations | | `names` |
//! | what is damaged is mended, what nothing explains is told | 19 | `verifies` |
//! | when a node verifies itself, and with how many at once | | `verify_turns` |
//! | who is removed is gone at once, and for good | 26, 27 | `removals` |
//! | a member that changes its key stays the member that it is | | `rotations`, `crate::membership::keys` |
//! | R10 peer input harms nobody | | `hostile` |
//!
//! All of them at once are the simulator's matter ([`crate::sim`]).
//!
//! 1, 2, 3 and 8 are about data alone and tested in the core; 1, 3, 4, 5, 6 and 8 also by the model
//! (`super::model`). 3 (R12) cannot arise among honest nodes, since nothing writes in a context that came from
//! elsewhere: a transaction overwrites what it reads; that a hostile one is refused is in `hostile`. Of 17 the
//! dirty mark waits for the level Buffered; of S7 a role that changes waits for those.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::planted;
use crate::sim::world::Check;

mod acceptance;
mod bookmarks;
mod catch_up;
mod closings;
mod collection;
mod compactions;
mod concerns;
mod continuity;
mod damages;
mod decisions;
mod delays;
mod dials;
mod entering;
mod feeds;
mod floors;
mod fold_laws;
mod folds;
mod hostile;
mod indexes;
mod invites;
mod limits;
mod names;
mod primary;
mod refresh_resumes;
mod refreshes;
mod rehab;
mod reissues;
mod relays;
mod removals;
mod reports;
mod restarts;
mod rotations;
mod sessions;
mod settings;
mod surveys;
mod trees;
mod verifies;
mod verify_turns;

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
