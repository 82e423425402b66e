//! A stream of conflicts: those that there are, then what becomes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use millpond_core::Dot;
use tokio::sync::mpsc;

use crate::conflicts::Conflict;
use crate::records::{Field, FieldVersion, Record, RecordError, RecordId, Token};
use crate::{Change, ChangeEvent, Changes, Replica};

/// Follows the conflicts of a replica: first those that there are, then each as it arises, gets a further value, or
/// ends. It is made of the stream of changes ([`Changes`]), and its cuts, tokens, slow readers and errors are that
/// one's. Its methods say what to follow; then it is a [`Stream`]. Dropping it ends it.
///
/// ```
/// use millpond::{ConflictEvent, Replica};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let db = Replica::builder_in_memory().offline().open().await?;
/// let mut conflicts = db.follow_conflicts().collection("todo");
/// while let Some(event) = conflicts.next().await {
///     match event? {
///         ConflictEvent::Arisen(conflict) => println!("{} {}", conflict.id, conflict.field),
///         ConflictEvent::Ended { id, field } => println!("{id} {field} is settled"),
///         ConflictEvent::Cut(_token) => break, // all that there are have been told
///         _ => {}
///     }
/// }
/// # db.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Conflicts {
    state: State,
}

enum State {
    Planned { replica: Replica, changes: Box<Changes> },
    Running(mpsc::Receiver<Result<ConflictEvent, RecordError>>),
}

/// What a reader of conflicts is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConflictEvent {
    /// What the reader knows is void, and all conflicts that there are follow: see [`ChangeEvent::Resync`].
    Resync,
    /// A field is in conflict, or is so with other values than before.
    Arisen(Conflict),
    /// A field is in conflict no more. Not told to a reader that resumes for what ended while it was away.
    Ended {
        /// Of which record.
        id: RecordId,
        /// Which field.
        field: String,
    },
    /// All that is in conflict at this moment has been told. Going on from the token misses nothing.
    Cut(Token),
    /// The reader took too long, and the stream ends. Whoever goes on from the token misses nothing.
    Lagged {
        /// The last whole cut.
        resume: Token,
    },
}

impl Replica {
    /// Follows the conflicts, from those that there are on: see [`Conflicts`].
    pub fn follow_conflicts(&self) -> Conflicts {
        let changes = Box::new(self.changes());
        Conflicts { state: State::Planned { replica: self.clone(), changes } }
    }
}

impl Conflicts {
    /// Only those of this collection.
    #[must_use]
    pub fn collection(self, name: impl Into<String>) -> Self {
        self.planned(|changes| changes.collection(name))
    }

    /// Only those of records whose keys start so.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.planned(|changes| changes.prefix(prefix))
    }

    /// Only those of records of this key.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.planned(|changes| changes.key(key))
    }

    /// Begins after a token instead of with all that there are. What has changed since and is in conflict is told.
    #[must_use]
    pub fn since(self, token: Token) -> Self {
        self.planned(|changes| changes.since(token))
    }

    /// Begins with those that arise from this call on.
    #[must_use]
    pub fn from_now(self) -> Self {
        self.planned(Changes::from_now)
    }

    /// After how long a reader that takes nothing has lagged: half a minute.
    #[must_use]
    pub fn stall(self, stall: Duration) -> Self {
        self.planned(|changes| changes.stall(stall))
    }

    /// Keeps something for as long as there is something to tell.
    #[cfg(feature = "http")]
    pub(crate) fn holding(self, what: impl Send + 'static) -> Self {
        self.planned(|changes| changes.holding(what))
    }

    /// What comes next; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<ConflictEvent, RecordError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn planned(self, change: impl FnOnce(Changes) -> Changes) -> Self {
        match self.state {
            State::Planned { replica, changes } => {
                let changes = Box::new(change(*changes));
                Self { state: State::Planned { replica, changes } }
            }
            state @ State::Running(_) => Self { state },
        }
    }
}

impl Stream for Conflicts {
    type Item = Result<ConflictEvent, RecordError>;

    /// # Panics
    /// At the first call outside of a tokio runtime.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let State::Planned { .. } = &self.state {
            let (outbox, inbox) = mpsc::channel(EVENTS_AHEAD);
            if let State::Planned { replica, changes } =
                std::mem::replace(&mut self.state, State::Running(inbox))
            {
                tokio::spawn(follow(replica, *changes, outbox));
            }
        }
        match &mut self.state {
            State::Running(inbox) => inbox.poll_recv(cx),
            State::Planned { .. } => unreachable!("it was started"),
        }
    }
}

impl std::fmt::Debug for Conflicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conflicts").finish_non_exhaustive()
    }
}

/// Tells what changes mean for conflicts, until the reader or the changes end.
async fn follow(
    replica: Replica,
    mut changes: Changes,
    outbox: mpsc::Sender<Result<ConflictEvent, RecordError>>,
) {
    // The first cut is told though it be empty: then all has been told. Later ones only where they matter, or after a
    // while, so that a token does not age.
    let mut cuts_untold = CUTS_UNTOLD_MAX;
    loop {
        let told = tokio::select! {
            () = outbox.closed() => return,
            told = changes.next() => told,
        };
        let events = match told {
            None => return,
            Some(Err(error)) => vec![Err(error)],
            Some(Ok(ChangeEvent::Resync)) => {
                cuts_untold = CUTS_UNTOLD_MAX;
                vec![Ok(ConflictEvent::Resync)]
            }
            Some(Ok(ChangeEvent::Lagged { resume })) => vec![Ok(ConflictEvent::Lagged { resume })],
            Some(Ok(ChangeEvent::Cut(token))) if cuts_untold >= CUTS_UNTOLD_MAX => {
                cuts_untold = 0;
                vec![Ok(ConflictEvent::Cut(token))]
            }
            Some(Ok(ChangeEvent::Cut(_))) => {
                cuts_untold += 1;
                continue;
            }
            Some(Ok(ChangeEvent::Change(change))) => {
                let events = of_change(&replica, change).await;
                if !events.is_empty() {
                    cuts_untold = CUTS_UNTOLD_MAX;
                }
                events
            }
        };
        for event in events {
            if outbox.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// What a change of a record means for its conflicts.
async fn of_change(
    replica: &Replica,
    change: Change<Record>,
) -> Vec<Result<ConflictEvent, RecordError>> {
    let before: BTreeMap<&str, &Field> =
        change.before.row().into_iter().flat_map(Record::conflicts).collect();
    let after: BTreeMap<&str, &Field> = change.after.iter().flat_map(Record::conflicts).collect();
    let id = change.id.clone();
    let ended = before.keys().filter(|name| !after.contains_key(*name));
    let mut events: Vec<Result<ConflictEvent, RecordError>> = ended
        .map(|&name| Ok(ConflictEvent::Ended { id: id.clone(), field: name.to_owned() }))
        .collect();
    let is_new = |name: &str, field: &Field| {
        before.get(name).is_none_or(|before| dots(before) != dots(field))
    };
    let arisen: Vec<(String, Field)> = after
        .into_iter()
        .filter(|(name, field)| is_new(name, field))
        .map(|(name, field)| (name.to_owned(), field.clone()))
        .collect();
    if arisen.is_empty() {
        return events;
    }
    let authors = arisen.iter().flat_map(|(_, field)| &field.versions);
    let known = replica.known(authors.map(FieldVersion::author).collect()).await;
    let arisen = arisen.into_iter().map(|(name, field)| {
        Ok(ConflictEvent::Arisen(known.conflict(replica, id.clone(), name, field)))
    });
    events.extend(arisen);
    events
}

fn dots(field: &Field) -> BTreeSet<Dot> {
    field.versions.iter().flat_map(|version| version.dots()).copied().collect()
}

/// Events that may wait for the reader.
const EVENTS_AHEAD: usize = 16;
/// A reader that resumes looks again at what this many cuts have changed, which costs little.
const CUTS_UNTOLD_MAX: u32 = 256;
