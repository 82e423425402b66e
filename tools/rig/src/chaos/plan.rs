//! What happens to nodes and wires, and when: drawn from a seed before anything starts.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

/// What happens to one node. Whatever it is, it is over before the next thing happens to that node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// `kill -9`, and started again later.
    Killed,
    /// `SIGSTOP`, and `SIGCONT` later: it notices nothing but the time.
    Frozen,
    /// `SIGTERM`, and started again later.
    Ended,
}

/// What happens to wires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing arrives in either direction.
    Both(usize, usize),
    /// Nothing arrives at the second of the two.
    OneWay(usize, usize),
    /// The first of the two sees that there is no way.
    Down(usize, usize),
    /// Nothing arrives between these nodes and all others.
    Split(Vec<usize>),
}

/// Something that happens, and when it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Episode<T> {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) what: T,
}

/// All that happens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each node, one after the other.
    pub(super) fates: Vec<Vec<Episode<Fate>>>,
    /// By their beginnings. A wire that is mended is mended, by however many it was cut.
    pub(super) cuts: Vec<Episode<Cut>>,
}

impl Plan {
    /// The plan of a seed. All of it is over when this time is.
    pub(super) fn draw(seed: u64, nodes: usize, duration: Duration) -> Self {
        let mut random = Random::new(seed);
        let fates = (0..nodes)
            .map(|_| {
                episodes(&mut random.split(), duration, NODE_REST, |random| {
                    match random.below(10) {
                        0 => Fate::Ended,
                        1..=4 => Fate::Frozen,
                        _ => Fate::Killed,
                    }
                })
            })
            .collect();
        let mut cuts = Vec::new();
        for second in 0..nodes {
            for first in 0..second {
                cuts.extend(episodes(
                    &mut random.split(),
                    duration,
                    WIRE_REST,
                    |random| match random.below(5) {
                        0 => Cut::OneWay(first, second),
                        1 => Cut::OneWay(second, first),
                        2 => Cut::Down(first, second),
                        _ => Cut::Both(first, second),
                    },
                ));
            }
        }
        cuts.extend(episodes(&mut random.split(), duration, SPLIT_REST, |random| {
            // Of more than half the others are the part.
            let count = 1 + random.below((nodes as u64 / 2).max(1));
            let first = random.below(nodes as u64);
            Cut::Split((first..first + count).map(|node| node as usize % nodes).collect())
        }));
        cuts.sort_by_key(|episode| episode.from);
        Self { fates, cuts }
    }
}

/// Episodes of one thing, with rests between them.
fn episodes<T>(
    random: &mut Random,
    duration: Duration,
    rest: Duration,
    mut what: impl FnMut(&mut Random) -> T,
) -> Vec<Episode<T>> {
    // In a short run there is little time, and as much must happen.
    let rest = rest.min(duration / 3);
    let mut episodes = Vec::new();
    let mut from = random.between(Duration::ZERO, rest);
    while from < duration {
        let what = what(random);
        let to = from + length(random).min(duration / 4).min(duration - from);
        episodes.push(Episode { from, to, what });
        from = to + random.between(rest / 10, 2 * rest);
    }
    episodes
}

/// Mostly over before anybody notices; sometimes links are given up, and rarely members.
fn length(random: &mut Random) -> Duration {
    let (least_ms, most_ms) = match random.below(100) {
        0..45 => (0, 300),
        45..80 => (300, 6_000),
        80..97 => (8_000, 30_000),
        _ => (80_000, 120_000),
    };
    random.between(Duration::from_millis(least_ms), Duration::from_millis(most_ms))
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "is killed",
            Self::Frozen => "is frozen",
            Self::Ended => "is ended",
        })
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Both(first, second) => {
                write!(f, "cut between node-{} and node-{}", first + 1, second + 1)
            }
            Self::OneWay(from, to) => write!(f, "cut from node-{} to node-{}", from + 1, to + 1),
            Self::Down(first, second) => {
                write!(f, "taken down at node-{} to node-{}", first + 1, second + 1)
            }
            Self::Split(part) => {
                let part: Vec<String> = part.iter().map(|it| format!("node-{}", it + 1)).collect();
                write!(f, "split off: {}", part.join(", "))
            }
        }
    }
}

/// Between two things that happen to a node, about.
const NODE_REST: Duration = Duration::from_secs(9);
/// Between two cuts of a wire, about.
const WIRE_REST: Duration = Duration::from_secs(15);
/// Between two splits, about.
const SPLIT_REST: Duration = Duration::from_secs(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_all_of_it_is_over_in_time() {
        let duration = Duration::from_secs(20 * 60);
        let plan = Plan::draw(7, 5, duration);
        assert_eq!(plan, Plan::draw(7, 5, duration));
        assert_ne!(plan, Plan::draw(8, 5, duration));
        assert_eq!(plan.fates.len(), 5);
        for fates in &plan.fates {
            assert!(fates.len() > 50, "{}", fates.len());
            assert!(fates.windows(2).all(|pair| pair[0].to < pair[1].from), "one after the other");
            assert!(fates.iter().all(|it| it.from <= it.to && it.to <= duration));
        }
        assert!(plan.cuts.iter().all(|it| it.from <= it.to && it.to <= duration));
        assert!(plan.cuts.iter().any(|it| matches!(&it.what, Cut::Split(part) if part.len() == 2)));
        let longest = plan.fates.iter().flatten().map(|it| it.to - it.from).max();
        assert!(longest > Some(Duration::from_secs(60)), "longer than members are waited for");
    }

    #[test]
    fn much_happens_in_a_short_time() {
        let plan = Plan::draw(1, 5, Duration::from_secs(20));
        assert!(plan.fates.iter().all(|fates| !fates.is_empty()));
        assert!(plan.cuts.len() > 10);
    }
}
