//! What becomes due, of all that the engine does.

use super::engine::Engine;

impl Engine {
    /// When the next of it is.
    pub(super) fn find_deadline_ms(&self) -> u64 {
        [
            self.next_dial_ms(),
            self.next_progress_ms(),
            self.next_hold_ms(),
            self.next_session_ms(),
            self.next_pull_ms(),
            self.next_fold_ms(),
            self.next_building_ms(),
            self.next_supply_ms(),
            self.next_graft_ms(),
            self.next_announcement_ms(),
            self.next_survey_ms(),
            self.fence_again_ms,
            self.next_collection_ms(),
            self.next_closing_ms(),
            self.next_rotation_ms(),
            self.next_rehab_ms(),
            self.next_delay_ms(),
            self.next_comparison_ms(),
            self.next_verify_ms(),
            self.next_asked_refresh_ms(),
            self.next_concern_ms(),
            self.next_bookmark_ms(),
        ]
        .into_iter()
        .min()
        .unwrap_or(u64::MAX)
    }

    /// Whatever is due is done.
    pub(super) fn run_deadlines(&mut self) {
        self.run_sessions();
        self.run_pulls();
        self.run_supplies();
        self.run_progress();
        self.run_holds();
        self.run_grafts();
        self.run_dials();
        self.run_surveys();
        self.run_fence();
        self.run_collection();
        self.run_closing();
        self.run_rotation();
        self.run_rehab();
        self.run_delay();
        self.run_comparisons();
        self.run_verify();
        self.run_asked_refreshes();
        self.run_concerns();
        self.run_bookmarks();
    }
}
