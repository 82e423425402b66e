//! How far nodes are from each other.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The round trips between nodes, which are the same in both directions.
///
/// What is kept is the way in one direction, in whole milliseconds and at least one: half of the round trip
/// that was asked for, rounded up. So a round trip is always an even number.
///
/// ```
/// use millpond::sim::mesh::RoundTrips;
///
/// let round_trips = RoundTrips::random(8, 1);
/// assert_eq!(round_trips.one_way_ms(2, 5), round_trips.one_way_ms(5, 2));
/// assert!(round_trips.max_round_trip_ms() <= 200);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<u32>>", into = "Vec<Vec<u32>>")]
pub struct RoundTrips {
    /// In the row of a node the way to each node of a lower number.
    one_way_ms: Vec<Vec<u32>>,
}

/// Rows that are no half of a matrix, or a way of no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no round trips: row {row} must hold {row} times of at least 1 ms")]
pub struct NoRoundTrips {
    /// The row.
    pub row: usize,
}

impl RoundTrips {
    /// Each round trip by chance, from 5 to 200 ms. A way over a third node is often the shorter one.
    pub fn random(nodes: usize, seed: u64) -> Self {
        Self::draw(nodes, seed, |_, _| (5, 200))
    }

    /// So many regions of so many nodes each, one after another: node `n` is in region `n / each`. Round trips
    /// are 1 to 10 ms within a region and 60 to 200 ms between regions.
    pub fn regions(regions: usize, each: usize, seed: u64) -> Self {
        let within = |a: usize, b: usize| a / each == b / each;
        Self::draw(regions * each, seed, |a, b| if within(a, b) { (1, 10) } else { (60, 200) })
    }

    /// The same round trip between all.
    pub fn equal(nodes: usize, ms: u32) -> Self {
        Self::draw(nodes, 0, |_, _| (ms, ms))
    }

    /// For how many nodes.
    pub fn nodes(&self) -> usize {
        self.one_way_ms.len()
    }

    /// How long a message takes from one node to another; nothing to itself.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn one_way_ms(&self, a: usize, b: usize) -> u64 {
        let (high, low) = (a.max(b), a.min(b));
        let row = &self.one_way_ms[high];
        if high == low { 0 } else { row[low].into() }
    }

    /// How long a message and its answer take.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn round_trip_ms(&self, a: usize, b: usize) -> u64 {
        2 * self.one_way_ms(a, b)
    }

    /// The longest round trip; none of less than two nodes.
    pub fn max_round_trip_ms(&self) -> u64 {
        self.one_way_ms.iter().flatten().max().map_or(0, |&ms| 2 * u64::from(ms))
    }

    /// The shortest way from each node to each other, over any nodes between: the row of a node holds how
    /// many milliseconds it is to each node. No protocol is faster. Takes time with the cube of the nodes.
    pub fn shortest_paths(&self) -> Vec<Vec<u32>> {
        self.shortest_paths_over(|_, _| true)
    }

    /// The same over those links only that there are, asked for each pair once, higher number first;
    /// `u32::MAX` where no way leads.
    pub fn shortest_paths_over(&self, is_linked: impl Fn(usize, usize) -> bool) -> Vec<Vec<u32>> {
        let nodes = self.nodes();
        let mut paths = vec![vec![u32::MAX; nodes]; nodes];
        for (a, row) in self.one_way_ms.iter().enumerate() {
            paths[a][a] = 0;
            for (b, &ms) in row.iter().enumerate().filter(|(b, _)| is_linked(a, *b)) {
                (paths[a][b], paths[b][a]) = (ms, ms);
            }
        }
        // Floyd and Warshall: after its turn, a node may be on the way.
        for middle in 0..nodes {
            let from_middle = paths[middle].clone();
            for path in &mut paths {
                let to_middle = path[middle];
                for (ms, &further) in path.iter_mut().zip(&from_middle) {
                    *ms = (*ms).min(to_middle.saturating_add(further));
                }
            }
        }
        paths
    }

    fn draw(nodes: usize, seed: u64, range: impl Fn(usize, usize) -> (u32, u32)) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7472_6970);
        let mut one_way = |a, b| {
            let (least, most) = range(a, b);
            let round_trip = least + rng.next_u32() % (most - least + 1);
            round_trip.div_ceil(2).max(1)
        };
        let one_way_ms = (0..nodes).map(|a| (0..a).map(|b| one_way(a, b)).collect()).collect();
        Self { one_way_ms }
    }
}

impl TryFrom<Vec<Vec<u32>>> for RoundTrips {
    type Error = NoRoundTrips;

    fn try_from(one_way_ms: Vec<Vec<u32>>) -> Result<Self, NoRoundTrips> {
        let is_wrong =
            |(row, times): &(usize, &Vec<u32>)| times.len() != *row || times.contains(&0);
        match one_way_ms.iter().enumerate().find(is_wrong) {
            Some((row, _)) => Err(NoRoundTrips { row }),
            None => Ok(Self { one_way_ms }),
        }
    }
}

impl From<RoundTrips> for Vec<Vec<u32>> {
    fn from(round_trips: RoundTrips) -> Self {
        round_trips.one_way_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(one_way_ms: &[&[u32]]) -> RoundTrips {
        let rows: Vec<Vec<u32>> = one_way_ms.iter().map(|row| row.to_vec()).collect();
        RoundTrips::try_from(rows).unwrap()
    }

    #[test]
    fn equal_seeds_give_equal_round_trips_within_bounds() {
        let round_trips = RoundTrips::random(40, 3);
        assert_eq!(round_trips, RoundTrips::random(40, 3));
        assert_ne!(round_trips, RoundTrips::random(40, 4));
        let all: Vec<u64> = (0..40)
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .map(|(a, b)| round_trips.round_trip_ms(a, b))
            .collect();
        assert!(all.iter().all(|ms| (6..=200).contains(ms) && ms % 2 == 0));
        assert!(all.iter().any(|ms| *ms <= 10) && all.iter().any(|ms| *ms >= 196));
        assert_eq!(round_trips.max_round_trip_ms(), *all.iter().max().unwrap());
        let mean = all.iter().sum::<u64>() / all.len() as u64;
        assert!((95..=110).contains(&mean), "{mean}");
    }

    #[test]
    fn regions_are_near_within_and_far_between() {
        let round_trips = RoundTrips::regions(4, 16, 1);
        assert_eq!(round_trips.nodes(), 64);
        for (a, b) in (0..64).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let bounds = if a / 16 == b / 16 { 2..=10 } else { 60..=200 };
            assert!(bounds.contains(&round_trips.round_trip_ms(a, b)), "{a} {b}");
        }
    }

    #[test]
    fn a_detour_is_taken_when_it_is_shorter() {
        let round_trips = given(&[&[], &[10], &[50, 15], &[90, 90, 7]]);
        let paths = round_trips.shortest_paths();
        assert_eq!(paths[0], [0, 10, 25, 32]);
        assert_eq!(paths[3], [32, 22, 7, 0]);
        assert_eq!(round_trips.one_way_ms(0, 0), 0);
        let without = round_trips.shortest_paths_over(|a, b| (a, b) != (1, 0));
        assert_eq!(without[0], [0, 65, 50, 57]);
        let apart = round_trips.shortest_paths_over(|a, _| a != 3);
        assert_eq!(apart[3], [u32::MAX, u32::MAX, u32::MAX, 0]);
    }

    #[test]
    fn what_is_read_must_be_half_a_matrix() {
        let round_trips = given(&[&[], &[10], &[50, 15]]);
        let text = serde_json::to_string(&round_trips).unwrap();
        assert_eq!(text, "[[],[10],[50,15]]");
        assert_eq!(serde_json::from_str::<RoundTrips>(&text).unwrap(), round_trips);
        assert_eq!(RoundTrips::try_from(vec![vec![], vec![]]), Err(NoRoundTrips { row: 1 }));
        assert_eq!(RoundTrips::try_from(vec![vec![], vec![0]]), Err(NoRoundTrips { row: 1 }));
    }

    #[test]
    fn nobody_is_far_from_nobody() {
        assert_eq!(RoundTrips::random(0, 1).max_round_trip_ms(), 0);
        assert_eq!(RoundTrips::random(1, 1).shortest_paths(), [[0]]);
        assert_eq!(RoundTrips::equal(3, 9).round_trip_ms(2, 0), 10);
    }
}
