//! How much of each limit is used.

use super::engine::Engine;
use crate::limits::{self, COMPARISONS_MAX, INVITES_MAX, PENDING_MAX, SUPPLIES_MAX, SURVEYS_MAX};
use crate::status::LimitStatus;

impl Engine {
    /// All limits: those first of which something is used by the number, or can be.
    pub(super) fn limit_statuses(&self) -> Vec<LimitStatus> {
        use millpond_core::limits::{CLOSED_ENTRIES_MAX, VECTOR_ENTRIES_MAX};
        let sizes = &self.config.limits;
        let vectors = self.heads.vv.values().map(|vv| vv.len());
        let waiting = self.inboxes.values().map(|inbox| inbox.waiting_bytes());
        let measured = [
            ("members", sizes.members, self.members.iter().count()),
            ("links", sizes.members, self.links.len()),
            ("links that have not said hello", sizes.strangers, self.strangers()),
            ("nodes that wait for approval", PENDING_MAX, self.invites.waiting_count()),
            ("invites that are remembered", INVITES_MAX, self.invites.count()),
            ("incarnations in a vector", VECTOR_ENTRIES_MAX, vectors.max().unwrap_or(0)),
            ("incarnations that are closed", CLOSED_ENTRIES_MAX, self.closing.current().len()),
            ("bytes of recent writes", sizes.ring_bytes, self.ring.bytes()),
            ("bytes that wait for others", sizes.waiting_bytes, waiting.max().unwrap_or(0)),
            ("catch-ups supplied at once", SUPPLIES_MAX, self.supplies.len()),
            ("comparisons at once", COMPARISONS_MAX, self.comparisons.len()),
            ("surveys that are remembered", SURVEYS_MAX, self.surveys.count()),
        ];
        let measured = measured
            .map(|(what, limit, used)| LimitStatus::new(what, limit as u64, Some(used as u64)));
        measured.into_iter().chain(limits::unmeasured()).collect()
    }

    /// Links that others made, whose hello has not come, or was not welcome yet.
    pub(super) fn strangers(&self) -> usize {
        self.links.values().filter(|link| !link.dialed && !link.is_open()).count()
    }
}
