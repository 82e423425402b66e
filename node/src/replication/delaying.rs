//! The delay of a delayed replica: when what it has received is shown, and who says otherwise.

use super::commit::Pending;
use super::engine::Engine;
use super::{Answer, DelayOrder, Output, RequestId};
use crate::planted::planted;
use crate::probes::sometimes;
use crate::replica::DelayError;
use crate::state::{Arrival, DelayMode, Due, Heads, Job, JobError, Outcome};
use crate::status::DelayStatus;

/// What the engine knows of its own delay.
#[derive(Debug, Default)]
pub(super) struct Delaying {
    /// The node's own time when this boot began.
    base_ms: u64,
    /// What was so when the job under way was given.
    applying: Option<(Option<u64>, DelayMode)>,
    /// When to look again after a job that came to nothing.
    retry_ms: u64,
}

impl Delaying {
    /// At the start of a boot. The node's own time goes on where it was last noted: it may lose some, and
    /// gains none.
    pub(super) fn new(heads: &Heads, wall_ms: u64) -> Self {
        let noted_ms = heads.delayed.as_ref().map_or(0, |it| it.clock_ms);
        let base_ms = match planted!("a restart shows nothing early") {
            true => wall_ms,
            false => noted_ms,
        };
        Self { base_ms, applying: None, retry_ms: 0 }
    }
}

impl Engine {
    /// Whether readers see what was here some time ago.
    pub(super) fn is_delayed(&self) -> bool {
        self.heads.delay().is_some()
    }

    /// The job, with the time of its arrival if that matters.
    pub(super) fn with_arrival(&self, job: Job) -> Job {
        let is_plain = matches!(
            job,
            Job::Local(_) | Job::Meta(_) | Job::Close | Job::Show(_) | Job::Delay(_) | Job::At(..)
        );
        if is_plain || !self.is_delayed() {
            return job;
        }
        Job::At(self.arrival(), Some(Box::new(job)))
    }

    fn arrival(&self) -> Arrival {
        let (clock_ms, wall_ms) = (self.own_clock_ms(), self.now.wall_ms);
        Arrival { clock_ms, wall_ms, is_shown: self.is_fresh() }
    }

    /// Milliseconds during which this node ran, as far as was noted.
    fn own_clock_ms(&self) -> u64 {
        self.delaying.base_ms + (self.now.mono_ms - self.started_ms)
    }

    fn apply_after_ms(&self) -> u64 {
        self.config.apply_after_ms.unwrap_or(0)
    }

    /// When the oldest record is due, on the node's own clock.
    fn due_clock_ms(&self) -> Option<u64> {
        let oldest_ms = self.heads.delay()?.oldest_ms?;
        Some(oldest_ms.saturating_add(self.apply_after_ms()))
    }

    pub(super) fn run_delay(&mut self) {
        let Some(delayed) = self.heads.delay() else { return };
        let (mode, oldest_ms, noted_ms) = (delayed.mode, delayed.oldest_ms, delayed.clock_ms);
        if self.delaying.applying.is_some() || self.now.mono_ms < self.delaying.retry_ms {
            return;
        }
        let clock_ms = self.own_clock_ms();
        let due = match mode {
            DelayMode::Until { wall_ms } => Some(Due::Wall(wall_ms)),
            DelayMode::Running => self
                .due_clock_ms()
                .filter(|&due_ms| {
                    due_ms <= clock_ms || planted!("what is delayed is not shown early")
                })
                .map(|_| Due::Clock(clock_ms.saturating_sub(self.apply_after_ms()))),
            DelayMode::Paused | DelayMode::Promoted => None,
        };
        if let Some(due) = due {
            self.delaying.applying = Some((oldest_ms, mode));
            self.submit(Pending::Show, Job::Show(due));
        } else if oldest_ms.is_some() && clock_ms >= noted_ms + NOTE_MS {
            // However it ends, the next boot waits no longer than needed by much.
            self.delaying.retry_ms = self.now.mono_ms + NOTE_MS;
            self.submit(Pending::Note, Job::At(self.arrival(), None));
        }
    }

    pub(super) fn next_delay_ms(&self) -> u64 {
        let Some(delayed) = self.heads.delay() else { return u64::MAX };
        if self.delaying.applying.is_some() {
            return u64::MAX;
        }
        let clock_ms = self.own_clock_ms();
        let in_ms = |at_ms: u64| self.now.mono_ms + at_ms.saturating_sub(clock_ms);
        let due_ms = match delayed.mode {
            DelayMode::Until { .. } => self.now.mono_ms,
            DelayMode::Running => self.due_clock_ms().map_or(u64::MAX, in_ms),
            DelayMode::Paused | DelayMode::Promoted => u64::MAX,
        };
        let note_ms = delayed.oldest_ms.map(|_| in_ms(delayed.clock_ms + NOTE_MS));
        due_ms.min(note_ms.unwrap_or(u64::MAX)).max(self.delaying.retry_ms)
    }

    /// Records were applied, or not.
    pub(super) fn shown(&mut self, result: &Result<Outcome, JobError>) {
        let before = self.delaying.applying.take();
        let now = self.heads.delayed.as_ref().map(|it| (it.oldest_ms, it.mode));
        if result.is_err() || before == now {
            self.delaying.retry_ms = self.now.mono_ms + RETRY_MS;
        }
    }

    /// Something was committed: readers may see more.
    pub(super) fn tell_shown(&mut self, before: &Heads) {
        let (was, is) = (before.shown(), self.heads.shown());
        if was != is || before.vv(was) != self.heads.vv(is) {
            let vv = self.heads.vv(is).clone();
            self.emit(Output::Shown { vv });
        }
        if was != is {
            self.members_changed();
        }
    }

    /// The operator says what becomes of what waits.
    pub(super) fn order_delay(&mut self, id: RequestId, order: DelayOrder) {
        let mode = match self.delay_mode(order) {
            Ok(mode) => mode,
            Err(error) => return self.answer(id, Answer::Delay(Err(error))),
        };
        self.submit(Pending::Delay { id }, Job::Delay(mode));
    }

    /// It is recorded what becomes of what waits, or not.
    pub(super) fn delay_ordered(&mut self, id: RequestId, result: Result<(), JobError>) {
        // A note of the time may have put off the next look.
        self.delaying.retry_ms = 0;
        let done = result.map_err(|error| match error {
            JobError::NotDelayed => DelayError::NotDelayed,
            other => DelayError::NotRecorded(other.to_string()),
        });
        self.answer(id, Answer::Delay(done));
    }

    fn delay_mode(&self, order: DelayOrder) -> Result<DelayMode, DelayError> {
        let delayed = self.heads.delay().ok_or(DelayError::NotDelayed)?;
        match order {
            DelayOrder::Pause => Ok(DelayMode::Paused),
            DelayOrder::Resume => Ok(DelayMode::Running),
            DelayOrder::Promote => Ok(DelayMode::Promoted),
            DelayOrder::ApplyUntil(wall_ms) if wall_ms > self.now.wall_ms => {
                Err(DelayError::Future)
            }
            DelayOrder::ApplyUntil(wall_ms) if wall_ms < delayed.shown_wall_ms => {
                Err(DelayError::Past)
            }
            DelayOrder::ApplyUntil(wall_ms) => {
                sometimes!(AppliedUntil);
                Ok(DelayMode::Until { wall_ms })
            }
        }
    }

    /// The delay, for people.
    pub(super) fn delay_status(&self) -> Option<DelayStatus> {
        let delayed = self.heads.delay()?;
        let age_ms = |at_ms| self.own_clock_ms().saturating_sub(at_ms);
        Some(DelayStatus {
            apply_after_s: self.apply_after_ms() / 1000,
            is_paused: matches!(delayed.mode, DelayMode::Paused),
            shown_wall_ms: Some(delayed.shown_wall_ms).filter(|&ms| ms > 0),
            oldest_waiting_s: delayed.oldest_ms.map(|at_ms| age_ms(at_ms) / 1000),
        })
    }
}

/// How often the node's own time is noted while something waits for it.
const NOTE_MS: u64 = 10_000;
/// When to look again for what is due and cannot be shown yet: a cut is being folded, or the disk is full.
const RETRY_MS: u64 = 1_000;
