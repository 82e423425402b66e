//! Writing: transactions, and how their callers wait for them.

use std::future::IntoFuture;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::PoisonError;

use super::Replica;
use super::concerned::Concerned;
use super::receipt::{ConcernNotMet, Receipt};
use crate::closure::{Outcome, guarded, is_in_closure};
use crate::concern::{Acks, Concern};
use crate::replication::{Answer, Request, Wanted};
use crate::state::{LocalClosure, WriteError, WriteTx};

/// A transaction that begins when it is awaited; made by [`Replica::write`].
#[must_use = "nothing is written before it is awaited"]
pub struct Write<'r, T, E> {
    replica: &'r Replica,
    closure: LocalClosure,
    outcome: Outcome<T, E>,
    min_connected: usize,
}

/// A transaction that waits for other members' acks; made by [`Write::concern`].
pub type ConcernedWrite<'r, T, E> = Concerned<Write<'r, T, E>>;

/// A write with a concern was refused, or has not heard of enough acks in time. The two are no more alike than a
/// letter that was not sent and one that was not answered.
#[derive(Debug)]
pub enum ConcernError<T, E> {
    /// Nothing was written, for this reason.
    NotWritten(E),
    /// It **is written** here, and stays; whether enough others hold it is unknown so far.
    NotMet {
        /// What the closure returned.
        value: T,
        /// The receipt, who has acknowledged, who is late.
        unmet: ConcernNotMet,
    },
}

/// A write that waits to be carried out.
type Writing<'r, R> = Pin<Box<dyn Future<Output = R> + Send + 'r>>;

impl Replica {
    /// Runs a transaction: a short synchronous closure, on the writer's thread, or, in memory, as part of a task of
    /// the runtime: there it must not block. All that it writes becomes visible at once, here and on every other
    /// replica; it is on disk when this returns.
    ///
    /// The closure may fail with an error of its own, which is passed on. The closure may be dropped unrun when
    /// the replica closes. A write whose future is dropped may still happen.
    ///
    /// Awaited as it is, it waits for this node's disk alone; [`Write::concern`] makes it wait for other members
    /// as well.
    ///
    /// # Errors
    /// What the closure returned, or any [`WriteError`]; then nothing was written.
    ///
    /// # Panics
    /// When the closure does; then nothing was written, and the replica goes on.
    pub fn write<T: Send + 'static, E: From<WriteError> + Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Write<'_, T, E> {
        let outcome = Outcome::default();
        let closure = guarded(closure, outcome.clone());
        Write { replica: self, closure, outcome, min_connected: 0 }
    }
}

impl<'r, T: Send + 'static, E: From<WriteError> + Send + 'static> Write<'r, T, E> {
    /// Waits, once it is on disk here, until these members have it as well: on their disks, unless
    /// [`Concerned::received`] or [`Concerned::applied`] says otherwise.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use millpond::records::{RecordId, write};
    /// use millpond::{Concern, ConcernError, Replica};
    ///
    /// # let db = Replica::builder_in_memory().offline().open().await?;
    /// let poll = RecordId::new("polls", "lunch")?;
    /// let write = write(&db, move |tx| tx.count(&poll, "votes", 1));
    /// match write.concern(Concern::Replicas(1)).timeout(Duration::from_millis(50)).await {
    ///     Ok((_, receipt)) => println!("{}", receipt.acks),
    ///     // It is written here, and stays: it may be on its way to others.
    ///     Err(ConcernError::NotMet { unmet, .. }) => {
    ///         println!("{unmet}");
    ///         let again = unmet.receipt.wait_for(Concern::Replicas(1));
    ///         assert!(again.timeout(Duration::from_millis(50)).await.is_err(), "nobody else is there");
    ///     }
    ///     Err(ConcernError::NotWritten(error)) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn concern(self, concern: Concern) -> ConcernedWrite<'r, T, E> {
        Concerned::new(self, concern)
    }

    /// Writes nothing, and fails with [`WriteError::TooFewConnected`], unless so many other members are linked
    /// whose acks would count. They may be gone a moment later: to be sure that they hold it takes a concern.
    pub fn min_connected(mut self, members: usize) -> Self {
        self.min_connected = members;
        self
    }

    async fn run(self, wanted: Option<Wanted>) -> Result<(T, Receipt, bool), E> {
        if is_in_closure() {
            return Err(WriteError::Nested.into());
        }
        let Self { replica, closure, outcome, min_connected } = self;
        let request = match (min_connected, wanted) {
            (0, None) => Request::Write(closure),
            (min_connected, wanted) => Request::WriteWith { closure, min_connected, wanted },
        };
        let answer = replica.ask(request).await;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, answer) {
            (Some(Err(panic)), _) => resume_unwind(panic),
            (Some(Ok(Err(refusal))), _) => Err(refusal),
            (Some(Ok(Ok(value))), Some(Answer::Written(Ok((dot, vv))))) => {
                Ok((value, Receipt::new(replica, dot, vv, Acks::default()), true))
            }
            (Some(Ok(Ok(value))), Some(Answer::Stored { dot, vv, waited })) => {
                let receipt = Receipt::new(replica, Some(dot), vv, waited.acks);
                Ok((value, receipt, waited.is_met))
            }
            (_, Some(Answer::Written(Err(error)))) => Err(error.into()),
            _ => Err(WriteError::Closed.into()),
        }
    }
}

impl<'r, T: Send + 'static, E: From<WriteError> + Send + 'static> IntoFuture for Write<'r, T, E> {
    type Output = Result<(T, Receipt), E>;
    type IntoFuture = Writing<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.run(None).await.map(|(value, receipt, _)| (value, receipt)) })
    }
}

impl<'r, T, E> IntoFuture for ConcernedWrite<'r, T, E>
where
    T: Send + 'static,
    E: From<WriteError> + Send + 'static,
{
    /// The receipt says who has acknowledged.
    type Output = Result<(T, Receipt), ConcernError<T, E>>;
    type IntoFuture = Writing<'r, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let wanted = self.wanted();
            let Self { subject: write, concern, level, .. } = self;
            match write.run(Some(wanted)).await {
                Ok((value, receipt, true)) => Ok((value, receipt)),
                Ok((value, receipt, false)) => {
                    let unmet = ConcernNotMet { receipt, concern, level };
                    Err(ConcernError::NotMet { value, unmet })
                }
                Err(error) => Err(ConcernError::NotWritten(error)),
            }
        })
    }
}

impl<T, E: std::fmt::Display> std::fmt::Display for ConcernError<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotWritten(error) => error.fmt(f),
            Self::NotMet { unmet, .. } => unmet.fmt(f),
        }
    }
}

impl<T: std::fmt::Debug, E: std::error::Error> std::error::Error for ConcernError<T, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotWritten(error) => error.source(),
            Self::NotMet { .. } => None,
        }
    }
}
