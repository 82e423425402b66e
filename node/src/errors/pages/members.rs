//! E00xx, causes of every area, and E02xx: members, their invites and their roles.

use super::ErrorPage;

/// The only codes that several errors share.
pub(super) const COMMON: &[ErrorPage] = &[
    ErrorPage::new(
        1,
        "the replica is closed",
        "The handle was closed, or its process is stopping. Nothing more is done by this handle; what was asked \
         before may have been done.",
        "open the replica again; at a node that restarts, ask again",
    ),
    ErrorPage::new(
        2,
        "there is no such member",
        "No member of the domain has this key, or it was removed. Nothing has changed.",
        "`millpond status` lists the members with their names and keys",
    ),
    ErrorPage::new(
        3,
        "only an admin may do so, and this node is none",
        "Inviting, promoting and removing others are acts of a member whose role is admin, at its own node. Nothing \
         has changed.",
        "do it at an admin's node; `millpond status` shows the roles",
    ),
    ErrorPage::new(
        4,
        "it could not be recorded",
        "What was decided is recorded in the store before it holds, and the store did not take it: its disk may be \
         full, or the node is fenced or behind. Unless the detail says otherwise nothing has changed.",
        "mend what the detail names, then do it again; `millpond status` shows how the node is",
    )
    .retryable(),
];

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        201,
        "the text is no invite",
        "An invite begins with `mp1`. The text begins otherwise: it is something else, or its beginning was cut off.",
        "copy the whole line that `millpond invite` printed",
    ),
    ErrorPage::new(
        202,
        "the invite is incomplete or mistyped",
        "An invite carries a checksum, and that of this text does not match: letters are missing or were changed on \
         the way.",
        "copy the whole line that `millpond invite` printed once more",
    ),
    ErrorPage::new(
        203,
        "the node is of another domain",
        "A domain never takes the place of another one in which there is something: data that was written, though all of \
         it may be deleted by now, or other members. Nothing was changed on either side, and nothing is ever deleted \
         because of it.",
        "join in a new folder; what is here goes there by `millpond export` and `millpond import`",
    ),
    ErrorPage::new(
        204,
        "the node is a member of that domain already",
        "The invite is for the domain that the node is in. Nothing has changed, and the invite is not used up.",
        "nothing needs to be done; `millpond status` shows the members",
    ),
    ErrorPage::new(
        205,
        "the invite was refused",
        "Its issuer knows it no more: it was redeemed already, has expired, was revoked, or was issued by a node that \
         has lost it. The folder keeps what was prepared, and is no member.",
        "ask an admin for a new invite, and join with that: the same folder does",
    ),
    ErrorPage::new(
        206,
        "the text names no role",
        "Roles are `admin`, `writer` and `reader`.",
        "give one of the three",
    ),
    ErrorPage::new(
        207,
        "an invite for too few or too many nodes",
        "An invite lets in one node, or as many as are asked for, within a bound. None was made.",
        "ask for 1 to 1,000 uses; more nodes take more invites",
    ),
    ErrorPage::new(
        208,
        "too many invites are open",
        "A node remembers 128 invites, and all of them may still be used. None was made.",
        "`millpond invite list` shows them, `millpond invite revoke ID` ends one; or give one more uses: `--uses`",
    ),
    ErrorPage::new(
        209,
        "there is no such invite",
        "An invite is known to the node that issued it, until a day after it expired. It is named by the first 8 digits \
         of its id, or more, or by its text. Nothing has changed.",
        "`millpond invite list` at the node that issued it shows the ids",
    ),
    ErrorPage::new(
        210,
        "the node cannot join now",
        "It is fenced, about to join by another invite, or has changed its key, by which alone its own domain knows it. \
         Nothing has changed.",
        "see `millpond status`, then join again",
    ),
    ErrorPage::new(
        211,
        "nobody waits who answers to that",
        "Who waits for approval is named by its three words, or by its key or the first 8 digits of that; by its name it \
         is not, since that it chooses itself. Nothing has changed.",
        "`millpond peers pending`, at the node that issued the invite, shows who waits",
    ),
    ErrorPage::new(
        212,
        "the last admin cannot be removed",
        "Nobody would be left to admit others. Nothing has changed.",
        "invite another admin first, then remove this one",
    ),
    ErrorPage::new(
        221,
        "the member may not write",
        "A primary takes the writes, and the role of this member is reader. Nothing has changed.",
        "promote a member whose role is writer or admin",
    ),
    ErrorPage::new(
        231,
        "the node is no delayed replica",
        "Only a replica that was opened with a delay can be paused, resumed or moved in time. Nothing has changed.",
        "ask the delayed replica: `millpond status` shows which node is one",
    ),
    ErrorPage::new(
        232,
        "the delayed replica shows more than that already",
        "It goes on in time and never back. Nothing has changed.",
        "choose a later moment; what was before it is in a backup, if you have one",
    ),
    ErrorPage::new(
        233,
        "that moment has not come yet",
        "A delayed replica can show what was, and the moment lies ahead by the clock of this node. Nothing has changed.",
        "choose a moment that is over, or end the delay: `millpond delayed promote`",
    ),
    ErrorPage::new(
        241,
        "the node is not fenced",
        "There is no fence to lift: somebody has lifted it, or there never was one.",
        "nothing needs to be done; `millpond fence status` shows how the node is",
    ),
    ErrorPage::new(
        251,
        "the node is no member whose key others know",
        "A key is changed in the domain, where the old one says which one follows it. Before it has joined, a node is \
         nobody there. Nothing has changed.",
        "let the node join first",
    ),
    ErrorPage::new(
        252,
        "there is no new key",
        "It could not be made, or not be kept in the node's folder. The old key stays.",
        "see to the folder's rights and its room, and try again",
    )
    .retryable(),
    ErrorPage::new(
        253,
        "it is no member's key",
        "No member of the domain has this key, or its member was removed. Nothing has changed.",
        "give one of those that `millpond keys show` or `millpond peers ls --json` list, whole",
    ),
    ErrorPage::new(
        254,
        "the key is its member's newest one",
        "Only a key that another one has taken the place of can be revoked, or its member would have none. Nothing has \
         changed.",
        "run `millpond keys rotate --overlap 0s` at that node; if it is not yours any more, remove the member",
    ),
    ErrorPage::new(
        255,
        "the text is no certificate of a node",
        "One begins with `mpk1`. It is the key by which the node is known, with a checksum; no X.509 certificates are \
         involved.",
        "copy the whole line that `millpond show-replication-certificate` prints at that node",
    ),
    ErrorPage::new(
        256,
        "the certificate of a node is incomplete or mistyped",
        "Its checksum does not match, so that some of it is missing or another letter stands in it.",
        "copy it again, whole",
    ),
];
