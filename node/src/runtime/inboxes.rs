//! What comes to the engine's task, in turns: frames of bulk lanes wait for all else.

use tokio::sync::mpsc::Receiver;

/// Two inboxes: for everything, and for what comes on bulk lanes. A catch-up fills the second one, and what is small does
/// not stand behind it; each turn takes some of both, so neither waits for ever.
pub(super) struct Inboxes<T> {
    events: Receiver<T>,
    bulk: Receiver<T>,
    /// How many of each this turn may still take.
    events_left: usize,
    bulk_left: usize,
}

impl<T> Inboxes<T> {
    pub(super) fn new(events: Receiver<T>, bulk: Receiver<T>) -> Self {
        Self { events, bulk, events_left: 0, bulk_left: 0 }
    }

    /// Waits for what a turn begins with; `None` when one of them is closed. Cancel-safe.
    pub(super) async fn first(&mut self) -> Option<T> {
        let first = tokio::select! {
            biased;
            event = self.events.recv() => event,
            frame = self.bulk.recv() => frame,
        };
        (self.events_left, self.bulk_left) = (EVENTS_AT_ONCE, BULK_FRAMES_AT_ONCE);
        first
    }

    /// What else the turn takes of what is there.
    pub(super) fn more(&mut self) -> Option<T> {
        take(&mut self.events, &mut self.events_left)
            .or_else(|| take(&mut self.bulk, &mut self.bulk_left))
    }
}

fn take<T>(inbox: &mut Receiver<T>, left: &mut usize) -> Option<T> {
    *left = left.checked_sub(1)?;
    inbox.try_recv().ok()
}

/// Events of a turn: commits and frames group.
const EVENTS_AT_ONCE: usize = 256;
/// Frames of bulk lanes after them: some milliseconds' work.
const BULK_FRAMES_AT_ONCE: usize = 8;

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{Sender, channel};

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Came {
        Event,
        Bulk,
    }

    fn fill(inbox: &Sender<Came>, came: Came, count: usize) {
        (0..count).for_each(|_| inbox.try_send(came).unwrap());
    }

    async fn turn(inboxes: &mut Inboxes<Came>) -> [usize; 2] {
        let first = inboxes.first().await.into_iter();
        let turn: Vec<Came> = first.chain(std::iter::from_fn(|| inboxes.more())).collect();
        assert!(turn.is_sorted_by_key(|came| *came == Came::Bulk), "{turn:?}");
        [Came::Event, Came::Bulk].map(|of| turn.iter().filter(|came| **came == of).count())
    }

    #[tokio::test]
    async fn what_is_small_does_not_stand_behind_a_catch_up() {
        let ((events, inbox), (bulk, bulk_inbox)) = (channel(1_000), channel(1_000));
        let mut inboxes = Inboxes::new(inbox, bulk_inbox);
        fill(&bulk, Came::Bulk, 100);
        fill(&events, Came::Event, 3);
        assert_eq!(turn(&mut inboxes).await, [3, BULK_FRAMES_AT_ONCE]);
        fill(&events, Came::Event, 1);
        assert_eq!(turn(&mut inboxes).await, [1, BULK_FRAMES_AT_ONCE]);
    }

    #[tokio::test]
    async fn neither_waits_for_ever() {
        let ((events, inbox), (bulk, bulk_inbox)) = (channel(1_000), channel(1_000));
        let mut inboxes = Inboxes::new(inbox, bulk_inbox);
        fill(&events, Came::Event, 1_000);
        fill(&bulk, Came::Bulk, 20);
        for bulk in [BULK_FRAMES_AT_ONCE, BULK_FRAMES_AT_ONCE, 20 - 2 * BULK_FRAMES_AT_ONCE] {
            assert_eq!(turn(&mut inboxes).await, [EVENTS_AT_ONCE + 1, bulk]);
        }
    }
}
