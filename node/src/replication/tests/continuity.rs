//! Restored folders and continued incarnations: findings 15, 17, 18, S2, S3, S12 and S19.
//!
//! Of 17 what applies to a Durable replica: it syncs each dot before it leaves, and its boot before the
//! first.

use millpond_core::transport::Lane;

use super::depends_on;
use super::restarts::nobody_is_fenced;
use crate::sim::world::{Check, World, ensure};

const R: usize = 0;
const Q: usize = 1;
const P: usize = 2;

/// 15, S2, S3: R holds ten writes of P, Q lags at five. P is restored to five, meets Q only, and writes.
fn a_restored_node_meets_who_lags(keeps_lease: bool) -> Check {
    let mut world = World::mesh(3, 15);
    world.nodes[P].keeps_lease = keeps_lease;
    for number in 0..5 {
        world.put(P, &format!("c/{number}/f"), "old");
    }
    world.settle()?;
    let image = world.nodes[P].image();
    world.isolate(Q, true);
    world.run(5_000);
    for number in 5..10 {
        world.put(P, &format!("c/{number}/f"), "lost by the restore");
    }
    world.run(2_000);
    world.isolate(R, true);
    world.restore(P, &image);
    world.heal(P, Q);
    world.run(8_000);
    let request = world.put(P, "c/5/f", "after the restore");
    world.run(6_000);
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    world.isolate(R, false);
    world.isolate(Q, false);
    world.settle()?;
    ensure!(world.values(P, "c/9/f") == ["lost by the restore"], "what R holds did not come back");
    ensure!(world.values(R, "c/5/f").len() == 2, "two writes that did not see each other");
    Ok(())
}

#[test]
fn finding_15_a_restored_node_takes_a_new_incarnation() {
    depends_on(&["continuity is proven"], || a_restored_node_meets_who_lags(false));
}

#[test]
fn finding_s2_a_lease_holds_the_highest_seqs() {
    depends_on(&["a lease holds the highest seqs"], || a_restored_node_meets_who_lags(true));
}

/// S3 again: the image is from before a member joined, who alone holds what was lost.
fn an_image_does_not_know_a_member() -> Check {
    let (old, p) = (0, 1);
    let mut world = World::mesh(2, 16);
    world.nodes[p].keeps_lease = false;
    world.put(p, "c/k/f", "first");
    world.settle()?;
    let image = world.nodes[p].image();
    let new = world.join();
    world.settle()?;
    world.cut(old, p);
    world.cut(old, new);
    world.run(5_000);
    world.put(p, "c/k/f", "lost by the restore");
    world.run(2_000);
    world.cut(p, new);
    world.restore(p, &image);
    world.heal(old, p);
    world.run(8_000);
    let request = world.put(p, "c/l/f", "after the restore");
    world.run(6_000);
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    world.heal(old, new);
    world.heal(p, new);
    world.settle()?;
    ensure!(world.values(p, "c/k/f") == ["lost by the restore"], "{:?}", world.values(p, "c/k/f"));
    Ok(())
}

#[test]
fn finding_s3_nobody_that_an_image_knows_can_tell() {
    depends_on(&["continuity is proven"], an_image_does_not_know_a_member);
}

/// S19: an image of a boot opens twice under one number, and the lease is that of the first time.
fn an_image_opens_twice() -> Check {
    let mut world = World::mesh(2, 19);
    world.put(1, "c/k/f", "before");
    world.settle()?;
    world.crash(1, true);
    let image = world.nodes[1].image();
    world.start(1);
    world.run_until(900, |world| world.net.is_linked(0, 1))?;
    world.run(50);
    world.put(1, "c/l/f", "within the second that a lease may be old");
    world.run(50);
    world.isolate(1, true);
    // It dies before the end of its incarnation is on disk.
    world.restore(1, &image);
    world.crash(1, false);
    world.start(1);
    let request = world.put(1, "c/m/f", "after the restore");
    world.run(6_000);
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    world.isolate(1, false);
    world.settle()?;
    ensure!(world.values(1, "c/l/f").len() == 1, "what the other holds did not come back");
    Ok(())
}

#[test]
fn finding_s19_boots_differ_in_their_random_part() {
    // Without the second rule as well: what is issued twice would be mended once it is found.
    let rules = &["boots differ in their random part", "equal numbers are no equal history"];
    depends_on(rules, an_image_opens_twice);
}

/// S4: peers know more of an incarnation that a restored node has not continued.
fn a_restored_node_meets_who_knows_more(is_late: bool) -> Check {
    let mut world = World::mesh(3, 24);
    world.nodes[P].keeps_lease = false;
    let image = world.nodes[P].image();
    world.put(P, "c/k/f", "lost by the restore");
    world.settle()?;
    if is_late {
        // It learns of that only with a later catch-up from somebody who said less in its hello.
        world.cut(R, P);
        world.cut(Q, P);
        world.run(5_000);
        world.put(P, "c/l/f", "nobody else has it");
        world.run(100);
    }
    world.restore(P, &image);
    world.isolate(P, false);
    world.settle()?;
    let request = world.put(P, "c/m/f", "after the restore");
    world.settle()?;
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    ensure!(world.values(P, "c/k/f") == ["lost by the restore"], "it did not come back");
    nobody_is_fenced(&world)
}

#[test]
fn finding_s4_a_restored_node_is_no_copy() {
    a_restored_node_meets_who_knows_more(false).unwrap();
    a_restored_node_meets_who_knows_more(true).unwrap();
}

/// The folder is replaced by an image from before an incarnation was opened.
fn a_node_forgets_its_incarnation() -> Check {
    let mut world = World::mesh(2, 26);
    world.nodes[1].keeps_lease = false;
    let image = world.nodes[1].image();
    world.crash(1, true);
    world.start(1);
    world.isolate(0, true);
    world.run(8_000);
    world.put(1, "c/k/f", "under a new incarnation");
    world.run(6_000);
    world.isolate(0, false);
    world.settle()?;
    world.restore(1, &image);
    world.settle()?;
    ensure!(world.values(1, "c/k/f") == ["under a new incarnation"], "it did not come back");
    nobody_is_fenced(&world)
}

#[test]
fn a_restored_node_is_told_of_its_own_incarnations() {
    depends_on(&["a node may not know its own incarnations"], a_node_forgets_its_incarnation);
}

/// R5: a peer says what it holds while what the lost folder had sent is still on its way to its disk.
fn a_hello_comes_before_the_disk() -> Check {
    let mut world = World::mesh(2, 27);
    world.nodes[1].keeps_lease = false;
    world.put(1, "c/k/f", "before");
    world.settle()?;
    let image = world.nodes[1].image();
    world.nodes[0].commit_ms = 2_500;
    world.put(1, "c/k/f", "lost by the restore");
    world.run(100);
    world.restore(1, &image);
    world.run(700);
    let request = world.put(1, "c/k/f", "after the restore");
    world.run(8_000);
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    world.nodes[0].commit_ms = 1;
    world.settle()
}

#[test]
fn r5_what_a_peer_has_yet_to_store_is_not_issued_again() {
    depends_on(&["continuity is proven"], a_hello_comes_before_the_disk);
}

/// R5: the end of an incarnation finds the disk full; the next write finds room.
fn the_end_of_an_incarnation_finds_no_room() -> Check {
    let mut world = World::mesh(2, 28);
    world.nodes[1].keeps_lease = false;
    let image = world.nodes[1].image();
    world.put(1, "c/k/f", "lost by the restore");
    world.settle()?;
    world.restore(1, &image);
    world.nodes[1].is_full = true;
    world.run(3_000);
    world.isolate(1, true);
    world.run(4_000);
    world.nodes[1].is_full = false;
    let request = world.put(1, "c/k/f", "after the restore");
    world.run(6_000);
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    world.isolate(1, false);
    world.settle()?;
    ensure!(world.values(1, "c/k/f").len() == 2, "two writes that did not see each other");
    nobody_is_fenced(&world)
}

#[test]
fn r5_an_ended_incarnation_is_not_continued() {
    depends_on(&["an ended incarnation is not continued"], the_end_of_an_incarnation_finds_no_room);
}

/// R5: a restored node's process is killed before its disk has heard that the incarnation has ended.
fn the_end_of_an_incarnation_is_not_written() -> Check {
    let mut world = World::mesh(2, 32);
    world.put(1, "c/j/f", "v");
    world.settle()?;
    let image = world.nodes[1].image();
    world.put(1, "c/k/f", "lost by the restore");
    world.settle()?;
    world.isolate(1, true);
    let open = |world: &World| world.nodes[1].running.as_ref().unwrap().heads.open;
    let ended = open(&world);
    world.nodes[1].lease = None;
    world.nodes[1].commit_ms = 300;
    world.restore(1, &image);
    world.run(100);
    world.crash(1, false);
    world.nodes[1].commit_ms = 1;
    world.start(1);
    let request = world.put(1, "c/k/f", "after the restore");
    world.run(6_000);
    ensure!(matches!(world.written(request), Some(Ok(_))), "{:?}", world.written(request));
    ensure!(open(&world) != ended, "it writes on under {ended:?}, whose dots others hold");
    world.isolate(1, false);
    world.settle()?;
    ensure!(world.values(1, "c/k/f").len() == 2, "two writes that did not see each other");
    nobody_is_fenced(&world)
}

#[test]
fn r5_a_lease_is_not_of_an_ended_incarnation() {
    depends_on(
        &["a lease is not of an ended incarnation"],
        the_end_of_an_incarnation_is_not_written,
    );
}

/// 18: what a node acknowledged before it fell back counts no more.
fn a_node_falls_back() -> Check {
    let mut world = World::mesh(2, 18);
    let image = world.nodes[1].image();
    world.put(0, "c/k/f", "v");
    world.settle()?;
    world.restore(1, &image);
    world.hold(0, 1, Lane::Bulk, true);
    world.run(8_000);
    ensure!(world.values(1, "c/k/f").is_empty(), "it has it again");
    let lag = world.status(0).peers[0].they_lack.ok_or("unknown")?;
    ensure!(lag.ops > 0, "node 1 fell back, and counts as level");
    Ok(())
}

#[test]
fn finding_18_a_hello_replaces_what_was_acknowledged() {
    depends_on(&["a hello replaces what was acknowledged"], a_node_falls_back);
}

/// R6: an ack is true before it is sent.
fn a_disk_is_slow() -> Check {
    let mut world = World::mesh(2, 6);
    world.nodes[1].commit_ms = 3_000;
    world.put(0, "c/k/f", "v");
    world.run(1_500);
    ensure!(world.values(1, "c/k/f").is_empty(), "it has it");
    let lag = world.status(0).peers[0].they_lack.ok_or("unknown")?;
    ensure!(lag.ops > 0, "acknowledged before it was there");
    world.settle()
}

#[test]
fn r6_an_ack_is_true_before_it_is_sent() {
    depends_on(&["an ack is true"], a_disk_is_slow);
}

/// R6: the same of a hello, and of a digest.
fn a_slow_disk_is_linked_again(is_cut: bool) -> Check {
    let mut world = World::mesh(3, 29);
    world.nodes[1].commit_ms = 20_000;
    world.put(2, "c/k/f", "v");
    world.run(500);
    if is_cut {
        world.cut(0, 1);
        world.run(8_000);
        world.heal(0, 1);
    }
    world.run(8_000);
    ensure!(world.values(1, "c/k/f").is_empty(), "it has it");
    let status = world.status(0);
    let slow = status.peers.iter().find(|peer| peer.name == "n1").ok_or("no peer")?;
    ensure!(slow.they_lack.ok_or("unknown")?.ops > 0, "told before it was there");
    ensure!(is_cut || slow.counters.links == 1, "what was told did not add up");
    world.settle()
}

#[test]
fn r6_a_hello_tells_what_is_durable() {
    depends_on(&["a hello tells what is durable"], || a_slow_disk_is_linked_again(true));
}

#[test]
fn r6_a_digest_tells_what_is_applied() {
    depends_on(&["a digest tells what is applied"], || a_slow_disk_is_linked_again(false));
}

/// A full disk is not asked again and again to take what it has no room for.
fn a_catch_up_finds_no_room() -> Check {
    let mut world = World::mesh(2, 30);
    world.cut(0, 1);
    world.run(8_000);
    world.put(0, "c/k/f", "v");
    world.run(100);
    world.nodes[1].is_full = true;
    world.heal(0, 1);
    world.run(30_000);
    let pulls = world.counted(1, |counters| counters.pulls);
    ensure!(pulls <= 10, "{pulls} catch-ups in half a minute");
    world.nodes[1].is_full = false;
    world.settle()
}

#[test]
fn a_catch_up_that_found_no_room_pauses() {
    depends_on(&["a catch-up that found no room pauses"], a_catch_up_finds_no_room);
}

fn a_write_arrives_at_once() -> Check {
    let mut world = World::mesh(2, 12);
    for value in ["first", "of the next boot"] {
        world.put(1, "c/k/f", value);
        world.run_until(1_000, |world| world.values(0, "c/k/f") == [value])?;
        world.crash(1, true);
        world.start(1);
        world.settle()?;
    }
    Ok(())
}

#[test]
fn finding_17_seqs_have_no_gaps() {
    depends_on(&["seqs have no gaps"], a_write_arrives_at_once);
}

#[test]
fn finding_s12_each_namespace_counts_its_seqs() {
    depends_on(&["each namespace counts its seqs"], a_write_arrives_at_once);
}
