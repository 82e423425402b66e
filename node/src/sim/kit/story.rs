//! What is told when a test fails: the seed, how to repeat it, and what happened.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::rc::{Rc, Weak};
use std::sync::Once;
use std::{env, panic, thread};

/// What has happened to a cluster.
pub(super) struct Story {
    pub(super) seed: u64,
    /// The latest of it, and when it was.
    told: VecDeque<(u64, String)>,
    /// How much has been left out.
    forgotten: usize,
}

impl Story {
    /// The story of a new cluster: it is told first, should this thread panic while the cluster is there.
    pub(super) fn begin(seed: u64) -> Rc<RefCell<Self>> {
        static TELLS: Once = Once::new();
        TELLS.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                if let Some(story) = LATEST.with_borrow(Weak::upgrade)
                    && let Ok(story) = story.try_borrow()
                {
                    eprint!("{story}");
                }
                before(panic);
            }));
        });
        let story = Self { seed, told: VecDeque::new(), forgotten: 0 };
        let story = Rc::new(RefCell::new(story));
        LATEST.set(Rc::downgrade(&story));
        story
    }

    /// One thing more.
    pub(super) fn tell(&mut self, at_ms: u64, what: String) {
        if self.told.len() == TOLD_MAX {
            self.told.pop_front();
            self.forgotten += 1;
        }
        self.told.push_back((at_ms, what));
    }
}

impl Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        write!(f, "millpond: seed {seed} fails; repeat it by {SEED_VARIABLE}={seed}")?;
        // The harness of tests names its threads after them.
        let thread = thread::current();
        match thread.name().filter(|name| *name != "main") {
            Some(test) => writeln!(f, " cargo test {test}")?,
            None => writeln!(f)?,
        }
        if self.forgotten > 0 {
            writeln!(f, "            {} things before", self.forgotten)?;
        }
        self.told.iter().try_for_each(|(at_ms, what)| writeln!(f, "{at_ms:>10} ms  {what}"))
    }
}

/// The seed of the environment.
///
/// # Panics
/// When it is no number: no other one is taken for it.
pub(super) fn chosen_seed() -> Option<u64> {
    let text = env::var(SEED_VARIABLE).ok()?;
    let seed = text.trim().parse();
    Some(seed.unwrap_or_else(|_| {
        panic!("{SEED_VARIABLE} is `{text}`, which is no seed: it is a number")
    }))
}

thread_local! {
    static LATEST: RefCell<Weak<RefCell<Story>>> = const { RefCell::new(Weak::new()) };
}

/// The environment variable that has the seed.
const SEED_VARIABLE: &str = "MILLPOND_SEED";
/// How much is told: what came before is rarely the cause, and a screen has so many lines.
const TOLD_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_comes_first_and_then_the_latest_of_what_happened() {
        let story = Story::begin(7);
        for count in 0..TOLD_MAX + 2 {
            story.borrow_mut().tell(count as u64, format!("thing {count}"));
        }
        let text = story.borrow().to_string();
        assert!(text.starts_with("millpond: seed 7 fails; repeat it by MILLPOND_SEED=7"), "{text}");
        assert!(text.contains("the_seed_comes_first"), "the test is named: {text}");
        assert!(text.contains("2 things before\n         2 ms  thing 2\n"), "{text}");
    }
}
