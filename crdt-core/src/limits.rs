//! Every limit of the core, as a number with its reason.
//!
//! A limit that honest members could exceed together binds local writes only: what one of them admitted
//! always merges.

/// Largest frame, header included: bounds what one read may allocate.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Largest message put together from fragments, with its header: one transaction at its limit with all that
/// it overwrote, or one path with 64 values at theirs and a mebibyte for what surrounds them.
pub const MESSAGE_BYTES_MAX: usize = 65 << 20;

/// Largest encoded path. A store's keys stay well below a page.
pub const PATH_BYTES_MAX: usize = 2048;

/// Most components of a path: collection, key, field, element, and room for nested maps.
pub const PATH_COMPONENTS_MAX: usize = 16;

/// Largest payload of one local write.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// Most bytes of paths and payloads in one local transaction.
pub const TRANSACTION_BYTES_MAX: usize = 16 << 20;

/// Most writes in one local transaction.
pub const TRANSACTION_WRITES_MAX: usize = 100_000;

/// Most live dots that a local write may leave at its path. Merging has no such limit.
pub const SIBLINGS_MAX: usize = 64;

/// Most incarnations that a vector lists on the wire: 64 writing members, each with a long history of restores.
pub const VECTOR_ENTRIES_MAX: usize = 16_384;

/// Most final seqs in a table of closed incarnations: a thousand a day for a year and more, in 24 MB.
pub const CLOSED_ENTRIES_MAX: usize = 1 << 20;

/// Longest text in a control message: names, addresses, reasons.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Most addresses in a hello: every interface of a host, and some names.
pub const ADDRESSES_MAX: usize = 16;

/// Most namespaces in one message.
pub const NAMESPACES_MAX: usize = 1024;

/// Most dots of one path on the wire, live and deleted. An incarnation overwrites its own earlier dot, so a
/// path has at most one live dot of each, and of its delete dots those that a later dot of the same
/// incarnation follows need not travel ([`crate::wire::RowsWriter::push`]): no honest history exceeds it.
pub const ROW_DOTS_MAX: usize = VECTOR_ENTRIES_MAX;

/// Largest body of a message of numbered entries, which are eight times as large in memory: 4,096 of any size
/// fit. Whoever has more to say says it in several.
pub const NUMBERED_BYTES_MAX: usize = 64 << 10;

/// Largest body of a message of compared ranges, which are a few times as large in memory.
pub const COMPARED_BYTES_MAX: usize = 64 << 10;

/// Most bytes of the ends of all ranges in one message, each counted in full: what they share with each other
/// travels once, but is in memory as often.
pub const COMPARED_ENDS_BYTES_MAX: usize = 256 << 10;

/// Most ranges in one message, and most items in one range: what the bytes allow.
pub const COMPARED_ITEMS_MAX: usize = 32 << 10;

/// Most writes in one answer to a recall: whoever wants to know of more asks again.
pub const RECALLED_WRITES_MAX: usize = 64;

/// Most successions in one message: a node that rotates its key every month for two and a half years. Of more than that
/// the latest are told, and the receiver knows those before.
pub const SUCCESSIONS_MAX: usize = 32;

/// Most members that have a number on a link: as many as links in an answer to a survey, and for the same reason.
/// Of more than that some are numbered anew.
pub const MEMBERS_NUMBERED_MAX: usize = 1024;

/// Most links in a node's answer to a survey: all of the largest mesh that is foreseen.
pub const SURVEYED_LINKS_MAX: usize = 1024;

/// Most origins in a node's answer to a survey: every member of that mesh writes.
pub const SURVEYED_ORIGINS_MAX: usize = 1024;
