//! Under which incarnation this node writes: whether the store continues where its last boot stopped (R5).
//!
//! Only the lease can tell. That every member answers and none holds more proves that nothing is known of
//! what a lost folder had written; it does not prove that nobody goes on writing under the same incarnation,
//! cut off from all of them: a copy of the folder would, and both would issue the same dots. So without a
//! lease that matches, the open incarnation ends before anything is written.

use super::commit::Pending;
use super::engine::Engine;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::Job;

impl Engine {
    /// Ends the incarnation that an earlier boot has left open, unless a lease proves that this boot
    /// continues it.
    pub(super) fn check_continuity(&mut self) {
        let is_continued = self.config.is_continuous || planted!("continuity is proven");
        if self.heads.open.is_some() && !is_continued {
            sometimes!(RenewedWithoutLease);
            self.end_incarnation();
        }
    }

    /// Ends the open incarnation, before any write or batch that comes after. What peers hold of it beyond
    /// this store comes back as anybody's dots.
    pub(super) fn end_incarnation(&mut self) {
        tracing::debug!("the open incarnation ends: the next write opens another one");
        self.closed = self.heads.open.take();
        self.submit(Pending::Note, Job::Close);
    }
}
