//! Applications on simulated clusters.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Sim, check, laws};
use crate::planted::without;
use crate::records::RecordError;
use crate::{
    Counter, DisableWins, Flag, Key, Keys, Log, Map, Multi, Nested, Record, RemoveWins, Set,
    WriteError, WriteTx,
};

#[derive(Debug, Clone, Default, PartialEq, Record)]
struct Account {
    #[millpond(key)]
    owner: String,
    counted: Counter,
    stored: i64,
}

fn open(tx: &mut WriteTx<'_>) -> Result<(), RecordError> {
    tx.store(&Account { owner: "anna".into(), ..Account::default() })
}

fn count(tx: &mut WriteTx<'_>) -> Result<(), RecordError> {
    tx.edit::<Account, _>("anna", |account| account.counted.add(1))
}

/// What loses updates: the whole field is read, and stored again.
fn load_and_store(tx: &mut WriteTx<'_>) -> Result<(), RecordError> {
    let mut account = tx.load::<Account>("anna")?.expect("it is open");
    account.stored += 1;
    tx.store(&account)
}

fn anna(sim: &mut Sim, node: usize) -> Account {
    sim.collection::<Account>(node).get("anna").unwrap().expect("it is open")
}

/// Each node does something once; what has come to be of it.
fn each_once(sim: &mut Sim, step: fn(&mut WriteTx<'_>) -> Result<(), RecordError>) -> Account {
    sim.write(0, open).unwrap();
    sim.settle();
    for node in 0..sim.nodes() {
        sim.write(node, step).unwrap();
        sim.run_for(Duration::from_secs(1));
    }
    sim.heal().settle();
    anna(sim, 0)
}

#[test]
fn a_lost_update_is_found_and_a_counter_loses_none() {
    assert_eq!(
        each_once(&mut Sim::new(3), load_and_store).stored,
        3,
        "nothing fails, none is lost"
    );
    check(0..20, |sim| assert_eq!(each_once(sim, count).counted.value(), 3));
    let found = catch_unwind(|| {
        check(0..20, |sim| assert_eq!(each_once(sim, load_and_store).stored, 3));
    });
    assert!(found.is_err(), "no seed has lost an update");
}

#[test]
fn one_seed_is_one_history() {
    let history = |seed| {
        let mut sim = Sim::new(3).seed(seed).faulty();
        each_once(&mut sim, count);
        (sim.now(), sim.below(1 << 60), sim.world.trace.hash())
    };
    assert_eq!(history(3), history(3));
    assert_ne!(history(3), history(4));
}

#[test]
fn who_is_cut_off_goes_on_and_shows_what_it_has() {
    let mut sim = Sim::new(3);
    sim.write(0, open).unwrap();
    sim.settle().partition([0], [1, 2]);
    sim.write(0, count).unwrap();
    sim.write(1, count).unwrap();
    sim.run_for(Duration::from_secs(60));
    assert_eq!([0, 1, 2].map(|node| anna(&mut sim, node).counted.value()), [1, 1, 1]);
    sim.heal().assert_converged();
    assert_eq!([0, 1, 2].map(|node| anna(&mut sim, node).counted.value()), [2, 2, 2]);
}

#[test]
fn what_was_answered_survives_a_crash_and_who_is_down_takes_nothing() {
    let mut sim = Sim::new(3);
    sim.write(1, open).unwrap();
    sim.crash(1);
    let refused = sim.write(1, open);
    assert!(matches!(refused, Err(RecordError::Write(WriteError::Closed))), "{refused:?}");
    sim.restart(1);
    assert_eq!(anna(&mut sim, 1).owner, "anna");
    sim.restart(1).assert_converged();
}

#[test]
fn an_old_backup_gets_back_what_others_have() {
    let mut sim = Sim::new(3);
    sim.write(2, open).unwrap();
    sim.settle().backup(2);
    sim.write(2, count).unwrap();
    sim.settle().restore(2);
    sim.settle();
    sim.write(2, count).unwrap();
    sim.assert_converged();
    assert_eq!(anna(&mut sim, 0).counted.value(), 2);
}

#[test]
fn the_later_of_two_is_so_by_the_clocks_of_their_writers() {
    let set = |value: i64| {
        move |tx: &mut WriteTx<'_>| -> Result<(), RecordError> {
            tx.edit::<Account, _>("anna", |account| account.stored.set(value))
        }
    };
    let mut sim = Sim::new(2);
    sim.write(0, open).unwrap();
    sim.settle().skew(0, 3_600_000).partition([0], [1]);
    sim.write(0, set(1)).unwrap();
    sim.run_for(Duration::from_secs(60));
    sim.write(1, set(2)).unwrap();
    sim.heal().assert_converged();
    assert_eq!(anna(&mut sim, 1).stored, 1, "who wrote first has the clock that is ahead");
}

#[test]
fn a_closure_fails_and_panics_in_its_caller() {
    let mut sim = Sim::new(1);
    let refused = sim.write(0, |_| -> Result<(), RecordError> {
        Err(RecordError::Absent { record: "all".into() })
    });
    assert!(matches!(refused, Err(RecordError::Absent { .. })));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        sim.write(0, |_| -> Result<(), RecordError> { panic!("as it was told") })
    }));
    assert!(panicked.is_err());
    sim.write(0, open).unwrap();
}

#[test]
fn nodes_that_are_down_or_cut_off_have_not_converged() {
    let failure = |break_it: fn(&mut Sim)| {
        let mut sim = Sim::new(3);
        break_it(&mut sim);
        sim.write(0, open).unwrap();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            sim.assert_converged();
        }));
        *failed.unwrap_err().downcast::<String>().unwrap()
    };
    let down = failure(|sim| {
        sim.crash(1);
    });
    assert!(down.contains("node 1 is down"), "{down}");
    let cut = failure(|sim| {
        sim.partition([0], [1, 2]);
    });
    assert!(
        cut.contains("nothing passes from 0 to 1, 0 to 2, 1 to 0, 2 to 0; heal first"),
        "{cut}"
    );
}

/// Fails at seed 5 where its environment asks for that: for the next test, which reads what it prints.
#[test]
fn fails_at_one_seed() {
    if env::var_os(FAILS).is_some() {
        check(0..9, |sim| {
            sim.write(0, open).unwrap();
            assert!(!format!("{sim:?}").contains("seed: 5,"), "of all seeds this one");
        });
    }
}

#[test]
fn the_failing_seed_is_printed_first_and_repeated_from_the_environment() {
    let run = |seed: Option<&str>| {
        let mut test = Command::new(env::current_exe().unwrap());
        test.args(["--exact", "sim::kit::tests::fails_at_one_seed", "--nocapture"]);
        test.env(FAILS, "1").env_remove("MILLPOND_SEED");
        test.envs(seed.map(|seed| ("MILLPOND_SEED", seed)));
        let ended = test.output().unwrap();
        (ended.status.success(), String::from_utf8(ended.stderr).unwrap())
    };
    let (succeeds, told) = run(None);
    let seed = "millpond: seed 5 fails; repeat it by MILLPOND_SEED=5 cargo test \
                sim::kit::tests::fails_at_one_seed\n";
    assert!(!succeeds && told.trim_start().starts_with(seed), "{told}");
    assert!(told.contains("ms  0 writes") && told.contains("of all seeds this one"), "{told}");
    assert_eq!([run(Some("5")).0, run(Some("6")).0, run(Some("five")).0], [false, true, false]);
}

/// Asks a test to fail.
const FAILS: &str = "MILLPOND_TEST_FAILS";

#[derive(Debug, Default, Record)]
struct Everything {
    #[millpond(key)]
    id: i16,
    title: Multi<String>,
    shape: Shape,
    ratio: Option<f64>,
    votes: Counter,
    urgent: Flag,
    visible: Flag<DisableWins>,
    tags: Set<String>,
    blocked: Set<u32, RemoveWins>,
    prices: Map<bool, Counter>,
    places: Map<String, Nested<Place>>,
    notes: Log<(u8, char)>,
    place: Nested<Place>,
}

#[derive(Debug, Default, Record)]
struct Place {
    street: String,
    visits: Counter,
}

#[derive(Debug, Default, Serialize, Deserialize)]
enum Shape {
    #[default]
    None,
    Circle(f32),
    Polygon {
        corners: Vec<(i64, i64)>,
        within: Option<Box<Shape>>,
    },
}

#[test]
fn the_laws_hold_for_every_kind_of_field() {
    laws::<Everything>();
    laws::<Account>();
}

/// A plain field that cannot read what it has written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Forgetful {
    #[serde(rename(serialize = "it"))]
    value: u8,
}

#[derive(Debug, Default, Record)]
struct Lawless {
    #[millpond(key)]
    id: String,
    field: Forgetful,
}

#[test]
fn a_field_that_cannot_read_what_it_writes_breaks_a_law() {
    let broken = catch_unwind(laws::<Lawless>).unwrap_err();
    let broken = broken.downcast::<String>().unwrap();
    assert!(broken.contains("missing field `value`"), "{broken}");
}

/// A key whose text form has no leading zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Number(u32);

impl Key for Number {
    fn to_text(&self) -> String {
        self.0.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

#[derive(Debug, Default, Record)]
struct Numbered {
    #[millpond(key)]
    number: Number,
    votes: Counter,
}

#[test]
fn a_key_that_sorts_otherwise_than_its_text_breaks_a_law() {
    let broken = catch_unwind(laws::<Numbered>).unwrap_err();
    let broken = broken.downcast::<String>().unwrap();
    assert!(broken.contains("sort otherwise than their keys"), "{broken}");
}

/// Moves between two accounts at three nodes, and adds both up wherever chance has it.
fn a_bank(sim: &mut Sim) {
    let owners = ["anna", "ben"];
    let open = move |tx: &mut WriteTx<'_>| -> Result<(), RecordError> {
        owners.iter().try_for_each(|&owner| {
            tx.store(&Account { owner: owner.into(), counted: Counter::new(100), stored: 0 })
        })
    };
    sim.write(0, open).unwrap();
    sim.settle();
    for _ in 0..40 {
        let (node, amount) = (sim.below(3) as usize, sim.below(20) as i64);
        let transfer = move |tx: &mut WriteTx<'_>| -> Result<(), RecordError> {
            tx.edit::<Account, _>(owners[0], |account| account.counted.add(-amount))?;
            tx.edit::<Account, _>(owners[1], |account| account.counted.add(amount))
        };
        sim.write(node, transfer).unwrap();
        let at = sim.below(3) as usize;
        let accounts = sim.collection::<Account>(at).list(&Keys::all()).unwrap();
        let sum: i128 = accounts.iter().map(|account| account.counted.value()).sum();
        assert_eq!(sum, 200, "at node {at}");
    }
}

#[test]
fn nobody_sees_half_of_a_transfer() {
    check(0..3, a_bank);
    let half = without(&["a transaction is applied whole"], || {
        catch_unwind(AssertUnwindSafe(|| check(0..3, a_bank)))
    });
    assert!(half.is_err(), "half of a transfer was seen, and nobody noticed");
}

#[derive(Debug, Clone, Default, PartialEq, Record)]
struct Visit {
    #[millpond(key)]
    id: String,
    #[millpond(index)]
    city: String,
}

#[test]
fn an_app_finds_by_an_index_what_others_wrote() {
    let mut sim = Sim::new(3).register::<Visit>();
    let visit = |id: &str, city: &str| Visit { id: id.into(), city: city.into() };
    sim.partition([0], [1, 2]);
    for (node, id, city) in [(0, "a", "Weir"), (1, "b", "Mill"), (2, "c", "Weir")] {
        let visit = visit(id, city);
        sim.write(node, move |tx| tx.store(&visit)).unwrap();
    }
    sim.heal().assert_converged();
    for node in 0..3 {
        sim.crash(node).restart(node);
        let weir = sim.collection::<Visit>(node).by(VisitIndex::city()).equal("Weir").keys();
        assert_eq!(weir.unwrap(), ["a", "c"]);
    }
}
