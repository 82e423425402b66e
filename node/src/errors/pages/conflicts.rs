//! E07xx: why a conflict was not ended, or that was not undone.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        701,
        "the field has other values than were seen",
        "Another value has come, or somebody else has written the field or ended the conflict: whoever decided, or \
         undoes that, has not seen all that is there. Nothing was written.",
        "read the field again, and decide again",
    ),
    ErrorPage::new(
        702,
        "there is no value of that number",
        "Values of a conflict are counted from zero, the one that readers see first. Nothing was written.",
        "look at the values again: `millpond conflicts show`",
    ),
    ErrorPage::new(
        703,
        "there is nothing to undo",
        "No decision about the field is kept: none was made, it has been undone, the record was deleted, or the values \
         were too long to be kept. Nothing was written.",
        "write the value that is wanted; `millpond explain` shows what there is",
    ),
];
