//! The kinds of frames. A number is never given twice.

/// The version of most kinds.
pub const VERSION: u8 = 1;

/// [`Message::Hello`](crate::message::Message::Hello).
pub const HELLO: u16 = 1;
/// [`Message::Introduce`](crate::message::Message::Introduce).
pub const INTRODUCE: u16 = 2;
/// [`Message::Pull`](crate::message::Message::Pull).
pub const PULL: u16 = 3;
/// [`Message::PullStart`](crate::message::Message::PullStart).
pub const PULL_START: u16 = 4;
/// [`Message::Rows`](crate::message::Message::Rows).
pub const ROWS: u16 = 5;
/// [`Message::PullEnd`](crate::message::Message::PullEnd).
pub const PULL_END: u16 = 6;
/// [`Message::PullRefused`](crate::message::Message::PullRefused).
pub const PULL_REFUSED: u16 = 7;
/// [`Message::Feed`](crate::message::Message::Feed).
pub const FEED: u16 = 8;
/// [`Message::Behind`](crate::message::Message::Behind).
pub const BEHIND: u16 = 9;
/// [`Message::Push`](crate::message::Message::Push).
pub const PUSH: u16 = 10;
/// [`Message::Digest`](crate::message::Message::Digest).
pub const DIGEST: u16 = 11;
/// [`Message::Ack`](crate::message::Message::Ack).
pub const ACK: u16 = 12;
/// [`Message::Credit`](crate::message::Message::Credit).
pub const CREDIT: u16 = 13;
/// A piece of a message that is longer than a frame: a byte that says which piece, then a slice of what
/// would be the whole frame.
pub const FRAGMENT: u16 = 14;

/// [`Message::Names`](crate::message::Message::Names).
pub const NAMES: u16 = 15;
/// [`Message::Announce`](crate::message::Message::Announce).
pub const ANNOUNCE: u16 = 16;
/// [`Message::Graft`](crate::message::Message::Graft).
pub const GRAFT: u16 = 17;
/// [`Message::Prune`](crate::message::Message::Prune).
pub const PRUNE: u16 = 18;
/// [`Message::Terms`](crate::message::Message::Terms).
pub const TERMS: u16 = 19;
/// [`Message::Survey`](crate::message::Message::Survey).
pub const SURVEY: u16 = 20;
/// [`Message::Surveyed`](crate::message::Message::Surveyed).
pub const SURVEYED: u16 = 21;
/// [`Message::Compare`](crate::message::Message::Compare).
pub const COMPARE: u16 = 23;
/// [`Message::CompareAccept`](crate::message::Message::CompareAccept).
pub const COMPARE_ACCEPT: u16 = 24;
/// [`Message::CompareRefused`](crate::message::Message::CompareRefused).
pub const COMPARE_REFUSED: u16 = 25;
/// [`Message::Ranges`](crate::message::Message::Ranges).
pub const RANGES: u16 = 26;
/// [`Message::PullCompared`](crate::message::Message::PullCompared).
pub const PULL_COMPARED: u16 = 27;
/// [`Message::Recall`](crate::message::Message::Recall).
pub const RECALL: u16 = 28;
/// [`Message::Recalled`](crate::message::Message::Recalled).
pub const RECALLED: u16 = 29;
/// [`Message::Words`](crate::message::Message::Words).
pub const WORDS: u16 = 30;

/// [`Message::Closed`](crate::message::Message::Closed).
pub const CLOSED: u16 = 32;
/// [`Message::ClosedHeld`](crate::message::Message::ClosedHeld).
pub const CLOSED_HELD: u16 = 33;
/// [`Message::Hurry`](crate::message::Message::Hurry).
pub const HURRY: u16 = 34;

/// [`Message::Succession`](crate::message::Message::Succession).
pub const SUCCESSION: u16 = 36;

/// The version in which a kind is spoken: of [`ROWS`] the second; of [`PULL_START`], [`DIGEST`] and [`ACK`] the
/// second, too, which took the place of the first before any release.
pub const fn version(kind: u16) -> u8 {
    match kind {
        ROWS | PULL_START | DIGEST | ACK => 2,
        _ => VERSION,
    }
}

/// The version of a kind whose vectors are relative to a table of closed incarnations, if it has vectors.
pub const fn relative_version(kind: u16) -> Option<u8> {
    match kind {
        PULL_START => Some(3),
        HELLO | PULL | FEED | PUSH | COMPARE | COMPARE_ACCEPT | PULL_COMPARED => Some(2),
        _ => None,
    }
}

/// Whether this version reads frames of that kind and version; all others are skipped.
pub const fn is_known(kind: u16, version: u8) -> bool {
    // Backups hold rows of the first version.
    let is_old = kind == ROWS && version == 1;
    let is_kind = matches!(kind, HELLO..=SURVEYED | COMPARE..=WORDS | CLOSED..=HURRY | SUCCESSION);
    is_kind && (version == self::version(kind) || is_old || is_relative(kind, version))
}

/// Whether the vectors of such a frame are relative.
pub(super) const fn is_relative(kind: u16, version: u8) -> bool {
    matches!(relative_version(kind), Some(relative) if relative == version)
}
