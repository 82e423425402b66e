//! What the compiler says to who errs.
//!
//! `TRYBUILD=overwrite cargo test -p millpond-derive --test ui` writes down what it says now.

#[test]
fn errors_say_what_to_do() {
    let tests = trybuild::TestCases::new();
    tests.compile_fail("tests/ui/*.rs");
}
