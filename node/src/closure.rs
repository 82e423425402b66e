//! A user's closure at the writer: what it returns, or that it panicked, is handed back beside the
//! commit.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::state::{LocalClosure, WriteError, WriteTx};

/// What became of a closure; `None` until it has run.
pub(crate) type Outcome<T, E> = Arc<Mutex<Option<thread::Result<Result<T, E>>>>>;

/// The closure as the writer takes it. What it returns goes to `outcome`; whatever is no success makes the
/// transaction come to nothing.
pub(crate) fn guarded<T: Send + 'static, E: Send + 'static>(
    closure: impl FnOnce(&mut WriteTx<'_>) -> Result<T, E> + Send + 'static,
    outcome: Outcome<T, E>,
) -> LocalClosure {
    Box::new(move |tx| {
        IS_IN_CLOSURE.set(true);
        // The transaction is dropped if the closure panics: nobody sees it half done.
        let result = catch_unwind(AssertUnwindSafe(|| closure(tx)));
        IS_IN_CLOSURE.set(false);
        let refused = match &result {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(WriteError::Rejected("the transaction gave up".into())),
            Err(_) => Err(WriteError::Rejected("the transaction panicked".into())),
        };
        *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        refused
    })
}

/// Whether this thread is running a transaction's closure: another write would wait for it for ever.
pub(crate) fn is_in_closure() -> bool {
    IS_IN_CLOSURE.get()
}

thread_local! {
    static IS_IN_CLOSURE: Cell<bool> = const { Cell::new(false) };
}
