//! E06xx: why this node does not show, follow or fetch what others have.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        601,
        "the replica is behind what its client has seen",
        "The bookmark names writes that have not come here, or the replica cannot be sure that it has what the \
         bookmark leaves out: it is new, restored, or a delayed replica. Nothing was read or written.",
        "ask another node, or this one again: `millpond status` says what it lacks",
    )
    .retryable(),
    ErrorPage::new(
        602,
        "the text is no bookmark",
        "Bookmarks come from receipts and from `Millpond-Bookmark` headers; this text is another one, or of a newer \
         version.",
        "send the bookmark of an earlier answer, or none",
    ),
    ErrorPage::new(
        603,
        "the text is no token",
        "Tokens of changes come from `id:` lines and from receipts; this text is another one, or of a newer version.",
        "leave it out to begin now, or pass `1` to begin with all that exists",
    ),
    ErrorPage::new(
        611,
        "no link over which data may be asked for",
        "The member is not linked now, or the settings of the topology let nothing be taken from it. Nothing has \
         changed.",
        "see that it is linked: `millpond status`",
    )
    .retryable(),
    ErrorPage::new(
        612,
        "the peer took no part in a refresh",
        "The refresh broke off, or the peer did not answer within a minute: it may wait for its own operator. Nothing \
         is lost, and what has come is kept for the next one.",
        "it may want `millpond refresh` there as well; then try again",
    )
    .retryable(),
];
