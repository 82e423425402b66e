//! Panics inside runs: a finding like any other, so they are caught, and told without a backtrace.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics inside runs from being printed, for the life of the process: a run's [`Failure`] says where
/// they were and what they said.
///
/// [`Failure`]: super::Failure
pub fn silence_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !IS_RUNNING.get() {
            return before(panic);
        }
        let place = panic.location().map(|it| format!(" at {} line {}", it.file(), it.line()));
        PLACE.set(place);
    }));
}

/// Runs something; a panic becomes its failure.
pub(super) fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    PLACE.set(None);
    IS_RUNNING.set(true);
    let ended = catch_unwind(AssertUnwindSafe(run));
    IS_RUNNING.set(false);
    ended.unwrap_or_else(|panic| {
        let place = PLACE.take().unwrap_or_default();
        Err(format!("panic{place}: {}", words(&*panic)))
    })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "without words".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_with_its_words() {
        let failed: Result<(), String> = caught(|| panic!("seven of {}", 9));
        let failed = failed.unwrap_err();
        assert!(failed.starts_with("panic") && failed.ends_with(": seven of 9"), "{failed}");
        assert_eq!(caught(|| Ok(4)), Ok(4));
    }
}
