//! Which rules are taken out now, on this thread.

use std::cell::Cell;

use super::all_planted;

thread_local! {
    static TAKEN_OUT: Cell<&'static [&'static str]> = const { Cell::new(&[]) };
    static MET: Cell<bool> = const { Cell::new(false) };
}

/// Whether a rule is taken out. With none taken out, which is nearly always, it costs one look.
#[inline]
pub(crate) fn is_taken_out(rule: &str) -> bool {
    let rules = TAKEN_OUT.get();
    let is_taken_out = !rules.is_empty() && rules.contains(&rule);
    if is_taken_out {
        MET.set(true);
    }
    is_taken_out
}

/// Runs something without these rules, on this thread.
///
/// # Panics
/// On a rule that [`all_planted`] does not tell of: nothing would be taken out.
pub(crate) fn without<T>(rules: &'static [&'static str], run: impl FnOnce() -> T) -> T {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            TAKEN_OUT.set(&[]);
        }
    }
    for rule in rules {
        assert!(all_planted().any(|bug| bug.rules.contains(rule)), "there is no rule {rule:?}");
    }
    TAKEN_OUT.set(rules);
    MET.set(false);
    let _restore = Restore;
    run()
}

/// Whether a rule that was taken out was asked for since the latest [`without`] began: a bug that survives
/// was either not noticed or never met.
pub(crate) fn met() -> bool {
    MET.get()
}
