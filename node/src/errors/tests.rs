//! The registry is whole: codes and pages belong together, and the document says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::pages::AREAS;
use super::{ErrorCode, ErrorPage};
use crate::sources::sources_except;
use crate::store::StoreError;
use crate::{ResolveError, WriteError};

#[test]
fn no_code_has_two_pages_and_each_lies_in_its_area() {
    let mut seen = BTreeSet::new();
    for (area, number) in AREAS.iter().zip(0..) {
        for page in area.pages {
            assert!(seen.insert(page.code), "{} has two pages", page.code);
            assert_eq!(page.code.number() / 100, number, "{} is in {}", page.code, area.heading);
        }
        assert!(area.pages.is_sorted_by_key(|page| page.code), "order of {}", area.heading);
    }
}

#[test]
fn every_page_says_what_why_and_what_to_do() {
    for ErrorPage { code, title, why, hint, .. } in ErrorCode::all().map(ErrorCode::page) {
        let is_line = |text: &str| !text.is_empty() && !text.contains('\n') && text.len() <= 120;
        assert!(is_line(title) && is_line(hint), "{code}: one line each");
        assert!(why.ends_with('.') && why.len() > 10, "{code}: sentences");
        assert!(!title.ends_with('.') && !hint.ends_with('.'), "{code}: no sentences");
        assert!(![title, hint].iter().any(|text| text.contains("  ")), "{code}: single spaces");
    }
}

#[test]
fn each_code_stands_for_one_variant_but_those_of_any_area() {
    let mut uses: BTreeMap<u16, usize> = BTreeMap::new();
    for source in sources_except(&["errors/tests.rs"]) {
        for number in source.split("code::<").skip(1) {
            let Some(number) = number.split_once('>').and_then(|(it, _)| it.parse().ok()) else {
                continue;
            };
            *uses.entry(number).or_default() += 1;
        }
    }
    let cli = Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/src/failure.rs");
    let cli = std::fs::read_to_string(cli).unwrap_or_default();
    for code in ErrorCode::all() {
        let (number, text) = (code.number(), code.to_string());
        let count = uses.get(&number).copied().unwrap_or(usize::from(cli.contains(&text)));
        assert!(count > 0, "{code} has a page, and nothing has it");
        // A request may fail by one cause at several places.
        let is_shared = !(100..900).contains(&number) || HTTP_TOO.contains(&number);
        assert!(count == 1 || is_shared, "{code} stands for {count} variants");
    }
}

#[test]
fn every_public_error_has_codes_and_may_grow() {
    let coded = include_str!("coded.rs");
    let coded: BTreeSet<&str> = coded
        .split("coded!(")
        .skip(1)
        .filter_map(|call| call.split(',').next()?.rsplit("::").next())
        .collect();
    let mut errors = 0;
    for source in sources_except(&[
        "mesh/field.rs",
        "mesh/round_trips.rs",
        "sim/profile.rs",
        "sim/scenario.rs",
    ]) {
        let lines: Vec<&str> = source.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let declares =
                |line: &&&str| line.starts_with("pub enum ") || line.starts_with("pub struct ");
            if !(line.starts_with("#[derive(") && line.contains("thiserror::Error")) {
                continue;
            }
            let rest = &lines[index + 1..];
            let Some(declared) = rest.iter().find(|line| !line.starts_with(['#', ' ', '"', ')']))
            else {
                continue;
            };
            if !declares(&declared) {
                continue; // not public
            }
            let name = declared.split([' ', '(', ';']).nth(2).unwrap();
            assert!(coded.contains(name), "{name} has no codes: errors/coded.rs");
            let attributes = rest.iter().take_while(|line| *line != declared);
            let may_grow = declared.starts_with("pub struct")
                || attributes.clone().any(|it| *it == "#[non_exhaustive]");
            assert!(may_grow, "{name} is no #[non_exhaustive] enum");
            errors += 1;
        }
    }
    assert!(errors >= 30, "they are found: {errors}");
}

#[test]
fn an_error_tells_its_code_hint_and_whether_to_retry() {
    let error = WriteError::NotPrimary { primary: None, address: None };
    assert_eq!(error.code().to_string(), "E0412");
    assert!(error.hint().contains("primary") && !error.is_retryable());
    let error = ResolveError::from(WriteError::Store(StoreError::Full));
    assert_eq!(error.code().to_string(), "E0302", "of the innermost cause");
    assert!(error.is_retryable());
}

#[test]
fn a_code_is_read_as_it_is_written_and_nothing_else_is() {
    for code in ErrorCode::all() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    assert_eq!("e0412".parse::<ErrorCode>().unwrap().to_string(), "E0412");
    for text in ["", "E", "412", "E412", "E00412", "E+412", "E9999", "tasks/E0412", "E0412/x"] {
        assert!(text.parse::<ErrorCode>().is_err(), "{text}");
    }
}

#[test]
fn the_document_is_the_registry() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ERRORS.md");
    let document = document();
    if std::env::var_os("MILLPOND_BLESS").is_some() {
        return std::fs::write(&file, document).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap();
    assert!(
        committed == document,
        "docs/ERRORS.md differs from the registry; to write it anew:\n    \
         MILLPOND_BLESS=1 cargo test -p millpond --lib errors"
    );
}

fn document() -> String {
    let mut text = String::from(INTRODUCTION);
    for area in AREAS {
        write!(text, "\n## {}\n", area.heading).unwrap();
        for page in area.pages {
            let ErrorPage { code, title, why, hint, .. } = page;
            write!(text, "\n### {code}: {title}\n{why}\n\n").unwrap();
            writeln!(text, "- **Do**: {hint}\n- **Retryable**: {}", page.retry_text()).unwrap();
        }
    }
    text
}

const INTRODUCTION: &str = "\
# Errors

Each error of the library, of the HTTP API and of the program has a code, as `E0412`. A code stands for one cause and is
stable; the first two digits name its area. `millpond explain E0412` prints what this page says of it. In the library an
error tells it by `code()`, what to do by `hint()`, and by `is_retryable()` whether the same call may succeed later; over
HTTP they are `error_code`, `hint` and `retryable` of the body; the program prints `error[E0412]` and a line `do:`.

Errors of the crates below, of paths, counters and frames, come as the cause of one of these. This page is made from the
registry, `node/src/errors/pages`, and a test holds it against that.
";

/// Causes that a request over HTTP meets where no error of the library is made.
const HTTP_TOO: [u16; 2] = [206, 422];
