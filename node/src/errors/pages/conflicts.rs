//! E07xx: why a conflict was not ended.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        701,
        "the field has other values than were seen",
        "Another value has come, or somebody else has ended the conflict: whoever decided has not seen all that is \
         there. Nothing was written.",
        "read the conflict again, and decide again",
    ),
    ErrorPage::new(
        702,
        "there is no value of that number",
        "Values of a conflict are counted from zero, the one that readers see first. Nothing was written.",
        "look at the values again: `millpond conflicts show`",
    ),
];
