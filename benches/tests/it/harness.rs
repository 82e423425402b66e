//! Every scenario of the harness, small: that it runs, and that its JSON keeps its contract. Its figures are
//! not judged, since tests run unoptimised and beside each other.

use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn catch_up_reports_rows_against_the_bare_store() {
    let report = run(&["catch-up", "--entries", "500"]);
    assert_contract(&report, "catch-up");
    assert_eq!(report["parameters"]["entries"], 500);
    assert_eq!(report["suppliers"], 1);
    assert!(report["rows"].as_u64().unwrap() >= 500, "{report}");
    assert!(report["frame_bytes"].as_u64() > report["payload_bytes"].as_u64(), "{report}");
}

#[test]
fn local_write_reports_both_limits() {
    let report = run(&["local-write", "--seconds", "0.1", "--writers", "4"]);
    assert_contract(&report, "local-write");
    for figure in ["fsync_p50_us", "one_writer_rows_per_s", "times_one_writer", "latency_p99_us"] {
        assert!(report[figure].as_f64().unwrap() > 0.0, "{figure}: {report}");
    }
}

/// Exact rows, one supplier, bytes within the limit. Whether both sides dial at once is up to the moment: each
/// link too many costs its hellos, which so small a run must not be judged by.
#[test]
fn reattach_sends_each_changed_row_once() {
    let report = run(&["reattach", "--records", "500", "--changes", "200"]);
    assert_contract(&report, "reattach");
    assert_eq!(report["rows"], 200);
    assert_eq!(report["distinct_rows"], 200);
    assert_eq!(report["suppliers"], 1);
    let number = |name: &str| report[name].as_f64().unwrap();
    let limit = number("limit") + 1024.0 * (number("links") - 2.0);
    assert!(number("frame_bytes") <= limit, "{report}");
}

#[test]
fn live_reports_both_kinds_of_stores() {
    let report = run(&["live", "--writes", "10"]);
    assert_contract(&report, "live");
    for figure in ["p99_us", "memory_p50_us", "memory_p99_us"] {
        assert!(report[figure].as_f64().unwrap() > 0.0, "{figure}: {report}");
    }
}

/// It fails by itself when the slow peer was not slow.
#[test]
fn slow_peer_reports_what_the_others_get() {
    let report = run(&["slow-peer", "--seconds", "1"]);
    assert_contract(&report, "slow-peer");
    assert_eq!(report["parameters"]["bytes_per_s"], 1_000);
    assert!(report["growth_bytes"].is_number(), "{report}");
}

#[test]
fn urgent_reports_small_writes_beside_a_catch_up() {
    let report = run(&["urgent", "--mib", "4", "--writes", "10"]);
    assert_contract(&report, "urgent");
    assert!(report["writes_meanwhile"][0].as_u64() > Some(0), "{report}");
}

#[test]
fn bulk_reports_each_transport() {
    let report = run(&["bulk", "--mib", "1"]);
    assert_contract(&report, "bulk");
    for figure in ["libp2p_mb_per_s", "unix_mb_per_s", "catch_up_mb_per_s"] {
        assert!(report[figure].as_f64().unwrap() > 0.0, "{figure}: {report}");
    }
}

/// Counts, not times: every key is there or not as its writer left it, and disk and memory were looked at.
#[test]
fn churn_leaves_what_was_inserted_last() {
    let small = ["--operations", "3000", "--keys", "300", "--batch", "50", "--replicas", "2"];
    let report = run(&[&["churn"], &small[..]].concat());
    assert_contract(&report, "churn");
    assert!(report["live_bytes"].as_u64() > Some(0), "{report}");
    let moments = report["moments"].as_array().unwrap();
    let last = moments.last().unwrap();
    assert_eq!(last["operations"].as_u64().map(|it| it >= 3_000), Some(true), "{report}");
    assert!(last["tombstones"].as_u64() > Some(0), "{report}");
    assert!(report["ratio"].as_f64() < Some(1.0), "{report}");
}

/// Its bytes and round trips hold at any size; deletes are forgotten after a minute.
#[test]
fn refresh_joins_two_halves_that_have_forgotten_their_deletes() {
    let report = run(&["refresh", "--entries", "5000", "--differences", "1000", "--window-s", "1"]);
    assert_contract(&report, "refresh");
    assert!(report["ratio"].as_f64().unwrap() <= 1.0, "{report}");
    assert!(report["round_trips"][0].as_f64().unwrap() <= 6.0, "{report}");
    assert!(report["equal_frame_bytes"].as_u64().unwrap() <= 2048, "{report}");
}

#[test]
fn indexes_reports_what_one_costs_and_gives() {
    let report = run(&["indexes", "--transactions", "4", "--records", "5"]);
    assert_contract(&report, "indexes");
    for figure in ["ten_by_index_us", "ten_by_scan_us"] {
        assert!(report[figure].as_f64().unwrap() > 0.0, "{figure}: {report}");
    }
}

#[test]
fn verify_finds_nothing_at_nodes_under_load() {
    let report = run(&["verify", "--entries", "500", "--seconds", "1"]);
    assert_contract(&report, "verify");
    assert_eq!(report["found"], 0, "{report}");
}

#[test]
fn typed_write_reports_both_stores() {
    let report = run(&["typed-write", "--transactions", "20"]);
    assert_contract(&report, "typed-write");
    for times in ["times_on_disk", "times_in_memory"] {
        assert!(report[times].as_f64() > Some(0.0), "{report}");
    }
}

#[test]
fn receipt_reports_what_a_writer_waits() {
    let report = run(&["receipt", "--writes", "10"]);
    assert_contract(&report, "receipt");
    assert!(report["p99_us"].as_f64() >= report["median"].as_f64(), "{report}");
}

/// Counts, not times.
#[test]
fn rotation_loses_nothing_that_was_acknowledged() {
    let report = run(&["rotation", "--nodes", "3", "--rotations", "1"]);
    assert_contract(&report, "rotation");
    assert_eq!(report["lost"], 0, "{report}");
    assert!(report["writes"].as_u64() > Some(0), "{report}");
}

/// It needs no folder, and its virtual time is the same on every machine: so are its figures.
#[test]
fn mesh_sim_reports_the_engine_and_the_baselines_beside_it() {
    let small = ["--nodes", "3,5", "--rate", "2", "--seeds", "2", "--updates", "50", "--baselines"];
    let trials = ["--warm-up", "200", "--cuts", "10", "--splits", "1", "--regions", "8"];
    let folder = tempfile::tempdir().unwrap();
    let charts = ["--charts", folder.path().to_str().unwrap()];
    let output = harness(&[&["run", "mesh-sim", "--json"], &small[..], &trials, &charts].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["scenario"], "mesh-sim");
    let row = |mode: &str, nodes: u64| {
        let rows = report["rows"].as_array().unwrap().iter();
        rows.clone().find(|row| row["mode"] == mode && row["nodes"] == nodes).unwrap()
    };
    let figures = [
        "copies_per_update",
        "p50_ms",
        "p99_ms",
        "max_ms",
        "shortest_p50_ms",
        "shortest_p99_ms",
        "control_bytes_per_update",
        "idle_bytes_per_s_per_node",
    ];
    let (copies, p99) = (&row("full-mesh", 5)["copies_per_update"], &row("full-mesh", 5)["p99_ms"]);
    assert!(copies.as_f64().is_some_and(|copies| (1.0..2.0).contains(&copies)), "{report}");
    assert!(p99.as_f64() >= row("full-mesh", 5)["shortest_p99_ms"].as_f64(), "{report}");
    assert!(row("full-mesh", 8)["inter_region_copies_per_update"].as_f64() > Some(0.0), "{report}");
    for figure in figures {
        assert!(row("ravendb-rule", 5)[figure].as_f64().unwrap() > 0.0, "{figure}: {report}");
    }
    assert_eq!((&row("flood", 3)["rate"], &row("flood", 3)["seeds"]), (&2.into(), &2.into()));
    assert_eq!(row("flood", 5)["copies_per_update"], 4.0);
    assert_eq!(row("flood", 5)["p99_ms"], row("flood", 5)["shortest_p99_ms"]);
    assert_eq!(row("static-tree", 5)["copies_per_update"], 1.0);
    let bars = report["bars"].as_array().unwrap();
    let judged = |name: &str| bars.iter().filter(|bar| bar["bar"] == name).count();
    // A bar for each size; of B3 the cut and two splits; B2 and B4 are about 64 nodes, B5 about 200/s.
    let counts = ["B1", "B2", "B3", "B4", "B5", "B6", "B9", "B10"].map(judged);
    assert_eq!(counts, [1, 0, 6, 0, 0, 1, 2, 0], "{report}");
    let starved = |heal: &&Value| heal["starved"] == heal["trials"];
    let heals = report["heals"].as_array().unwrap();
    let dead: Vec<&Value> = heals.iter().filter(starved).map(|heal| &heal["mode"]).collect();
    assert_eq!(dead, ["static-tree"; 2]);
    let chart = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    for name in ["copies-2.svg", "latency-2.svg", "heal-3.svg", "heal-5.svg"] {
        assert!(chart(name).contains("plumtree-shared"), "{name}");
    }
    assert!(chart("heal-5.svg").contains("(10 of 10 never)"), "who starves has no line");
}

#[test]
fn every_scenario_is_listed() {
    let output = harness(&["list"]);
    let listed = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(
        names,
        [
            "catch-up",
            "local-write",
            "indexes",
            "reattach",
            "fold",
            "refresh",
            "mesh-sim",
            "fanout",
            "chaos",
            "churn",
            "verify",
            "typed-write",
            "receipt",
            "live",
            "slow-peer",
            "urgent",
            "bulk",
            "rotation",
        ]
    );
}

#[test]
fn a_missed_bar_fails_only_when_it_is_checked() {
    // Joining alone takes longer than the bare store does for one row.
    let small = ["run", "catch-up", "--entries", "1", "--samples", "1"];
    let output = harness(&small);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("bar missed"));
    assert_eq!(harness(&[&small[..], &["--check"]].concat()).status.code(), Some(5));
}

fn run(scenario: &[&str]) -> Value {
    let output = harness(&[&["run"], scenario, &["--samples", "1", "--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn harness(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harness")).args(arguments).output().unwrap()
}

fn assert_contract(report: &Value, scenario: &str) {
    assert_eq!(report["scenario"], scenario);
    assert!(report["parameters"].is_object());
    let samples = report["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 1);
    assert!(samples[0].as_f64().unwrap() > 0.0);
    assert_eq!(report["median"], samples[0]);
    let (median, limit) = (report["median"].as_f64().unwrap(), report["limit"].as_f64().unwrap());
    assert!((report["ratio"].as_f64().unwrap() - median / limit).abs() < 1e-9);
    assert!(report["unit"].is_string());
    assert!(report["bar"]["text"].is_string());
    for fact in ["cores", "cpu", "memory_bytes", "kernel", "filesystem", "folder"] {
        assert!(!report["machine"][fact].is_null(), "{fact}");
    }
    assert!(!report["commit"].as_str().unwrap().is_empty());
}
