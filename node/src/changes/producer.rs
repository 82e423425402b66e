//! The task behind a stream of changes.

use std::ops::ControlFlow;
use std::time::Duration;

use millpond_core::VersionVector;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::changes::{ChangeEvent, ChangeFilter, RowKind, Walk, can_tell_since};
use crate::records::{RecordError, Token};
use crate::replication::Request;
use crate::state::View;
use crate::{Commits, Replica};

/// What a stream yields.
pub(super) type Item<R> = Result<ChangeEvent<R>, RecordError>;

/// What a reader asks for.
pub(super) struct Plan<R> {
    pub(super) replica: Replica,
    pub(super) filter: ChangeFilter,
    pub(super) kind: RowKind<R>,
    /// What the reader has seen.
    pub(super) since: VersionVector,
    pub(super) tells_before: bool,
    pub(super) patience: Duration,
    pub(super) stall: Duration,
    /// Dropped when there is nothing more to tell.
    #[cfg(feature = "http")]
    pub(super) held_open: Option<Box<dyn Send>>,
}

/// Why a stream ends.
pub(super) enum End {
    /// The replica was closed, or the reader is gone.
    Closed,
    /// The reader took too long.
    Lagged(Token),
    /// The store cannot be read.
    Failed(RecordError),
}

/// Makes cuts of what is committed, at the reader's pace.
pub(super) struct Producer<R> {
    plan: Plan<R>,
    commits: Commits,
    /// As it was at the last cut.
    held: Option<View>,
    /// Whether the reader has had a cut.
    has_begun: bool,
    outbox: mpsc::Sender<Vec<Item<R>>>,
}

impl<R: Send + 'static> Producer<R> {
    pub(super) fn new(plan: Plan<R>, outbox: mpsc::Sender<Vec<Item<R>>>) -> Self {
        let commits = plan.replica.committed();
        Self { plan, commits, held: None, has_begun: false, outbox }
    }

    pub(super) async fn run(mut self) -> End {
        if !self.has_arrived().await {
            return End::Closed;
        }
        loop {
            let seen = self.commits.latest();
            if !(self.has_begun && self.plan.since.covers_all(&seen)) {
                // Until the reader takes what it was told the next cut grows, at no cost.
                match timeout(self.plan.stall, self.outbox.reserve()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) => return End::Closed,
                    Err(_) => return self.lagged(),
                }
                let cutting = tokio::task::spawn_blocking(move || {
                    let cut = self.cut();
                    (self, cut)
                });
                match cutting.await {
                    Ok((producer, Ok(ControlFlow::Continue(())))) => self = producer,
                    Ok((_, Ok(ControlFlow::Break(end)))) => return end,
                    Ok((_, Err(error))) => return End::Failed(error),
                    Err(failed) if failed.is_panic() => {
                        std::panic::resume_unwind(failed.into_panic())
                    }
                    Err(_) => return End::Closed,
                }
            }
            tokio::select! {
                () = self.outbox.closed() => return End::Closed,
                changed = self.commits.changed() => if changed.is_err() { return End::Closed },
            }
        }
    }

    /// Waits until this replica has what the reader has seen elsewhere, for else the reader would go back in time
    /// and miss what it goes back over. False when there is nobody to tell any more.
    async fn has_arrived(&mut self) -> bool {
        let (since, patience) = (&self.plan.since, self.plan.patience);
        if self.commits.latest().covers_all(since) {
            return true;
        }
        let timeout_ms = patience.min(FETCHING).as_millis() as u64;
        let fetching = Request::AwaitShown { vv: since.clone(), timeout_ms };
        let fetching = async {
            self.plan.replica.ask(fetching).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.outbox.closed() => false,
            () = fetching => false,
            arrived = timeout(patience, self.commits.covers(since)) => !matches!(arrived, Ok(Err(_))),
        }
    }

    fn lagged(&self) -> End {
        End::Lagged(Token(self.plan.since.clone()))
    }

    /// Tells all changes up to now, then the token.
    fn cut(&mut self) -> Result<ControlFlow<End>, RecordError> {
        let view = self.plan.replica.read()?;
        let resume = Token(self.plan.since.clone());
        let mut outlet = Outlet {
            outbox: &self.outbox,
            commits: self.commits.clone(),
            stall: self.plan.stall,
            batch: Vec::new(),
            bytes: 0,
            is_late: false,
        };
        let mut flow = ControlFlow::Continue(());
        // A vector falls when this node's key was used twice: what it had written before comes again, as new.
        let is_here = view.vv().covers_all(&self.plan.since);
        if !(is_here && can_tell_since(&view, &self.plan.since)?) {
            self.plan.since = VersionVector::new();
            self.held = None;
            flow = outlet.tell(Ok(ChangeEvent::Resync), 0);
        }
        if flow.is_continue() {
            let (since, before) = (&self.plan.since, self.held.as_ref());
            let (filter, kind) = (&self.plan.filter, self.plan.kind);
            Walk { view: &view, since, before, filter, kind }.visit(&mut |change, bytes| {
                flow = outlet.tell(change.map(ChangeEvent::Change), bytes);
                flow
            })?;
        }
        if flow.is_continue() {
            self.plan.since = view.vv().clone();
            flow = outlet.tell(Ok(ChangeEvent::Cut(Token(self.plan.since.clone()))), 0);
        }
        if flow.is_continue() {
            flow = outlet.flush();
        }
        self.has_begun = true;
        self.held = self.plan.tells_before.then_some(view);
        Ok(match flow {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(()) if outlet.is_late => ControlFlow::Break(End::Lagged(resume)),
            ControlFlow::Break(()) => ControlFlow::Break(End::Closed),
        })
    }
}

/// The way to the reader, for a blocking thread. Holds some items back, since each handing over costs a wake-up.
struct Outlet<'a, R> {
    outbox: &'a mpsc::Sender<Vec<Item<R>>>,
    commits: Commits,
    stall: Duration,
    batch: Vec<Item<R>>,
    /// About what the batch takes.
    bytes: usize,
    /// Whether the reader took too long.
    is_late: bool,
}

impl<R> Outlet<'_, R> {
    /// Breaks when the reader is gone or takes too long, or the replica is closed.
    fn tell(&mut self, item: Item<R>, bytes: usize) -> ControlFlow<()> {
        self.batch.push(item);
        self.bytes += bytes;
        let is_full = self.batch.len() >= ITEMS_AT_ONCE || self.bytes >= BYTES_AT_ONCE;
        if is_full { self.flush() } else { ControlFlow::Continue(()) }
    }

    fn flush(&mut self) -> ControlFlow<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let (outbox, commits, stall) = (self.outbox, &mut self.commits, self.stall);
        // The snapshot behind the cut keeps old pages of the store alive: not for ever.
        let sent = Handle::current().block_on(async {
            tokio::select! {
                () = commits.ended() => None,
                sent = timeout(stall, outbox.send(batch)) => Some(sent),
            }
        });
        self.is_late = matches!(sent, Some(Err(_)));
        let is_sent = matches!(sent, Some(Ok(Ok(()))));
        if is_sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// The engine keeps a place for who waits, also when it has given up.
const FETCHING: Duration = Duration::from_secs(60);
/// Of some hundred bytes each: far above the cost of handing them over.
const ITEMS_AT_ONCE: usize = 64;
/// Of values, beyond which a batch is handed over: what waits for a reader is some times this, and some of the
/// largest records.
const BYTES_AT_ONCE: usize = 32 * 1024;
/// Batches that may wait for the reader.
pub(super) const BATCHES_AHEAD: usize = 4;
