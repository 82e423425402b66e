//! E04xx: why nothing was written, and whether others hold what was.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        401,
        "a value exceeds the limit",
        "One value is at most 1 MiB, so that it fits a frame and a little memory. Nothing was written.",
        "split the value over several fields or records",
    ),
    ErrorPage::new(
        402,
        "the transaction exceeds a limit",
        "A transaction is seen whole or not at all on every node, so it is bounded: 100,000 writes and 16 MiB. \
         Nothing was written.",
        "split it; an import does so by itself, some 500 records at a time",
    ),
    ErrorPage::new(
        403,
        "too many values side by side",
        "The write would leave more than 64 concurrent values at one path. Nothing was written.",
        "overwrite the values that are there, instead of adding to them",
    ),
    ErrorPage::new(
        404,
        "a name cannot be part of a path",
        "A path has a bounded length and depth, and no empty parts. Nothing was written.",
        "choose shorter, non-empty names",
    ),
    ErrorPage::new(
        405,
        "the counter cannot change so",
        "Its sums would leave the range of 64 bits. Nothing was written.",
        "delete the field, which sets it to zero, or count in another one",
    ),
    ErrorPage::new(
        406,
        "the transaction gave up",
        "The closure returned this error, or asked for something that is none of its business. Nothing was written.",
        "the detail is the closure's own; it decides",
    ),
    ErrorPage::new(
        407,
        "a write within a write",
        "A transaction's closure asked for a further transaction, and would have waited for itself. Nothing was written.",
        "use the transaction that is open: its `tx` writes any record",
    ),
    ErrorPage::new(
        408,
        "the replica is fenced",
        "Its key or its history is alive elsewhere, too: a copy of the folder runs, or an old one was put back. Two \
         of one would issue the same numbers. Nothing was written.",
        "`millpond fence status` says what was found and what to do",
    ),
    ErrorPage::new(
        409,
        "the node's role is reader",
        "A reader gets all and writes nothing. Nothing was written.",
        "write at a node whose role is writer or admin, or ask an admin for another role",
    ),
    ErrorPage::new(
        410,
        "the node is a delayed replica",
        "It shows what was, some time ago, and takes no writes. Nothing was written.",
        "write at another member; `millpond delayed promote` ends the delay",
    ),
    ErrorPage::new(
        411,
        "too few members are linked",
        "The caller asked that so many other members be there, of those that count, and fewer are. Nothing was written.",
        "try again when they are back, or ask for fewer: `millpond peers ls` shows who is linked",
    )
    .retryable(),
    ErrorPage::new(
        412,
        "the node is a backup, and another member is the primary",
        "An admin has made one member the primary, which alone takes writes; the detail names it and its address. \
         Nothing was written.",
        "write at the primary; if it is gone for good: `millpond promote`, at an admin's node",
    ),
    ErrorPage::new(
        413,
        "the replica is behind what the write refers to",
        "The write names something that its client has seen elsewhere and that has not come here yet, or the node has \
         to catch up before its first write. Nothing was written.",
        "try again when the node has caught up: `millpond status` says what it lacks",
    )
    .retryable(),
    ErrorPage::new(
        414,
        "the clock cannot stamp the write",
        "This machine's clock, or a stamp that the write overwrites, stands at the greatest time that a write may \
         carry. Nothing was written.",
        "set this machine's clock",
    ),
    ErrorPage::new(
        415,
        "the replica was closed during the write",
        "The replica was closing, or closed meanwhile. Whether the write is stored is unknown.",
        "open the replica again, and look whether it is there before you write it again",
    ),
    ErrorPage::new(
        421,
        "unknown whether enough members hold the write",
        "The write is stored on this node, and stays. The members that its concern names have not all acknowledged \
         it in time: they may have it, and may still get it. It is no failure of the write.",
        "do not write it again; wait once more with its receipt, which names who is late",
    ),
    ErrorPage::new(
        422,
        "the text is no concern",
        "A concern is `local`, `replicas:N`, `majority`, `all`, `first:N:NAME,NAME`, `any:N:NAME,NAME` or \
         `named:NAME,NAME`.",
        "give one of these",
    ),
    ErrorPage::new(
        423,
        "the text is no level of acks",
        "A level is `received`, `applied` or `durable`.",
        "give one of the three",
    ),
];
