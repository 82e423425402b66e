//! E03xx: why the store failed.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        301,
        "the folder is in use",
        "One folder is open in one process, once. Another process has it open, or this one has.",
        "close it there, ask the node that runs there, or choose another folder",
    ),
    ErrorPage::new(
        302,
        "no space left on the device",
        "The commit had no effect, and the store goes on working.",
        "free some space and write again: the node needs no restart",
    )
    .retryable(),
    ErrorPage::new(
        303,
        "a stored value is corrupt",
        "Its checksum does not match: the disk has returned other bytes than were written. The value is never \
         served; a commit that meets it has no effect. It is fetched again from a peer that has it.",
        "`millpond verify --deep` has it mended from a peer at once, and says what nobody has any more",
    )
    .retryable(),
    ErrorPage::new(
        304,
        "what was there was lost to damage",
        "A disk has lost it, and no peer has given it back so far. It is not known, so nothing is read there and \
         nothing is written over it here; what other members write over it ends that.",
        "`millpond verify --deep` says whether anybody has it; else `millpond repair` gives it up",
    )
    .retryable(),
    ErrorPage::new(
        305,
        "the store is of another format",
        "Another version of Millpond wrote the file, in a format that this one does not read. Nothing has changed.",
        "use the version that wrote it",
    ),
    ErrorPage::new(
        306,
        "the store failed",
        "The system failed to read or write. After a failed sync nobody knows what is on disk, so the store stops. \
         Whether the last write is stored is unknown.",
        "look at the disk and the system's log, then restart the node",
    ),
    ErrorPage::new(
        307,
        "the store has stopped",
        "An earlier commit, or an earlier read of the disk, failed. What was written by then and not acknowledged is \
         unknown.",
        "look at the disk and the system's log, then restart the node",
    ),
];
