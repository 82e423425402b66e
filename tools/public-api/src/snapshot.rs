//! The committed list, and what to do when it differs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Asserts that the public API of the crate in `folder` is what its `public-api.txt` says, and that none of
/// the `forbidden` crates appears in it. With `MILLPOND_BLESS` set, writes the file instead.
///
/// # Panics
/// When it differs, with the difference; when a forbidden name appears; when the file is missing, or the
/// source cannot be read.
pub fn assert_unchanged(crate_name: &str, folder: &Path, forbidden: &[&str]) {
    let lines = crate::list(&folder.join("src/lib.rs"))
        .unwrap_or_else(|error| panic!("cannot list the public API of {crate_name}: {error}"));
    let leaks = leaks(&lines, forbidden);
    assert!(
        leaks.is_empty(),
        "types of other crates in the public API of {crate_name}; wrap them:\n{}",
        leaks.join("\n")
    );

    let file = folder.join("public-api.txt");
    if std::env::var_os("MILLPOND_BLESS").is_some() {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("no list of {crate_name}'s public API: {}: {error}\n{BLESS}", file.display())
    });
    let difference = difference(&committed, &lines);
    assert!(
        difference.is_empty(),
        "the public API of {crate_name} changed:\n{}\n\nIf that is meant, note it in CHANGELOG.md. {BLESS}",
        difference.join("\n")
    );
}

/// The lines that name one of the forbidden crates.
fn leaks<'a>(lines: &'a [String], forbidden: &[&str]) -> Vec<&'a str> {
    let names = |line: &str| {
        forbidden.iter().any(|name| {
            let name = format!("{name}::");
            let within = line.match_indices(&name);
            let mut starts = within.map(|(start, _)| line[..start].chars().next_back());
            starts.any(|before| before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':'))
        })
    };
    lines.iter().map(String::as_str).filter(|line| names(line)).collect()
}

/// Lines that are gone, with a minus, and new ones, with a plus, in the order of the list.
fn difference(committed: &str, lines: &[String]) -> Vec<String> {
    let old: BTreeSet<&str> = committed.lines().collect();
    let new: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    let gone = committed.lines().filter(|line| !new.contains(line));
    let come = lines.iter().filter(|line| !old.contains(line.as_str()));
    gone.map(|line| format!("- {line}")).chain(come.map(|line| format!("+ {line}"))).collect()
}

const BLESS: &str = "To accept the present API:\n    \
    MILLPOND_BLESS=1 cargo test -p millpond-public-api";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_crate_is_found_by_its_name_only() {
        let lines = ["fn a() -> redb::Error", "fn b() -> my_redb::Error", "fn c(x: &redb::Db)"];
        let lines = lines.map(String::from);
        assert_eq!(leaks(&lines, &["redb"]), [lines[0].as_str(), lines[2].as_str()]);
    }

    #[test]
    fn the_difference_shows_what_went_and_what_came() {
        let lines = ["a".to_string(), "c".to_string()];
        assert_eq!(difference("a\nb\n", &lines), ["- b", "+ c"]);
    }
}
