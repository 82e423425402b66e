//! E05xx: why an operation on records failed.

use super::ErrorPage;

pub(super) const PAGES: &[ErrorPage] = &[
    ErrorPage::new(
        501,
        "a collection has no valid name",
        "A collection is 1 to 128 bytes of text without `/` and control characters.",
        "choose another name",
    ),
    ErrorPage::new(
        502,
        "a key is empty or too long",
        "A key is any text of 1 to 1024 bytes.",
        "choose a shorter key; a hash of a long one is a good one",
    ),
    ErrorPage::new(
        503,
        "a field's name is empty or too long",
        "A field's name is 1 to 512 bytes of text.",
        "choose another name",
    ),
    ErrorPage::new(
        504,
        "a record's name lacks its key",
        "A record is named `collection/key`, and the text has no slash.",
        "write the collection, a slash, and the key",
    ),
    ErrorPage::new(
        505,
        "the parts of a name are too long together",
        "Collection, key and field make one path, which is bounded.",
        "choose shorter names",
    ),
    ErrorPage::new(
        511,
        "a plain value was put onto a counter",
        "A counter is the sum of what each node added, and a value would undo what others add at the same time. \
         Nothing was written.",
        "add to it (`millpond count`), or delete the field first",
    ),
    ErrorPage::new(
        512,
        "a plain value was put onto a flag, set, map or log",
        "The field merges by a rule of its own, which a plain value would break. Nothing was written.",
        "change it by its own type, leave it as it is, or delete it first",
    ),
    ErrorPage::new(
        513,
        "an increment met a plain value",
        "The field holds a value that was put there, and cannot count. Nothing was written.",
        "count in another field, or delete this one first",
    ),
    ErrorPage::new(
        514,
        "a field holds what its type does not write",
        "Another type wrote it, or a newer version of the program, or two nodes made the field with different types. \
         It is kept as it is.",
        "look at it with `millpond explain`; read it with the type that wrote it, or write the field anew",
    ),
    ErrorPage::new(
        515,
        "a value has no stored form",
        "What was to be written has no JSON form: a map whose keys are no texts, or a number that is none. Nothing \
         was written.",
        "change the value, or the type of the field",
    ),
    ErrorPage::new(
        516,
        "there is no such record to edit",
        "An edit changes fields of a record that is there; this one was never stored, or was deleted. Nothing was \
         written.",
        "store one first with `store` or `millpond put`, or create it as you edit with `edit_or_create`",
    ),
    ErrorPage::new(
        517,
        "the record is not what the caller last saw",
        "Someone wrote it in between, here or elsewhere, and the write depends on its version. Nothing was written.",
        "read the record again, and repeat the write with its version of now",
    ),
    ErrorPage::new(
        518,
        "no such index is kept here",
        "A query names an index that the type does not declare, or this replica was opened without registering the type.",
        "open the replica with `ReplicaBuilder::register` of the type that declares the index",
    ),
    ErrorPage::new(
        521,
        "the text is no JSON value",
        "It is malformed, holds a number beyond the range of a double, or is nested deeper than 127 levels.",
        "mend the text at the place that the detail names",
    ),
    ErrorPage::new(
        522,
        "the text is no version of a record",
        "A version is 32 hex digits: the `ETag` of an answer.",
        "send the version that a read has given",
    ),
];
