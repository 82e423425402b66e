//! Planted bugs: each rule of replication has one line of production code that upholds it, and that line
//! asks [`planted!`] whether a test has taken the rule out. A test of a rule runs its interleaving twice:
//! it must end well with the rule, and badly without, or it proves nothing.

/// Whether the rule of this name is taken out: never, outside this crate's tests.
#[cfg(not(test))]
macro_rules! planted {
    ($rule:literal) => {
        false
    };
}

#[cfg(test)]
macro_rules! planted {
    ($rule:literal) => {
        $crate::planted::is_taken_out($rule)
    };
}

pub(crate) use planted;

#[cfg(test)]
thread_local! {
    static TAKEN_OUT: std::cell::RefCell<&'static [&'static str]> =
        const { std::cell::RefCell::new(&[]) };
}

#[cfg(test)]
pub(crate) fn is_taken_out(rule: &str) -> bool {
    TAKEN_OUT.with_borrow(|rules| rules.contains(&rule))
}

/// Runs something without these rules, on this thread.
#[cfg(test)]
pub(crate) fn without<T>(rules: &'static [&'static str], run: impl FnOnce() -> T) -> T {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            TAKEN_OUT.set(&[]);
        }
    }
    TAKEN_OUT.set(rules);
    let _restore = Restore;
    run()
}
