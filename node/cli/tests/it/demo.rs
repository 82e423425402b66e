//! `demo`, with a few records.

use serde_json::Value;
use tempfile::TempDir;

use crate::node::millpond;

#[test]
fn the_demo_converges_and_says_so_in_json() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data.jsonl");
    let lines: String = (0..400)
        .map(|n| format!("{{\"id\":\"{n:04}\",\"name\":\"place {n}\",\"lat\":{n}.50}}\n"))
        .collect();
    std::fs::write(&data, lines).unwrap();
    let folder = dir.path().join("it's here");
    let (data, folder) = (data.to_str().unwrap(), folder.to_str().unwrap());
    let demo = ["demo", "--nodes", "3", "--data", data, "--dir", folder];
    let shown = millpond(&[&demo[..], &["--exit-when-converged", "--json"]].concat(), b"").ok();
    let report: Value = serde_json::from_str(&shown).unwrap();
    let number =
        |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name} is missing: {report}"));
    assert_eq!(report["converged"], true);
    assert_eq!((number("nodes"), number("records")), (3.0, 400.0));
    // Of 400 records 20 have a fourth field, and are written by all three nodes.
    assert_eq!(number("rows"), 400.0 * 3.0 + 20.0);
    assert_eq!(number("updates"), 380.0 * 3.0 + 3.0 * 20.0 * 4.0);
    assert_eq!(number("conflicts"), 20.0 * 4.0);
    let digests = report["digests"].as_array().unwrap();
    assert!(digests.len() == 3 && digests.iter().all(|it| *it == digests[0]), "{report}");
    assert_eq!(digests[0].as_str().unwrap().len(), 64);
    assert!(number("elapsed_s") > 0.0 && number("rows_per_s") > 0.0, "{report}");
    assert!(number("copies_per_update") >= 1.0, "{report}");
    assert!(number("frame_bytes") < number("udp_bytes"), "{report}");

    let gone = millpond(&["status", "--dir", &format!("{folder}/node-1")], b"").failed(4);
    assert!(gone.contains("no node runs there"), "the nodes were ended: {gone}");
    let again = millpond(&demo, b"").failed(1);
    assert!(again.contains("why: it is not empty"), "{again}");
}

#[test]
fn the_demo_names_what_it_cannot_load_and_what_it_loads() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data.jsonl");
    std::fs::write(&data, "{\"id\":1}\n{\"name\":\"nobody\"}\n").unwrap();
    let data = data.to_str().unwrap();
    let bad = millpond(&["demo", "--data", data], b"").failed(1);
    assert!(bad.contains(&format!("error[E1010]: cannot load {data}")), "{bad}");
    assert!(bad.contains("line 2: there is no field \"id\""), "{bad}");
    let about = millpond(&["demo", "--about"], b"").ok();
    assert!(about.contains("GeoNames") && about.contains("Attribution 4.0"), "{about}");
}
