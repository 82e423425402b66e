//! The public API of each library is the committed one, and shows no type of a vendor.

use std::path::Path;

use millpond_public_api::{assert_unchanged, list};

#[test]
fn core() {
    check("millpond_core", "crdt-core");
}

#[test]
fn transport_quic() {
    check("millpond_transport_quic", "transport-quic");
}

#[test]
fn transport_unix() {
    check("millpond_transport_unix", "transport-unix");
}

#[test]
fn transport_libp2p() {
    check("millpond_transport_libp2p", "transport-libp2p");
}

#[test]
fn transport_conformance() {
    check("millpond_transport_conformance", "transport-conformance");
}

#[test]
fn node() {
    check("millpond", "node");
}

#[test]
fn fixture_lists_as_expected() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture");
    let lines = list(&fixture.join("lib.rs")).unwrap();
    let expected = include_str!("fixture/expected.txt");
    assert_eq!(lines.join("\n") + "\n", expected);
}

fn check(crate_name: &str, folder: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert_unchanged(crate_name, &root.join(folder), &VENDORS);
}

/// Crates that a user must never meet in a signature: they could not be replaced any more. Welcome are only
/// `bytes`, `futures_core` and `serde`.
const VENDORS: [&str; 7] = ["axum", "libp2p", "quinn", "redb", "ring", "rustls", "tokio"];
