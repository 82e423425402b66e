//! What every transport has to do, as tests that its author runs.
//!
//! The contract is [`millpond_core::transport`]. Here it is said once more, in checks: who is at the other end,
//! what lanes carry and in which order, what a slow reader costs, how links end, what dials and restarts do, and
//! that no call which is dropped loses or doubles a frame. An author describes in a [`Rig`] how an endpoint is
//! bound, and gets a test for each check:
//!
//! ```
//! use std::sync::Arc;
//! use millpond_core::{NodeKey, transport::Transport};
//! use millpond_transport_conformance::memory::{Hub, key_of};
//! use millpond_transport_conformance::{Binding, Rig, Seed};
//!
//! struct InMemory(Hub);
//!
//! #[async_trait::async_trait]
//! impl Rig for InMemory {
//!     fn key(&self, seed: Seed) -> NodeKey {
//!         key_of(seed)
//!     }
//!
//!     async fn bind(&self, binding: Binding) -> Result<Arc<dyn Transport>, String> {
//!         Ok(Arc::new(self.0.bind(key_of(binding.seed), binding.at.as_deref())?))
//!     }
//! }
//!
//! millpond_transport_conformance::conformance_tests!(InMemory(Hub::new()));
//! # fn main() {}
//! ```
//!
//! Some checks need more than an endpoint: a [`Path`] that can be slowed down and cut, or a [`RawLink`] that sends
//! any bytes. A rig that has none passes those checks with a word about it. [`path`] has paths for TCP, Unix
//! sockets and UDP.
//!
//! `MILLPOND_CONFORMANCE_TIMES=100 cargo test` runs each check so often: a transport whose checks fail once in a
//! hundred times loses frames once in a hundred times.
//!
//! The transport in [`memory`] is what the contract looks like without a network.
#![forbid(unsafe_code)]

mod broken;
mod checks;
pub mod faulty;
mod frames;
pub mod memory;
mod nodes;
pub mod path;
mod rig;
mod run;

pub use broken::Broken;
pub use rig::{Binding, Path, RawLink, Rig, Seed, pkcs8};
use run::check_table;
pub use run::{Check, checks, run};

/// A `#[test]` for each check, named like it, with the rig that the expression gives.
#[macro_export]
macro_rules! conformance_tests {
    ($rig:expr) => {
        $crate::each_check! { conformance_test $rig }
    };
}

/// Hands the name and the module of each check to a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_check {
    ($then:ident $($rest:tt)*) => {
        $crate::$then! {
            [$($rest)*]
            identity::each_end_knows_its_peer
            identity::a_wrong_key_is_refused
            identity::text_that_is_no_address_is_refused
            identity::an_address_where_nobody_is_is_unreachable
            carrying::frames_of_a_lane_arrive_in_order
            carrying::the_smallest_and_the_largest_frame_arrive_whole
            carrying::bytes_that_are_no_frame_are_not_sent
            carrying::a_frame_may_come_in_pieces
            carrying::a_frame_beyond_the_limit_ends_the_link
            carrying::counters_count
            torn::a_frame_torn_by_its_sender_never_arrives
            torn::a_frame_torn_by_the_network_never_arrives
            torn::a_frame_torn_by_a_crash_never_arrives
            flow::lanes_do_not_wait_for_each_other
            flow::a_reader_that_stands_still_stops_its_sender
            flow::a_slow_reader_loses_nothing
            flow::a_slow_reader_delays_nobody_else
            flow::a_slow_path_loses_nothing
            ending::a_close_tells_why
            ending::a_long_reason_arrives_cut
            ending::a_close_passes_full_lanes
            ending::a_dropped_link_ends
            ending::a_lane_never_ends_alone
            ending::a_refusal_reaches_who_dialled
            ending::a_quiet_link_stays
            ending::a_peer_that_vanishes_is_noticed
            ending::a_closed_transport_is_closed
            ending::closing_ends_a_dial_under_way
            dialing::simultaneous_dials_give_two_links
            dialing::a_storm_of_dials_is_served
            dialing::a_restarted_peer_is_dialled_again
            dialing::a_peer_that_moved_is_the_same
            dialing::an_address_that_changes_on_the_way_loses_nothing
            cancelling::a_dropped_accept_loses_no_link
            cancelling::a_dropped_receive_loses_no_frame
            cancelling::a_dropped_send_sends_all_or_nothing
            cancelling::a_dropped_dial_leaves_nothing
            cancelling::a_dropped_close_can_be_repeated
        }
    };
}

/// One test for each check.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_test {
    ([$rig:expr] $($module:ident :: $name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::run(stringify!($name), ::std::sync::Arc::new($rig));
            }
        )*
    };
}
