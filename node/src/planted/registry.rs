//! All planted bugs, in a file for each area.
//!
//! What the sources name and is not here, since what it is about is not built yet:
//!
//! | source | waits for |
//! |---|---|
//! | findings 7, 11 | documents, bounded counters |
//! | S5 | repair of what the clock has spoilt |
//! | finding 25, S6 | a check of peers' clocks |
//! | S8 | roles that change |
//! | finding 32 | budgets for many namespaces |
//!
//! Of finding 17 the dirty mark waits for the level Buffered.

/// A rule, and what happens without it.
#[derive(Debug)]
pub(crate) struct PlantedBug {
    /// The rules taken out: more than one where each of them holds alone. The first one names the bug.
    pub(crate) rules: &'static [&'static str],
    /// What the code does instead.
    pub(crate) bug: &'static str,
    /// Where it comes from: a row of the catalogue of mutations ("M6"), a finding of the red team ("15",
    /// "S4"), or "own".
    pub(crate) source: &'static str,
    /// The profiles of the simulator that should notice, the best one first; none when only a directed test
    /// can: no honest peer makes the rule necessary, or what is lost without it is time only.
    pub(crate) profiles: &'static [&'static str],
}

/// One row for each bug: rules, source, profiles, and what the code does instead.
macro_rules! bugs {
    ($([$($rule:literal),+] $source:literal, [$($profile:literal),*], $bug:literal;)+) => {
        &[$(PlantedBug {
            rules: &[$($rule),+],
            bug: $bug,
            source: $source,
            profiles: &[$($profile),*],
        }),+]
    };
}

// Behind the macro that they use.
mod data;
mod exchange;
mod members;

/// All of them.
pub(crate) fn all_planted() -> impl Iterator<Item = &'static PlantedBug> {
    [data::PLANTED, members::PLANTED, exchange::PLANTED].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sim::Profile;
    use crate::sources::sources_except;

    /// Where rules are named and nothing is taken out.
    const ROWS: &[&str] =
        &["planted/registry.rs", "registry/data.rs", "registry/exchange.rs", "registry/members.rs"];

    #[test]
    fn every_rule_has_a_line_and_a_row() {
        let sources = sources_except(ROWS);
        let calls = sources.iter().flat_map(|source| source.split("planted!(").skip(1));
        let names = calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split_once('"'));
        let asked: BTreeSet<&str> = names.map(|(name, _)| name).collect();
        let listed = all_planted().flat_map(|bug| bug.rules).copied().collect();
        assert_eq!(asked.difference(&listed).next(), None, "a rule without a row");
        assert_eq!(listed.difference(&asked).next(), None, "a row without a rule");
    }

    /// What the simulator is not asked to find a directed test or the model does.
    #[test]
    fn what_no_profile_finds_a_test_takes_out() {
        let sources = sources_except(ROWS).concat();
        let is_named = |rule: &str| {
            let (name, line) = (format!("\"{rule}\""), format!("planted!(\"{rule}\""));
            sources.matches(&name).count() > sources.matches(&line).count()
        };
        for PlantedBug { rules, profiles, .. } in all_planted() {
            let is_taken_out = rules.iter().all(|rule| is_named(rule));
            assert!(!profiles.is_empty() || is_taken_out, "nothing takes out {rules:?}");
        }
    }

    #[test]
    fn rows_name_bugs_and_profiles_that_there_are() {
        let rules: BTreeSet<_> = all_planted().map(|bug| bug.rules).collect();
        assert_eq!(rules.len(), all_planted().count(), "two rows for one bug");
        for PlantedBug { rules, bug, source, profiles } in all_planted() {
            assert!(!bug.is_empty() && !source.is_empty(), "{rules:?}");
            for profile in *profiles {
                assert!(profile.parse::<Profile>().is_ok(), "{rules:?}: {profile}");
            }
        }
    }
}
