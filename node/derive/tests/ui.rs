//! What the compiler says to who errs.
//!
//! `TRYBUILD=overwrite cargo test -p millpond-derive --test ui` writes down what it says now.

use std::process::Command;

/// What the derive itself says is the same with every compiler.
#[test]
fn errors_say_what_to_do() {
    let tests = trybuild::TestCases::new();
    tests.compile_fail("tests/ui/[!n]*.rs");
}

/// What a trait that is missing says is said in the words of one compiler.
#[test]
fn a_missing_trait_says_what_to_do() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    if !version.starts_with(WRITTEN_BY.as_bytes()) {
        let version = String::from_utf8_lossy(&version);
        return eprintln!("SKIPPED: these are the words of {WRITTEN_BY}*, and this is {version}");
    }
    trybuild::TestCases::new().compile_fail("tests/ui/no_*.rs");
}

const WRITTEN_BY: &str = "rustc 1.95.";
