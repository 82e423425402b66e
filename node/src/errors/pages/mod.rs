//! The pages, by area. A code that was given once is never given again, not even when its error is gone.

mod backups;
mod conflicts;
mod following;
mod members;
mod opening;
mod program;
mod records;
mod requests;
mod store;
mod writing;

use super::{ErrorCode, ErrorPage};

/// Pages of one area.
pub(super) struct Area {
    /// What it is about, as a heading of docs/ERRORS.md, which a test makes.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) heading: &'static str,
    pub(super) pages: &'static [ErrorPage],
}

/// All areas, in the order of their codes.
pub(super) const AREAS: &[Area] = &[
    Area { heading: "Any area", pages: members::COMMON },
    Area { heading: "Opening a replica", pages: opening::PAGES },
    Area { heading: "Members", pages: members::PAGES },
    Area { heading: "The store", pages: store::PAGES },
    Area { heading: "Writes and concerns", pages: writing::PAGES },
    Area { heading: "Records", pages: records::PAGES },
    Area { heading: "Following others", pages: following::PAGES },
    Area { heading: "Conflicts", pages: conflicts::PAGES },
    Area { heading: "Backups", pages: backups::PAGES },
    Area { heading: "Requests over HTTP", pages: requests::PAGES },
    Area { heading: "The program", pages: program::PAGES },
];

/// All pages, in the order of their codes.
pub(super) fn all() -> impl Iterator<Item = &'static ErrorPage> {
    AREAS.iter().flat_map(|area| area.pages)
}

/// The page of a code, if it has one. Compilers call it too, so it has no iterators.
pub(super) const fn find(code: ErrorCode) -> Option<&'static ErrorPage> {
    let mut area = 0;
    while area < AREAS.len() {
        let pages = AREAS[area].pages;
        let mut page = 0;
        while page < pages.len() {
            if pages[page].code.number() == code.number() {
                return Some(&pages[page]);
            }
            page += 1;
        }
        area += 1;
    }
    None
}
