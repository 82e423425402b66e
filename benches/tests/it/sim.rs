//! The simulator's runner: its arguments, its exit codes, the contract of its JSON, and its files. Seeds are
//! few, since tests run unoptimised.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn a_run_reports_what_it_promises() {
    let report =
        json(&["run", "--profile", "quiet", "--seeds", "2", "--first-seed", "49", "--json"]);
    assert_eq!(report["profile"], "quiet");
    assert_eq!((&report["seeds"], &report["failures"]), (&2.into(), &0.into()));
    assert_eq!(report["first_failing_seed"], Value::Null);
    assert!(report["deliveries"].as_u64().unwrap() > 0);
    assert!(report["seeds_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(report["replays"], 1, "the fiftieth seed runs twice");
    assert_eq!(report["replays_equal"], true);
    assert!(report["probes_unhit"].is_array());
}

#[test]
fn a_bank_is_audited_at_every_step() {
    let output = sim(&["bank", "--transfers", "30", "--per-seed", "10", "--seed", "5"]);
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("30 transfers at 3 replicas, 3 seeds from 5, 39 audits"), "{told}");
}

/// R11, and that threads change nothing.
#[test]
fn traces_do_not_depend_on_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let traces = ["1", "3"].map(|threads| {
        let file = folder.path().join(threads);
        let name = file.to_str().unwrap();
        let run =
            ["run", "--profile", "disk", "--seeds", "4", "--threads", threads, "--traces", name];
        let output = sim(&run);
        assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
        fs::read_to_string(file).unwrap()
    });
    assert_eq!(traces[0], traces[1]);
    let firsts: Vec<&str> = traces[0].lines().map(|line| &line[..6]).collect();
    assert_eq!(firsts, ["disk 0", "disk 1", "disk 2", "disk 3"]);
}

#[test]
fn a_replay_tells_what_happens_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (html, text, scenario) = (file("page.html"), file("events.txt"), file("scenario.json"));
    let replay = ["replay", "3", "--profile", "quiet", "--html", &html];
    let output = sim(&[&replay[..], &["--text", &text, "--json", &scenario]].concat());
    assert!(output.status.success(), "{output:?}");
    let told = fs::read_to_string(&text).unwrap();
    assert!(told.starts_with("profile quiet, seed 3, "), "{told}");
    assert!(told.contains("  Push: main ") && told.contains("passed: all holds"), "{told}");
    let page = fs::read_to_string(html).unwrap();
    assert!(page.contains("\"Push: main ") && !page.contains("/*STORY*/"));
    let links = ["http:", "https:", "src="].map(|link| page.matches(link).count());
    assert_eq!(links, [1, 0, 0], "the one is the name of SVG: a page needs no network");

    let again = file("again.txt");
    assert!(sim(&["replay", "--file", &scenario, "--text", &again]).status.success());
    let events =
        |file: &str| fs::read_to_string(file).unwrap().split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(events(&again), events(&text), "a file replays what its seed does");
}

#[test]
fn wrong_arguments_are_refused() {
    let wrong: [&[&str]; 6] = [
        &["run", "--profile", "calm"],
        &["replay"],
        &["replay", "3"],
        &["replay", "--file", "nowhere.json"],
        &["replay", "3", "--profile", "quiet", "--file", "nowhere.json"],
        &["mutants", "--only", "no rule has these words"],
    ];
    for arguments in wrong {
        let output = sim(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[cfg(not(feature = "planted-bugs"))]
#[test]
fn without_planted_bugs_it_says_how_to_have_them() {
    for arguments in [&["mutants"][..], &["replay", "1", "--profile", "quiet", "--without", "x"]] {
        let output = sim(arguments);
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("--features planted-bugs"), "{errors}");
    }
}

#[cfg(feature = "planted-bugs")]
mod planted {
    use super::*;

    #[test]
    fn a_mutant_is_killed_by_its_known_seed() {
        let rule = "continuity is proven";
        let hunt = ["mutants", "--only", rule, "--quick", "--seconds-each", "120", "--json"];
        let report = json(&hunt);
        assert_eq!((&report["mutants"], &report["killed"]), (&1.into(), &1.into()), "{report}");
        assert_eq!(report["survivors"], Value::Array(vec![]));
        let kill = &report["kills"][0];
        assert_eq!(kill["rule"], rule);
        let (seed, profile) = (kill["seed"].to_string(), kill["profile"].as_str().unwrap());

        let folder = tempfile::tempdir().unwrap();
        let (file, page) = (folder.path().join("found.json"), folder.path().join("found.html"));
        let (file, page) = (file.to_str().unwrap(), page.to_str().unwrap());
        let replay = ["replay", &seed, "--profile", profile, "--quiet"];
        let shrink = ["--shrink", "--shrink-runs", "60", "--json", file, "--html", page];
        let without = ["--without", rule];
        assert_eq!(sim(&replay).status.code(), Some(0), "with the rule all holds");
        let output = sim(&[&replay[..], &without, &shrink].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(fs::read_to_string(page).unwrap().contains(r#""kind":"violation""#));
        let output = sim(&[&["replay", "--file", file, "--quiet"], &without[..]].concat());
        assert_eq!(output.status.code(), Some(1), "what is left of it fails as well: {output:?}");
    }

    #[test]
    fn bugs_that_are_not_noticed_fail_the_hunt() {
        let hunt = ["mutants", "--only", "seqs have no gaps", "--seconds-each", "0", "--json"];
        let output = sim(&hunt);
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["killed"], &report["survivors"][0]["seeds"]), (&0.into(), &0.into()));
        assert_eq!(sim(&[&hunt[..], &["--percent", "0"]].concat()).status.code(), Some(0));
    }
}

fn json(arguments: &[&str]) -> Value {
    let output = sim(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sim(arguments: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Command::new(env!("CARGO_BIN_EXE_millpond-sim"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}
