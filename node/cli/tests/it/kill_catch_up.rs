//! A node that is killed again and again while a large catch-up comes, becomes visible and is folded.

use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::kill::{Random, get, request, until};
use crate::node::Node;

/// Records that come; of each a row of some 100 bytes, so the catch-up is staged in many slices.
const RECORDS: u64 = 20_000;
/// Kills while rows come, and while they are folded.
const KILLS: u64 = 4;
const KILLS_OF_FOLD: u64 = 2;

#[test]
fn a_catch_up_that_is_killed_goes_on_and_is_never_half_visible() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let variable = std::env::var("MILLPOND_KILL_SEED").ok().and_then(|text| text.parse().ok());
    let seed = variable.unwrap_or(now.as_micros() as u64);
    println!("repeat with MILLPOND_KILL_SEED={seed}");
    let mut random = Random(seed);
    let source = Node::start_with_state();
    let mut away = source.join("tokyo-1", "writer");
    let folder = away.data().to_owned();
    request(source.data(), "PUT", "/api/v1/c/first/k", r#"{"n":1}"#).expect("it writes");
    until("both hold the same", || seal(&folder) == seal(source.data()));
    request(&folder, "PUT", "/api/v1/c/own/k", r#"{"n":1}"#).expect("it writes");
    until("both hold the same", || seal(&folder) == seal(source.data()));
    away.kill();
    let mut lines = String::new();
    for number in 0..RECORDS {
        let value = "v".repeat(64);
        let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let line =
            format!(r#"{{"collection":"many","key":"{key:016x}","fields":{{"v":"{value}"}}}}"#);
        writeln!(lines, "{line}").expect("text grows");
    }
    request(source.data(), "POST", "/api/v1/import", &lines).expect("it imports");

    let before = rows_sent(source.data());
    for kill in 1..=KILLS {
        away.restart();
        let moment = before + kill * RECORDS / (KILLS + 1) + random.below(RECORDS / 10);
        until("rows come", || is_visible(&folder) || rows_sent(source.data()) >= moment);
        away.kill();
    }
    away.restart();
    until("it is visible", || is_visible(&folder));
    let sent = rows_sent(source.data());
    let mut folds = u64::from(is_folding(&folder));
    away.kill();
    for _ in 0..KILLS_OF_FOLD {
        away.restart();
        until("it is visible", || is_visible(&folder));
        folds += u64::from(is_folding(&folder));
        away.kill();
    }
    away.restart();
    until("it is visible and folded", || is_visible(&folder) && !is_folding(&folder));
    until("both hold the same", || seal(&folder).is_some() && seal(&folder) == seal(source.data()));
    println!("{} rows were sent of {RECORDS}; {folds} kills met a fold", sent - before);
    assert_eq!(rows_sent(source.data()), sent, "what is visible is not sent again");
}

/// Whether the catch-up is visible; readers see all of it or nothing. False while the node does not answer.
fn is_visible(folder: &Path) -> bool {
    let Some(found) = get(folder, "/api/v1/c") else { return false };
    let found = found["collections"].as_array().expect("a list");
    let many = found.iter().find(|it| it["collection"] == "many");
    let records = many.map_or(0, |it| it["records"].as_u64().expect("a number"));
    assert!(records == 0 || records == RECORDS, "a reader sees {records} of {RECORDS}");
    records > 0
}

fn rows_sent(folder: &Path) -> u64 {
    let status = get(folder, "/api/v1/status").expect("the source answers");
    status["totals"]["links"]["rows_sent"].as_u64().expect("a number")
}

fn is_folding(folder: &Path) -> bool {
    let Some(status) = get(folder, "/api/v1/status") else { return false };
    let namespaces = status["namespaces"].as_array().cloned().unwrap_or_default();
    namespaces.iter().any(|it| it.get("folding").is_some_and(|folding| !folding.is_null()))
}

fn seal(folder: &Path) -> Option<Value> {
    get(folder, "/api/v1/digest")
}
