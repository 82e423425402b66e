//! Which backups are kept.

/// How many backups are kept: the newest ones, and the newest of each of the last days and weeks that have one. The
/// newest of all is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// The newest ones.
    pub last: usize,
    /// One for each of so many days, in UTC.
    pub daily: usize,
    /// One for each of so many weeks, from Monday on, in UTC.
    pub weekly: usize,
}

impl Default for Keep {
    /// The last four, a week of days, and a month of weeks.
    fn default() -> Self {
        Self { last: 4, daily: 7, weekly: 4 }
    }
}

impl Keep {
    /// Whether each of these backups is kept; they were taken at these moments, in milliseconds since 1970.
    ///
    /// Days and weeks count that have a backup, not those that have passed: who comes back after a month off finds
    /// what was there.
    pub(super) fn kept(self, taken_ms: &[u64]) -> Vec<bool> {
        let mut newest_first: Vec<usize> = (0..taken_ms.len()).collect();
        newest_first.sort_by_key(|&index| std::cmp::Reverse((taken_ms[index], index)));
        let mut kept = vec![false; taken_ms.len()];
        let week = |ms: u64| (ms / DAY_MS + DAYS_FROM_MONDAY) / 7;
        let spans: [(usize, &dyn Fn(usize) -> u64); 3] = [
            (self.last.max(1), &|index| u64::MAX - index as u64),
            (self.daily, &|index| taken_ms[index] / DAY_MS),
            (self.weekly, &|index| week(taken_ms[index])),
        ];
        for (count, span_of) in spans {
            let (mut spans, mut before) = (0, None);
            for &index in &newest_first {
                let span = Some(span_of(index));
                if std::mem::replace(&mut before, span) != span {
                    spans += 1;
                    kept[index] |= spans <= count;
                }
            }
        }
        kept
    }
}

const DAY_MS: u64 = 86_400_000;

/// The first day of 1970 was a Thursday.
const DAYS_FROM_MONDAY: u64 = 3;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    /// The hours since Monday, 5 January 1970, of the backups that are kept.
    fn kept_hours(keep: Keep, hours: &[u64]) -> Vec<u64> {
        let taken: Vec<u64> = hours.iter().map(|hour| 4 * DAY_MS + hour * HOUR_MS).collect();
        let kept = keep.kept(&taken);
        hours.iter().zip(kept).filter(|(_, kept)| *kept).map(|(&hour, _)| hour).collect()
    }

    #[test]
    fn the_newest_of_each_span_is_kept() {
        let every_six: Vec<u64> = (0..4 * 21).map(|n| 6 * n).collect();
        let keep = Keep { last: 3, daily: 2, weekly: 0 };
        assert_eq!(kept_hours(keep, &every_six), [20 * 24 - 6, 486, 492, 498]);
        let keep = Keep { last: 1, daily: 0, weekly: 2 };
        assert_eq!(kept_hours(keep, &every_six), [14 * 24 - 6, 498]);
        let nothing = Keep { last: 0, daily: 0, weekly: 0 };
        assert_eq!(kept_hours(nothing, &every_six), [498], "the newest is never removed");
    }

    #[test]
    fn days_without_a_backup_do_not_count() {
        let keep = Keep { last: 1, daily: 3, weekly: 0 };
        assert_eq!(kept_hours(keep, &[1, 2, 24 * 100, 24 * 300]), [2, 24 * 100, 24 * 300]);
    }

    proptest! {
        #[test]
        fn what_is_removed_is_not_missed(
            times in vec(0..60_u64 * DAY_MS, 0..40),
            (last, daily, weekly) in (0..6_usize, 0..6_usize, 0..6_usize),
        ) {
            let keep = Keep { last, daily, weekly };
            let kept = keep.kept(&times);
            let count = kept.iter().filter(|kept| **kept).count();
            prop_assert!(count <= last.max(1) + daily + weekly);
            prop_assert!(count >= times.len().min(last.max(1)));
            let newest = times.iter().max();
            let is_newest_kept = times.iter().zip(&kept).any(|(it, kept)| Some(it) == newest && *kept);
            prop_assert!(times.is_empty() || is_newest_kept);
            // Removing them changes nothing about the rest.
            let rest: Vec<u64> = times.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(&it, _)| it).collect();
            prop_assert!(keep.kept(&rest).into_iter().all(|kept| kept));
        }
    }
}
