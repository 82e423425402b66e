//! E10xx: what only the program `millpond` meets.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        1001,
        "the node cannot be reached",
        "A command asks the running node of its folder, and none runs there or it does not answer.",
        "start it with `millpond run`, or name another folder with --dir",
    )
    .retryable(),
    ErrorPage::new(
        1002,
        "the node's answer broke off or was not as expected",
        "The node was stopped while it answered, or runs another version than the program. Whether a write was done \
         is unknown.",
        "look at `millpond status`; update the one that is older",
    )
    .retryable(),
    ErrorPage::new(
        1003,
        "the configuration is invalid",
        "`millpond.toml` cannot be read, or holds what makes no sense. Nothing was started.",
        "`millpond config check` names the line and what belongs there",
    ),
    ErrorPage::new(
        1004,
        "a file cannot be read or written",
        "The system refused what the detail names.",
        "see to its rights and to free space, then try again",
    ),
    ErrorPage::new(
        1005,
        "the node stopped by itself",
        "A failure that it could not go on from, mostly of its disk; its log says which.",
        "look at the disk and the node's log, then start it again",
    ),
    ErrorPage::new(
        1006,
        "not all records were imported",
        "Some lines were refused, or the import ended early. What is counted as imported is stored, and stays.",
        "mend the lines that are listed, and import the file again: records that are equal stay as they are",
    ),
    ErrorPage::new(
        1007,
        "the join is not finished",
        "The inviter was not reached, or what it has did not come, in time. The folder keeps the invite.",
        "see that the inviter runs and can be reached, then `millpond run`: it goes on by itself",
    )
    .retryable(),
    ErrorPage::new(
        1008,
        "the command cannot be carried out as it was given",
        "An argument makes no sense here. Nothing was done.",
        "`millpond COMMAND --help` lists what it takes",
    ),
    ErrorPage::new(
        1009,
        "there is no such page",
        "The text is no code of an error that this version knows, and no record either, which is named \
         `collection/key`.",
        "docs/ERRORS.md lists all codes; `millpond explain COLLECTION/KEY FIELD` explains a value",
    ),
    ErrorPage::new(
        1010,
        "the demo did not end as it should",
        "One of its nodes did not start, stopped, or did not become level with the others.",
        "the detail names what happened; the logs of its nodes say more",
    ),
];
