//! E08xx: why a backup is not made, not good, or not restored.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        801,
        "there is nothing to back up yet",
        "The node came with an invite that is not redeemed: it holds nothing of its own.",
        "see that its inviter can be reached, and try again when it has joined",
    )
    .retryable(),
    ErrorPage::new(
        802,
        "there is a file of that name already",
        "A backup never takes the place of another file. Nothing was written.",
        "choose another name, or move that file away",
    ),
    ErrorPage::new(
        803,
        "no room is left on the device",
        "Nothing stays of a backup or a replica that was not finished.",
        "free some space, or write elsewhere, and begin again",
    ),
    ErrorPage::new(
        804,
        "a file or folder of a backup cannot be used",
        "The system refused to read or write what the detail names. Nothing stays of what was not finished.",
        "see to its rights, and try again",
    ),
    ErrorPage::new(
        805,
        "the file is no backup",
        "It does not begin as a backup does.",
        "name a file that `millpond backup` has written",
    ),
    ErrorPage::new(
        806,
        "the backup is of another format",
        "Another version of Millpond wrote it, in a format that this one does not read.",
        "use the version that wrote it",
    ),
    ErrorPage::new(
        807,
        "the backup is damaged",
        "A part of it was altered or is missing; all before that part is as it was. Nothing stays of what was not \
         finished.",
        "take another backup, or fetch this one again from where it was kept",
    ),
    ErrorPage::new(
        808,
        "there is no key for the node",
        "To come back into its domain a node needs its key: none is in the folder, none was given, and none is in the \
         backup.",
        "give the node's key (`--key`), or an invite (`--invite`) to enter as a new member",
    ),
    ErrorPage::new(
        809,
        "the invite is for another domain than the data",
        "A backup goes back into the domain that it is of. Nothing stays of what was not finished.",
        "ask an admin of that domain for an invite",
    ),
    ErrorPage::new(
        810,
        "it was stopped before the end",
        "Someone told it to stop. Nothing stays of what was not finished.",
        "begin again",
    ),
];
