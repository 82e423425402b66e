//! Probes: what the code says of itself to those who test it.
//!
//! | probe | says | in tests and the simulator | in what ships |
//! |---|---|---|---|
//! | [`sometimes!`] | this rare case is worth reaching | counts; a full run fails on one never hit | nothing |
//! | [`always!`] | an invariant of ours holds | panics | logs an error, once, and goes on |
//! | [`never!`] | no honest peer brings us here | notes it; a run of honest peers fails | logs, and goes on |
//!
//! What would corrupt state if it went on is no probe but an `assert!`. The condition of [`always!`] is
//! evaluated in what ships too, so it is cheap, and no peer can break it. [`never!`] stands where a peer's
//! input is refused, so it does not panic: tests of hostile peers pass there on purpose.

/// Counts how often a rare case is met.
#[cfg(any(test, feature = "sim"))]
macro_rules! sometimes {
    ($probe:ident) => {
        $crate::probes::hit($crate::probes::Probe::$probe)
    };
    ($condition:expr, $probe:ident) => {
        if $condition {
            $crate::probes::hit($crate::probes::Probe::$probe);
        }
    };
}

#[cfg(not(any(test, feature = "sim")))]
macro_rules! sometimes {
    ($probe:ident) => {{}};
    ($condition:expr, $probe:ident) => {
        if false {
            let _ = $condition;
        }
    };
}

/// States an invariant of ours, in one sentence.
#[cfg(any(test, feature = "sim"))]
macro_rules! always {
    ($holds:expr, $invariant:literal) => {
        assert!($holds, "not so: {}", $invariant)
    };
}

#[cfg(not(any(test, feature = "sim")))]
macro_rules! always {
    ($holds:expr, $invariant:literal) => {
        if !$holds {
            static TOLD: std::sync::Once = std::sync::Once::new();
            TOLD.call_once(|| tracing::error!(invariant = $invariant, "an invariant is broken"));
        }
    };
}

/// Says, in one sentence, what a peer has done that no honest peer does.
#[cfg(any(test, feature = "sim"))]
macro_rules! never {
    ($what:literal) => {
        $crate::probes::note_never($what)
    };
}

#[cfg(not(any(test, feature = "sim")))]
macro_rules! never {
    ($what:literal) => {
        tracing::debug!(what = $what, "a peer does what no honest peer does")
    };
}

pub(crate) use {always, never, sometimes};

#[cfg(any(test, feature = "sim"))]
#[allow(unused_imports, reason = "some are the simulator's")]
pub(crate) use {
    counts::{hit, hits, note_never, reset, take_never},
    list::Probe,
};

#[cfg(any(test, feature = "sim"))]
#[allow(dead_code, reason = "some of it is the simulator's")]
mod counts;
#[cfg(any(test, feature = "sim"))]
mod list;
