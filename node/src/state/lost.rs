//! What stands in for content that a disk has lost.
//!
//! The log still tells which dots live in a damaged value, and at which paths. So the value is replaced at once
//! by entries of those dots, without their content. From then on causality works there as everywhere: what
//! others write over a lost dot removes it, and what they write beside it joins. Only content is missing, so
//! nobody reads such an entry, no user writes over it, and it is not served: see [`StoreError::Lost`]. A peer
//! that has the content gives it back ([`Mend`](super::Mend)).

use bytes::Bytes;
use millpond_core::{Dot, Entry, Hlc, LiveDot, Path, Payload, PayloadKind};

use crate::store::StoreError;

/// The dot without its content.
pub(crate) fn stand_in(dot: Dot) -> LiveDot {
    let payload = Payload { kind: PayloadKind::LOST, bytes: Bytes::new() };
    LiveDot { dot, hlc: Hlc::from_ms(0), payload }
}

/// Whether the content of a live dot is lost.
pub(crate) fn is_lost(live: &LiveDot) -> bool {
    live.payload.kind == PayloadKind::LOST
}

/// Whether an entry has content for a dot.
pub(crate) fn has_content(entry: &Entry, dot: Dot) -> bool {
    entry.live().iter().any(|live| live.dot == dot && !is_lost(live))
}

/// The entry, if nothing of it is lost.
///
/// # Errors
/// [`StoreError::Lost`].
pub(crate) fn whole(path: &Path, entry: Entry) -> Result<Entry, StoreError> {
    match entry.live().iter().any(is_lost) {
        true => Err(StoreError::Lost { path: path.to_string() }),
        false => Ok(entry),
    }
}
