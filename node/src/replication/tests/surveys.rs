//! Surveys: whoever asks hears of every node, and nobody can make more of them than a few.

use millpond_core::NodeKey;
use millpond_core::message::{Message, NodeReport, ReportedMode};
use millpond_core::transport::Lane;
use millpond_core::wire;

use super::depends_on;
use crate::replication::{Answer, Engine, Input, LinkId, Request, RequestId};
use crate::sim::net::NodeId;
use crate::sim::world::{Check, World, ensure};
use crate::status::Survey;

fn survey(world: &World, request: RequestId) -> Option<Survey> {
    match world.answers.get(&request) {
        Some(Answer::Survey(surveyed)) => Some(surveyed.survey()),
        _ => None,
    }
}

/// Who has not answered.
fn silent(survey: &Survey) -> Vec<&str> {
    survey.nodes.iter().filter(|node| !node.answered).map(|node| &node.name[..]).collect()
}

fn engine(world: &mut World, node: NodeId) -> &mut Engine {
    world.nodes[node].running.as_mut().unwrap().engine_mut()
}

/// The link over which a node hears another one.
fn link(world: &mut World, node: NodeId, peer: NodeId) -> LinkId {
    let peer = world.nodes[peer].key;
    *engine(world, node).links.iter().find(|(_, link)| link.peer == peer).unwrap().0
}

/// Node 1 says something to node 0.
fn say(world: &mut World, message: &Message) {
    let link = link(world, 0, 1);
    for frame in wire::encode(message) {
        world.input(0, Input::Frame { link, lane: Lane::Control, frame });
    }
}

fn report(key: NodeKey) -> NodeReport {
    NodeReport {
        key,
        name: String::new(),
        region: String::new(),
        cost: 0,
        mode: ReportedMode::FullMesh,
        is_adaptive: true,
        open: None,
        links: Vec::new(),
        origins: Vec::new(),
    }
}

/// Bytes of control frames that a node has sent.
fn control(world: &mut World, node: NodeId) -> u64 {
    world.counted(node, |counters| counters.control.other)
}

#[test]
fn one_question_is_answered_by_all() {
    let mut world = World::mesh(4, 160);
    for node in 0..4 {
        world.put(node, "c/k/f", "v");
    }
    world.settle().unwrap();
    let request = world.ask(2, Request::Survey);
    world.run_until(500, |world| world.answers.contains_key(&request)).unwrap();
    let survey = survey(&world, request).unwrap();
    assert!(silent(&survey).is_empty());
    assert_eq!(survey.links.len(), 6);
    assert_eq!(survey.trees.len(), 4);
    for tree in &survey.trees {
        assert_eq!(tree.edges.len(), 3, "{tree:?}");
        assert!(tree.edges.iter().all(|edge| edge.from == tree.origin), "{tree:?}");
    }
}

#[test]
fn who_has_not_written_since_a_start_has_its_tree_too() {
    let mut world = World::mesh(3, 170);
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    world.restart_all();
    world.settle().unwrap();
    let request = world.ask(1, Request::Survey);
    world.run_until(500, |world| world.answers.contains_key(&request)).unwrap();
    let survey = survey(&world, request).unwrap();
    let tree = survey.trees.iter().find(|tree| tree.origin == "n0").unwrap();
    assert_eq!((tree.edges.len(), tree.unfed.len()), (2, 0), "{tree:?}");
}

#[test]
fn a_survey_reaches_those_that_are_not_linked_to_who_asks() {
    let mut world = World::mesh(4, 161);
    // 0 - 1 - 2 - 3.
    for (a, b) in [(0, 2), (0, 3), (1, 3)] {
        world.cut(a, b);
    }
    world.run(20_000);
    let request = world.ask(0, Request::Survey);
    world.run_until(500, |world| world.answers.contains_key(&request)).unwrap();
    let survey = survey(&world, request).unwrap();
    assert!(silent(&survey).is_empty());
    let links: Vec<(&str, &str)> = survey.links.iter().map(|it| (&it.a[..], &it.b[..])).collect();
    assert_eq!(links, [("n0", "n1"), ("n1", "n2"), ("n2", "n3")]);
    assert!(survey.links.iter().all(|link| link.is_bridge));
    let cut_off = |node: &str| {
        let loss = survey.losses.iter().find(|loss| loss.node == node).unwrap();
        loss.cut_off.clone()
    };
    assert_eq!((cut_off("n1"), cut_off("n2")), (vec!["n0".to_owned()], vec!["n3".to_owned()]));
}

#[test]
fn who_does_not_answer_in_time_is_silent() {
    let mut world = World::mesh(3, 162);
    world.crash(2, true);
    let request = world.ask(0, Request::Survey);
    let ms = world.run_until(5_000, |world| world.answers.contains_key(&request)).unwrap();
    assert_eq!(ms, 2_000);
    assert_eq!(silent(&survey(&world, request).unwrap()), ["n2"]);
}

#[test]
fn a_node_alone_answers_itself_at_once() {
    let mut world = World::new(163);
    world.settle().unwrap();
    let request = world.ask(0, Request::Survey);
    let survey = survey(&world, request).unwrap();
    assert_eq!((survey.nodes.len(), silent(&survey).len()), (1, 0));
}

/// A peer asks under one number again and again.
fn a_survey_comes_again() -> Check {
    let mut world = World::mesh(3, 164);
    world.settle()?;
    let before = control(&mut world, 0);
    say(&mut world, &Message::Survey { id: 7 });
    world.run(1_000);
    let once = control(&mut world, 0) - before;
    for _ in 0..5 {
        say(&mut world, &Message::Survey { id: 7 });
    }
    world.run(1_000);
    let more = control(&mut world, 0) - before - once;
    ensure!(once > 0 && more == 0, "{once} bytes at first, and {more} afterwards");
    Ok(())
}

#[test]
fn a_survey_is_passed_on_once() {
    depends_on(&["a survey is passed on once"], a_survey_comes_again);
}

/// A peer asks ever new questions.
fn surveys_without_end() -> Check {
    let mut world = World::mesh(3, 165);
    world.settle()?;
    let before = control(&mut world, 2);
    for id in 0..1_000 {
        say(&mut world, &Message::Survey { id });
    }
    world.run(1_000);
    let bytes = control(&mut world, 2) - before;
    ensure!(bytes < 64 * 1_000, "another node had to send {bytes} bytes");
    // After a while it is heard again.
    world.run(10_000);
    let before = control(&mut world, 0);
    say(&mut world, &Message::Survey { id: 5_000 });
    world.run(1_000);
    ensure!(control(&mut world, 0) > before, "it is never heard again");
    Ok(())
}

#[test]
fn a_peer_cannot_ask_without_end() {
    depends_on(&["surveys are few"], surveys_without_end);
}

/// A peer reports of nodes that are no members, to a node that has asked.
fn strangers_are_reported() -> Check {
    let mut world = World::mesh(3, 166);
    let request = world.ask(0, Request::Survey);
    let id = *engine(&mut world, 0).surveys.ids().first().unwrap();
    for number in 0..100 {
        let report = report(NodeKey::from_bytes([100 + number; 32]));
        say(&mut world, &Message::Surveyed { id, report });
    }
    let held = engine(&mut world, 0).surveys.reports();
    ensure!(held == 1, "{held} reports are held");
    world.run_until(500, |world| world.answers.contains_key(&request))?;
    Ok(())
}

#[test]
fn a_report_of_a_stranger_is_dropped() {
    depends_on(&["reports are of members"], strangers_are_reported);
}

/// A peer repeats its report.
fn a_report_is_repeated() -> Check {
    let mut world = World::mesh(3, 167);
    world.ask(0, Request::Survey);
    let id = *engine(&mut world, 0).surveys.ids().first().unwrap();
    let key = world.nodes[1].key;
    for _ in 0..100 {
        say(&mut world, &Message::Surveyed { id, report: report(key) });
    }
    let held = engine(&mut world, 0).surveys.reports();
    ensure!(held == 2, "{held} reports are held");
    Ok(())
}

#[test]
fn a_node_reports_once() {
    depends_on(&["a node reports once"], a_report_is_repeated);
}

/// Reports come for a peer that has taken nothing off its link for long.
fn reports_pile_up() -> Check {
    let mut world = World::mesh(3, 168);
    world.settle()?;
    let asker = link(&mut world, 0, 2);
    world.input(
        0,
        Input::Frame {
            link: asker,
            lane: Lane::Control,
            frame: wire::encode(&Message::Survey { id: 9 }).remove(0),
        },
    );
    *engine(&mut world, 0).links.get_mut(&asker).unwrap().unsent(Lane::Bulk) = 4 << 20;
    let before = control(&mut world, 0);
    let key = world.nodes[1].key;
    say(&mut world, &Message::Surveyed { id: 9, report: report(key) });
    let sent = control(&mut world, 0) - before;
    ensure!(sent == 0, "{sent} bytes for a peer that reads nothing");
    Ok(())
}

#[test]
fn reports_do_not_pile_up() {
    depends_on(&["reports do not pile up"], reports_pile_up);
}

#[test]
fn reports_that_nobody_asked_for_leave_no_trace() {
    let mut world = World::mesh(2, 169);
    world.settle().unwrap();
    let key = world.nodes[1].key;
    let before = control(&mut world, 0);
    for id in 0..100 {
        say(&mut world, &Message::Surveyed { id, report: report(key) });
    }
    assert_eq!((engine(&mut world, 0).surveys.ids().len(), control(&mut world, 0)), (0, before));
}
