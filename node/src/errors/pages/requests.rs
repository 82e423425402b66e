//! E09xx: what only a request over HTTP meets.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        901,
        "the body is not the JSON that is wanted",
        "It is malformed, lacks a field, or has one that the route does not know. Nothing was done.",
        "compare the body with docs/API.md; the detail names the place",
    ),
    ErrorPage::new(
        902,
        "the path, the query or a header is not as the route wants it",
        "A part of it is unknown, missing, or out of its range. Nothing was done.",
        "compare it with docs/API.md; the detail names the part",
    ),
    ErrorPage::new(
        903,
        "a precondition cannot be read",
        "`If-Match` and `If-None-Match` take the `ETag` of an answer, or `*`. Nothing was done.",
        "send the `ETag` as it came, in quotes, or `*`",
    ),
    ErrorPage::new(
        904,
        "an operation of a transaction is malformed",
        "The detail names its place in `ops` and what is wrong. Nothing of the transaction was done.",
        "compare it with POST /tx in docs/API.md",
    ),
    ErrorPage::new(
        905,
        "an invite's time is out of range",
        "An invite is valid for a bounded time, in seconds. None was made.",
        "give a time within the bounds that the detail names, or none",
    ),
    ErrorPage::new(
        906,
        "settings of the topology cannot be read",
        "The body is no topology, or its settings contradict each other. The old ones hold.",
        "compare them with [topology] in docs/TOPOLOGY.md; the detail says what is wrong",
    ),
    ErrorPage::new(
        907,
        "a primary and everybody at once",
        "Either one node takes the writes, or everybody does. Nothing has changed.",
        "give `node` or `everybody`, not both",
    ),
    ErrorPage::new(
        908,
        "an order to a delayed replica that is none",
        "The orders are `pause`, `resume`, `promote`, and `apply-until` with `until_ms`. Nothing has changed.",
        "give one of these",
    ),
    ErrorPage::new(
        909,
        "the text is no dot",
        "A dot is INCARNATION:SEQ.",
        "send the `dot` of a receipt",
    ),
    ErrorPage::new(
        910,
        "a path cannot be read",
        "A path is a list of one or more names, of bounded length. Nothing was done.",
        "send it as `verify` has listed it",
    ),
    ErrorPage::new(
        911,
        "a request without the node's token",
        "The API is for the user of the node, who can read its folder. Nothing was done.",
        "send `Authorization: Bearer TOKEN` with the text of http.token in the data folder",
    ),
    ErrorPage::new(
        912,
        "a request under a name that is not this machine's",
        "Web pages that point their own name here are kept out so (DNS rebinding). Nothing was done.",
        "use 127.0.0.1 or localhost, or add the name to `hosts` under [http]",
    ),
    ErrorPage::new(
        913,
        "there is no such record",
        "It was never stored here, was deleted, or has not come here yet.",
        "look for it with GET /c/{collection}, or at another node",
    ),
    ErrorPage::new(
        914,
        "the node does not have what the dot names",
        "No write of that dot is here: it is of another node and has not come yet, or there never was one.",
        "ask the node that gave the receipt",
    ),
    ErrorPage::new(
        915,
        "the record has no such field",
        "It was never written here, was deleted, or has not come here yet.",
        "GET the record to see its fields",
    ),
    ErrorPage::new(
        916,
        "the field has not several values",
        "Somebody else has ended the conflict, or the field never had one. Nothing was written.",
        "GET /api/v1/conflicts lists those there are",
    ),
    ErrorPage::new(
        917,
        "there is no such route",
        "The path is none of the API's, or of another version of it.",
        "docs/API.md lists the routes; those of this version begin with /api/v1/",
    ),
    ErrorPage::new(
        918,
        "the route has no such method",
        "The path exists, and takes other methods.",
        "docs/API.md lists the methods of each route",
    ),
    ErrorPage::new(
        919,
        "several members answer to that name",
        "Names of members need not differ. Nothing was done.",
        "give the whole key: `millpond peers ls` lists them",
    ),
    ErrorPage::new(
        920,
        "the body exceeds the limit",
        "A body is read whole before it is acted on, so it is bounded. Nothing was done.",
        "send many records through /api/v1/import, which takes any number",
    ),
    ErrorPage::new(
        921,
        "too many streams are open",
        "Each stream holds a snapshot and memory, so a node serves a bounded number at once.",
        "close one that is not needed, or try again later",
    )
    .retryable(),
    ErrorPage::new(
        922,
        "the node is stopping",
        "The node was told to stop, or its store has stopped. Whether a write that got this answer is stored is \
         unknown.",
        "ask again when it has started; look whether a write is there before you repeat it",
    )
    .retryable(),
    ErrorPage::new(
        923,
        "a fault of the program",
        "Something happened that the program takes for impossible.",
        "look at the node's log, and report it",
    ),
];
