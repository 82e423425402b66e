//! The checks that need raw links and paths notice faults.

use std::sync::Arc;
use std::time::Duration;

use millpond_transport_conformance::checks;
use millpond_transport_conformance::faulty::{Fault, Faulty};

use crate::conformance::OverQuic;

const FAULTS: &[(Fault, &str)] = &[
    (Fault::LosesDroppedReceives, "a_dropped_receive_loses_no_frame"),
    (Fault::ShowsItsOwnKeyAsThePeers, "a_frame_may_come_in_pieces"),
    (Fault::HidesWhatIsNoFrame, "a_frame_beyond_the_limit_ends_the_link"),
    (Fault::HandsOutTornFrames, "a_frame_torn_by_its_sender_never_arrives"),
    (Fault::HandsOutTornFrames, "a_frame_torn_by_the_network_never_arrives"),
    (Fault::DropsWhatWaits, "a_slow_path_loses_nothing"),
    (Fault::EndsLanesAlone, "a_lane_never_ends_alone"),
    (Fault::DropsFrames, "an_address_that_changes_on_the_way_loses_nothing"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_noticed() {
    let mut running = Vec::new();
    for &(fault, name) in FAULTS {
        let check = checks().into_iter().find(|check| check.name == name).unwrap();
        let rig = Arc::new(Faulty::new(OverQuic, fault));
        running.push(tokio::spawn(async move {
            let noticed = check.run(rig, Duration::from_secs(5)).await;
            (fault, name, noticed)
        }));
    }
    for checked in running {
        let (fault, name, noticed) = checked.await.unwrap();
        let broken = noticed.err().unwrap_or_else(|| panic!("{name} did not notice {fault:?}"));
        println!("{fault:?}: {broken}");
    }
}
