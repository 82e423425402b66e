//! The suite notices each fault that is planted.

use std::sync::Arc;
use std::time::Duration;

use millpond_transport_conformance::checks;
use millpond_transport_conformance::faulty::{Fault, Faulty};
use millpond_transport_conformance::memory::Hub;

use crate::memory::InMemory;

/// Which check has to notice which fault.
const FAULTS: &[(Fault, &str)] = &[
    (Fault::ShowsItsOwnKeyAsThePeers, "each_end_knows_its_peer"),
    (Fault::SaysThatItDialled, "each_end_knows_its_peer"),
    (Fault::TakesAnyKey, "a_wrong_key_is_refused"),
    (Fault::TakesAnyTextForAnAddress, "text_that_is_no_address_is_refused"),
    (Fault::WaitsForNobody, "an_address_where_nobody_is_is_unreachable"),
    (Fault::SwapsFrames, "frames_of_a_lane_arrive_in_order"),
    (Fault::DropsFrames, "frames_of_a_lane_arrive_in_order"),
    (Fault::DoublesFrames, "frames_of_a_lane_arrive_in_order"),
    (Fault::MergesLanes, "frames_of_a_lane_arrive_in_order"),
    (Fault::RefusesTheLargestFrame, "the_smallest_and_the_largest_frame_arrive_whole"),
    (Fault::SwallowsWhatIsNoFrame, "bytes_that_are_no_frame_are_not_sent"),
    (Fault::DiesOfWhatIsNoFrame, "bytes_that_are_no_frame_are_not_sent"),
    (Fault::CountsNothing, "counters_count"),
    (Fault::HandsOutTornFrames, "a_frame_torn_by_a_crash_never_arrives"),
    (Fault::SendsOneLaneAtATime, "lanes_do_not_wait_for_each_other"),
    (Fault::MergesLanes, "lanes_do_not_wait_for_each_other"),
    (Fault::BuffersWithoutBound, "a_reader_that_stands_still_stops_its_sender"),
    (Fault::DropsWhatWaits, "a_slow_reader_loses_nothing"),
    (Fault::SendsOneLinkAtATime, "a_slow_reader_delays_nobody_else"),
    (Fault::LosesReasons, "a_close_tells_why"),
    (Fault::CutsReasonsShort, "a_long_reason_arrives_cut"),
    (Fault::ClosesBehindFrames, "a_close_passes_full_lanes"),
    (Fault::KeepsDroppedLinks, "a_dropped_link_ends"),
    (Fault::LosesReasons, "a_refusal_reaches_who_dialled"),
    (Fault::TiresOfSilence, "a_quiet_link_stays"),
    (Fault::MissesEnds, "a_peer_that_vanishes_is_noticed"),
    (Fault::AcceptsWhenClosed, "a_closed_transport_is_closed"),
    (Fault::KeepsItsAddress, "a_closed_transport_is_closed"),
    (Fault::DialsWhenClosed, "closing_ends_a_dial_under_way"),
    (Fault::LinksOncePerPeer, "simultaneous_dials_give_two_links"),
    (Fault::GoesDeaf, "a_storm_of_dials_is_served"),
    (Fault::KeepsItsAddress, "a_restarted_peer_is_dialled_again"),
    (Fault::TakesAnyKey, "a_peer_that_moved_is_the_same"),
    (Fault::LosesDroppedAccepts, "a_dropped_accept_loses_no_link"),
    (Fault::LosesDroppedReceives, "a_dropped_receive_loses_no_frame"),
    (Fault::RepeatsDroppedSends, "a_dropped_send_sends_all_or_nothing"),
    (Fault::KeepsDroppedDials, "a_dropped_dial_leaves_nothing"),
    (Fault::ForgetsDroppedCloses, "a_dropped_close_can_be_repeated"),
];

/// Checks that need raw links or paths: their faults are planted beside QUIC.
const ELSEWHERE: &[&str] = &[
    "a_frame_may_come_in_pieces",
    "a_frame_beyond_the_limit_ends_the_link",
    "a_frame_torn_by_its_sender_never_arrives",
    "a_frame_torn_by_the_network_never_arrives",
    "a_slow_path_loses_nothing",
    "a_lane_never_ends_alone",
    "an_address_that_changes_on_the_way_loses_nothing",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_noticed() {
    let mut running = Vec::new();
    for &(fault, name) in FAULTS {
        let check = checks().into_iter().find(|check| check.name == name).unwrap();
        let rig = Arc::new(Faulty::new(InMemory(Hub::new()), fault));
        running.push(tokio::spawn(async move {
            let noticed = check.run(rig, Duration::from_secs(3)).await;
            (fault, name, noticed)
        }));
    }
    for checked in running {
        let (fault, name, noticed) = checked.await.unwrap();
        let broken = noticed.err().unwrap_or_else(|| panic!("{name} did not notice {fault:?}"));
        println!("{fault:?}: {broken}");
    }
}

#[test]
fn each_check_has_a_fault_that_it_notices() {
    for check in checks() {
        let is_proven = FAULTS.iter().any(|(_, name)| *name == check.name);
        assert!(is_proven || ELSEWHERE.contains(&check.name), "{} has noticed nothing", check.name);
    }
}
