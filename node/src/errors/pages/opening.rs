//! E01xx: why a replica, or its API, does not open.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        101,
        "there is no replica in the folder",
        "A folder becomes a replica when a domain is founded in it or an invite is redeemed in it. This one is \
         neither, or the path is another one than was meant.",
        "`millpond init` founds a domain, `millpond join INVITE` enters one; or name another folder",
    ),
    ErrorPage::new(
        102,
        "there is a replica in the folder already",
        "Founding or joining never takes the place of data. Nothing has changed.",
        "open what is there (`millpond run`), or choose another folder",
    ),
    ErrorPage::new(
        103,
        "the store's file is missing, though the folder has a key",
        "Someone moved or deleted `millpond.redb`. A new one under the old key would issue old numbers again.",
        "put the file back, or move the folder away and join again as a new member",
    ),
    ErrorPage::new(
        104,
        "key and store belong to different replicas",
        "Files of two folders were mixed, mostly by a restore of one of the two. Nothing was opened.",
        "put back the `node.key` and the `millpond.redb` that belong together",
    ),
    ErrorPage::new(
        105,
        "a copy of this folder runs on this host",
        "The folder was copied, and the other one is open. Two nodes of one key would issue the same numbers for \
         different writes.",
        "keep the one that runs; for a second node move this folder away and use `millpond clone`",
    ),
    ErrorPage::new(
        106,
        "the name of the region is empty or too long",
        "A region is a short text that costs of links are looked up by. Nothing was opened.",
        "give a region of 1 to 64 bytes, or none",
    ),
    ErrorPage::new(
        107,
        "the node's key cannot be read or made",
        "`node.key` is unreadable or damaged, or the system gave no random bytes. A key cannot be made again.",
        "put the file back from a backup; without one, move the folder away and join again as a new member",
    ),
    ErrorPage::new(
        108,
        "a file or folder cannot be used",
        "The system refused to read, write or create what the detail names. Nothing of an existing replica was changed.",
        "see to its rights and to free space, then try again",
    ),
    ErrorPage::new(
        110,
        "the address for peers cannot be listened on",
        "Another process has the port, or the address is none of this machine.",
        "choose another address (`--listen`, or `bindaddress` under [replication]); port 0 takes a free one",
    ),
    ErrorPage::new(
        121,
        "a spanning tree with `fanout` 0",
        "Nobody would feed anybody.",
        "set `fanout` to 1 or more; 8 is the default",
    ),
    ErrorPage::new(
        122,
        "`fanout` without a spanning tree",
        "In a full mesh every peer is fed, in a static one those that are named: a fanout has no meaning there.",
        "leave `fanout` out, or set the mode to `spanning-tree`",
    ),
    ErrorPage::new(
        123,
        "a static topology without links",
        "A static node is linked with the members that it names, and none is named.",
        "name one in a [[topology.link]], or choose another mode",
    ),
    ErrorPage::new(
        124,
        "a link to nobody",
        "A link names a member by its name, its key, or the first 8 digits of that or more; `*` is every other one.",
        "give one of these as `peer`",
    ),
    ErrorPage::new(
        125,
        "two links of one peer",
        "Which of the two would hold is not said.",
        "leave one of them out",
    ),
    ErrorPage::new(
        131,
        "the address for HTTP cannot be listened on",
        "Another process has the port, or the address is none of this machine.",
        "choose another address (`--http`, or `listen` under [http]); port 0 takes a free one",
    ),
    ErrorPage::new(
        132,
        "a file of the HTTP API cannot be used",
        "The API keeps its token and its address as files in the node's folder, and the system refused one of them.",
        "see to the rights of the folder and to free space, then start again",
    ),
];
