//! Writing: transactions, and what their caller gets for them.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use millpond_core::{Dot, VersionVector};

use super::Replica;
use crate::closure::{guarded, is_in_closure};
use crate::replication::{Answer, Request};
use crate::state::{WriteError, WriteTx};

/// A transaction that is committed and, on a durable replica, on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Its last dot; `None` when it changed nothing.
    pub dot: Option<Dot>,
    /// This replica's vector with it: a replica that covers it shows the transaction.
    pub vv: VersionVector,
}

impl Replica {
    /// Runs a transaction: a short synchronous closure, on the writer's thread. All that it writes becomes
    /// visible at once, here and on every other replica; it is on disk when this returns.
    ///
    /// The closure may fail with an error of its own, which is passed on. The closure may be dropped unrun when
    /// the replica closes. A write whose future is dropped may still happen.
    ///
    /// # Errors
    /// What the closure returned, or any [`WriteError`]; then nothing was written.
    ///
    /// # Panics
    /// When the closure does; then nothing was written, and the replica goes on.
    pub async fn write<T: Send + 'static, E: From<WriteError> + Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, Receipt), E> {
        if is_in_closure() {
            return Err(WriteError::Nested.into());
        }
        let outcome = Arc::new(Mutex::new(None));
        let (closure, outcome) = (guarded(closure, outcome.clone()), outcome);
        let answer = self.inner.engine.ask(Request::Write(closure)).await;
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (outcome, answer) {
            (Some(Err(panic)), _) => resume_unwind(panic),
            (Some(Ok(Err(refusal))), _) => Err(refusal),
            (Some(Ok(Ok(value))), Some(Answer::Written(Ok((dot, vv))))) => {
                Ok((value, Receipt { dot, vv }))
            }
            (_, Some(Answer::Written(Err(error)))) => Err(error.into()),
            _ => Err(WriteError::Closed.into()),
        }
    }
}
