//! A few seeds of every profile, in the suite. The long runs are the runner's (`millpond-sim`).
//!
//! `MILLPOND_PROFILE=restore` runs that profile only, `MILLPOND_SEED=7` one seed, `MILLPOND_SEEDS=5000` that
//! many.

use super::{Profile, RunOptions, Scenario, run};

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
