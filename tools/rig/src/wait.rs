//! Waiting for what other processes do.

use std::io;
use std::time::{Duration, Instant};

/// Looks at a condition until it holds.
///
/// # Errors
/// It does not hold within [`DEADLINE`]; the error names it.
pub fn until(what: &str, holds: impl FnMut() -> bool) -> io::Result<()> {
    until_within(DEADLINE, what, holds)
}

/// Looks at a condition until it holds.
///
/// # Errors
/// It does not hold within this time; the error names it.
pub fn until_within(
    patience: Duration,
    what: &str,
    mut holds: impl FnMut() -> bool,
) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() > deadline {
            let text = format!("not within {patience:?}: {what}");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        look_again();
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "other processes' conditions can only be polled")]
fn look_again() {
    std::thread::sleep(INTERVAL);
}

/// No condition takes so long on a machine that works.
pub const DEADLINE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(10);
