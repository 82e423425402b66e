//! The sources of this crate, for tests that hold a list against them.

use std::path::Path;

/// All of them, but those whose path ends so.
pub(crate) fn sources_except(ends: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), ends, &mut found);
    found
}

fn collect(folder: &Path, except: &[&str], found: &mut Vec<String>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            collect(&path, except, found);
        } else if path.extension().is_some_and(|it| it == "rs")
            && !except.iter().any(|end| path.ends_with(end))
        {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}
