//! The stream of changes, and how it is asked for.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use millpond_core::VersionVector;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Replica;
use crate::changes::producer::{BATCHES_AHEAD, End, Item, Plan, Producer};
use crate::changes::{ChangeEvent, ChangeFilter, RowKind};
use crate::records::{self, RECORDS, RecordError, Token};

/// Follows what changes on a replica: first the rows that there are, then each change as it is committed, without a
/// gap. Its methods say what to follow, and from where; then it is a [`Stream`]. Dropping it ends it.
///
/// ```
/// use millpond::{ChangeEvent, Config, Replica, records};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let config = Config::new(folder.path().join("todo"));
/// # Replica::init(&config)?;
/// let db = Replica::open(config).await?;
/// let milk = "todo/milk".parse()?;
/// let fields = records::Document::parse(r#"{"title": "Buy milk"}"#)?;
/// records::write(&db, move |tx| tx.put(&milk, &fields)).await?;
///
/// let mut changes = db.changes().collection("todo");
/// let mut token = None;
/// while token.is_none() {
///     match changes.next().await.expect("the replica is open")? {
///         ChangeEvent::Change(change) => println!("{} is {:?}", change.id, change.after),
///         ChangeEvent::Cut(cut) => token = Some(cut), // all that there is has been told
///         ChangeEvent::Lagged { resume } => changes = db.changes().collection("todo").since(resume),
///         ChangeEvent::Resync | _ => println!("what was told before is void"),
///     }
/// }
/// # db.close().await;
/// # Ok(())
/// # }
/// ```
///
/// **Cuts.** Changes come in cuts, each ended by [`ChangeEvent::Cut`] with a token: a transaction is never split
/// over two, and within one each record comes once. The first cut comes at once, even if it is empty.
///
/// **A slow reader** gets fewer, larger cuts, and nothing grows meanwhile. What it so does not see of a record is
/// marked ([`Change::collapsed`](crate::Change::collapsed)). One that takes nothing for half a minute while there is
/// something for it is told [`ChangeEvent::Lagged`], and the stream ends.
///
/// **Resuming.** A token goes on at any replica of the domain. One that does not have yet what the reader has seen
/// waits for it; after ten seconds, or when deletes are forgotten that the reader lacks, it says
/// [`ChangeEvent::Resync`] and begins anew.
///
/// **Errors.** [`RecordError::Unreadable`] is of one record, which another type or
/// version wrote, and the stream goes on; any other error is the last item. It also ends when the replica is closed.
pub struct Changes<R = records::Record> {
    state: State<R>,
    waiting: VecDeque<Item<R>>,
}

enum State<R> {
    /// Not asked for anything yet.
    Planned(Box<Plan<R>>),
    Running {
        inbox: mpsc::Receiver<Vec<Item<R>>>,
        task: JoinHandle<End>,
    },
    Over,
}

impl Replica {
    /// Follows what changes, from the rows that there are on: see [`Changes`].
    pub fn changes(&self) -> Changes {
        Changes::of(self, RECORDS)
    }
}

impl<R: Send + 'static> Changes<R> {
    pub(crate) fn of(replica: &Replica, kind: RowKind<R>) -> Self {
        let plan = Plan {
            replica: replica.clone(),
            filter: ChangeFilter::default(),
            kind,
            since: VersionVector::new(),
            tells_before: true,
            patience: PATIENCE,
            stall: STALL,
            #[cfg(feature = "http")]
            held_open: None,
        };
        Self { state: State::Planned(Box::new(plan)), waiting: VecDeque::new() }
    }

    /// Only records of this collection.
    #[must_use]
    pub fn collection(self, name: impl Into<String>) -> Self {
        self.planned(|plan| plan.filter.collection = Some(name.into()))
    }

    /// Only records whose keys start so.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.planned(|plan| plan.filter.prefix = prefix.into())
    }

    /// Only records of this key.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.planned(|plan| plan.filter.key = Some(key.into()))
    }

    /// Begins after a token instead of with all rows.
    #[must_use]
    pub fn since(self, token: Token) -> Self {
        self.planned(|plan| plan.since = token.0)
    }

    /// Begins with what changes from this call on.
    #[must_use]
    pub fn from_now(self) -> Self {
        self.planned(|plan| plan.since = plan.replica.committed().latest())
    }

    /// Does not tell what records were before, which costs a read of each.
    #[must_use]
    pub fn without_before(self) -> Self {
        self.planned(|plan| plan.tells_before = false)
    }

    /// How long to wait for what the reader has seen at another replica, before it begins anew here: ten seconds.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        self.planned(|plan| plan.patience = patience)
    }

    /// After how long a reader that takes nothing has lagged: half a minute.
    #[must_use]
    pub fn stall(self, stall: Duration) -> Self {
        self.planned(|plan| plan.stall = stall)
    }

    /// Keeps something for as long as there is something to tell.
    #[cfg(feature = "http")]
    pub(crate) fn holding(self, what: impl Send + 'static) -> Self {
        self.planned(|plan| plan.held_open = Some(Box::new(what)))
    }

    /// What comes next; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<ChangeEvent<R>, RecordError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn planned(mut self, change: impl FnOnce(&mut Plan<R>)) -> Self {
        if let State::Planned(plan) = &mut self.state {
            change(plan);
        }
        self
    }

    /// The last item, if there is one.
    fn end(&mut self, end: End) -> Option<Item<R>> {
        self.state = State::Over;
        match end {
            End::Closed => None,
            End::Lagged(resume) => Some(Ok(ChangeEvent::Lagged { resume })),
            End::Failed(error) => Some(Err(error)),
        }
    }
}

impl<R: Send + 'static> Stream for Changes<R> {
    type Item = Result<ChangeEvent<R>, RecordError>;

    /// # Panics
    /// At the first call outside of a tokio runtime.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item<R>>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.waiting.pop_front() {
                return Poll::Ready(Some(item));
            }
            match &mut this.state {
                State::Planned(_) => this.start(),
                State::Running { inbox, task } => match ready!(inbox.poll_recv(cx)) {
                    Some(batch) => this.waiting.extend(batch),
                    None => {
                        let end = match ready!(Pin::new(task).poll(cx)) {
                            Ok(end) => end,
                            Err(failed) if failed.is_panic() => {
                                std::panic::resume_unwind(failed.into_panic())
                            }
                            Err(_) => End::Closed,
                        };
                        return Poll::Ready(this.end(end));
                    }
                },
                State::Over => return Poll::Ready(None),
            }
        }
    }
}

impl<R: Send + 'static> Changes<R> {
    fn start(&mut self) {
        let State::Planned(plan) = std::mem::replace(&mut self.state, State::Over) else { return };
        let (outbox, inbox) = mpsc::channel(BATCHES_AHEAD);
        let task = tokio::spawn(Producer::new(*plan, outbox).run());
        self.state = State::Running { inbox, task };
    }
}

/// Rows wait in a queue, where nothing relies on their staying in place.
impl<R> Unpin for Changes<R> {}

impl<R> std::fmt::Debug for Changes<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

/// Longer than a link that works is behind.
const PATIENCE: Duration = Duration::from_secs(10);
/// A reader that takes nothing for so long is gone, or will come back with its token.
const STALL: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    /// Never called: it compiles, or not.
    fn all_can_be_spawned(replica: &Replica, mut changes: Changes) {
        is_send(&changes.next());
        is_send(&replica.presence());
        is_send(&replica.caught_up());
        is_send(&replica.synced_with(replica.key()));
        is_send(&replica.conflicts(None));
    }

    #[test]
    fn streams_and_waits_can_be_spawned() {
        let _: fn(&Replica, Changes) = all_can_be_spawned;
    }
}
