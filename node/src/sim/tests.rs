//! A few seeds of every profile, in the suite. The long runs are the runner's (`millpond-sim`).
//!
//! `MILLPOND_PROFILE=restore` runs that profile only, `MILLPOND_SEED=7` one seed, `MILLPOND_SEEDS=5000` that
//! many, and `MILLPOND_WITHOUT='an answer waits for the disk'` takes that rule out.

use super::{Mutant, Profile, RunOptions, Scenario, run};
use crate::planted::without;

#[test]
fn a_few_seeds_of_every_profile_hold() {
    let read = |name| std::env::var(name).ok();
    let number = |name| read(name).map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("MILLPOND_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MILLPOND_SEEDS").unwrap_or(SEEDS),
    };
    let only = read("MILLPOND_PROFILE").map(|text| text.parse::<Profile>().expect("a profile"));
    let profiles = Profile::ALL.iter().copied().filter(|it| only.is_none_or(|only| only == *it));
    let mutant = read("MILLPOND_WITHOUT").map(|rule| {
        let mut all = Mutant::all().into_iter();
        all.find(|it| it.rules[0] == rule).expect("the first rule of a planted bug")
    });
    let run = |scenario: &Scenario, options| match &mutant {
        Some(mutant) => mutant.in_place(|| run(scenario, options)).0,
        None => run(scenario, options),
    };
    let mut failures = Vec::new();
    for profile in profiles {
        for seed in seeds.clone() {
            let scenario = Scenario::draw(profile, seed);
            if read("MILLPOND_TRACE").is_some() {
                let run = run(&scenario, RunOptions::KEEPING_EVENTS);
                run.timeline.iter().for_each(|event| println!("{event}"));
            }
            if let Some(failure) = run(&scenario, RunOptions::default()).failure {
                failures.push(format!("{profile} {seed}: {}", failure.what));
            }
        }
    }
    failures.iter().for_each(|failure| println!("{failure}"));
    assert!(failures.is_empty(), "{} seeds failed", failures.len());
}

/// Each file is the shrunk scenario of a bug that there was: it holds now, and for good.
#[test]
fn every_regression_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sim/regressions");
    let mut failures = Vec::new();
    let paths = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")) {
        let (name, text) = (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        let scenario = Scenario::from_json(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!scenario.about().is_empty(), "{name} says what it found");
        if let Some(failure) = run(&scenario, RunOptions::default()).failure {
            failures.push(format!("{name}: {}", failure.what));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// No seed meets it: the disk is to be full between two commits of one join. The scenario of the bug does.
#[test]
fn an_invite_that_was_not_noted_as_used_is_used_again() {
    let scenario = Scenario::from_json(include_str!("regressions/guests-1.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["an invite is used before its role is granted"], failure).is_some());
}

/// Seeds meet it once in five thousand: hello is to be overtaken by what is said behind it on the other lane.
#[test]
fn who_accepts_a_link_asks_for_nothing_before_its_hello_is_heard() {
    let scenario = Scenario::from_json(include_str!("regressions/clone-4222.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["a comparison is asked for behind hello"], failure).is_some());
}

/// Seeds meet it once in five thousand: the copy's last word is to be answered while the original is released.
#[test]
fn what_was_said_before_a_release_does_not_fence() {
    let scenario = Scenario::from_json(include_str!("regressions/clone-641.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["what was said before a release does not fence"], failure).is_some());
}

/// Seeds meet it once in five thousand: a cut breaks off, its rows come in another way, and deletes are forgotten.
#[test]
fn a_resumption_that_is_refused_begins_anew() {
    let scenario = Scenario::from_json(include_str!("regressions/transactions-4305.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["a resumption that is refused begins anew"], failure).is_some());
}

/// Seeds of one profile meet it three times in five thousand: a floor is to rise behind a node's back.
#[test]
fn who_has_come_further_asks_again() {
    let scenario = Scenario::from_json(include_str!("regressions/offline-2046.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["who has come further asks again"], failure).is_some());
}

/// Seeds of one profile meet it once in a thousand: a relay is to have more to supply than it does at once. One of the
/// folders comes back as the file of a backup.
#[cfg(feature = "backup")]
#[test]
fn refusals_of_long_ago_do_not_count() {
    let scenario = Scenario::from_json(include_str!("regressions/restore-2568.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["refusals of long ago do not count"], failure).is_some());
}

/// A node that had fallen back was started once more, by a lease that it had written since.
#[test]
#[cfg(feature = "backup")]
fn who_has_yet_to_catch_up_proves_nothing() {
    let scenario = Scenario::from_json(include_str!("regressions/sessions-961.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["who has yet to catch up proves nothing"], failure).is_some());
}

/// Two nodes come back from backups, and link with each other first.
#[test]
fn who_has_fallen_back_vouches_for_nobody() {
    let scenario = Scenario::from_json(include_str!("regressions/sessions-3110.json")).unwrap();
    let failure = || run(&scenario, RunOptions::default()).failure.map(|failure| failure.what);
    assert_eq!(failure(), None);
    assert!(without(&["who has fallen back vouches for nobody"], failure).is_some());
}

/// What is left of a failing scenario fails in the same way, by a bug and not by itself.
#[test]
fn a_shrunk_scenario_fails_as_the_whole_did() {
    let all = Mutant::all();
    let mutant = all.iter().find(|mutant| mutant.rules == ["continuity is proven"]).unwrap();
    let check = |scenario: &Scenario| {
        let failure = run(scenario, RunOptions::default()).failure;
        failure.map(|failure| failure.check)
    };
    let seeds = (0..60).map(|seed| Scenario::draw(Profile::Restore, seed));
    let ((whole, shrunk), is_met) = mutant.in_place(|| {
        let whole = seeds.into_iter().find(|scenario| check(scenario).is_some()).unwrap();
        let shrunk = whole.shrink(40);
        assert_eq!(check(&shrunk), check(&whole));
        (whole, shrunk)
    });
    assert!(is_met && shrunk.steps() < whole.steps(), "{} steps", shrunk.steps());
    assert_eq!(check(&shrunk), None, "with the rule it holds");
}

/// R11: a seed's trace is the same each time.
#[test]
fn equal_seeds_give_equal_traces() {
    for seed in 0..3 {
        let scenario = Scenario::draw(Profile::Swarm, seed);
        let traces = [(); 2].map(|()| run(&scenario, RunOptions::default()).trace);
        assert_eq!(traces[0], traces[1], "seed {seed}");
    }
}

#[test]
fn a_scenario_survives_its_file() {
    for &profile in Profile::ALL {
        let scenario = Scenario::draw(profile, 3);
        assert_eq!(Scenario::from_json(&scenario.to_json()).unwrap(), scenario);
    }
    let error = Scenario::from_json(r#"{"version": 9}"#).unwrap_err();
    assert!(error.to_string().starts_with("not a scenario"), "{error}");
}

/// Seeds of each profile in the suite.
const SEEDS: u64 = 4;
