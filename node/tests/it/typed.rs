//! Typed records over replicas.

use std::collections::BTreeMap;

use millpond::records::{RecordError, RecordView};
use millpond::typed::Candidate;
use millpond::{
    Collection, Counter, DisableWins, Flag, Keys, Log, Map, Multi, Nested, Record, RemoveWins,
    Replica, Set, WriteError,
};
use serde::{Deserialize, Serialize};

use crate::client::replica;
use crate::cluster::{Cluster, until};

#[derive(Debug, Clone, Default, PartialEq, Record)]
struct Task {
    #[millpond(key)]
    id: String,
    title: Multi<String>,
    done: bool,
    votes: Counter,
    urgent: Flag,
    visible: Flag<DisableWins>,
    tags: Set<String>,
    blocked: Set<u32, RemoveWins>,
    prices: Map<String, Counter>,
    notes: Log<String>,
    #[millpond(rename = "addr")]
    address: Nested<Address>,
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Record)]
struct Address {
    street: String,
    visits: Counter,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum State {
    #[default]
    Open,
    Closed,
}

fn tasks(replica: &Replica) -> Collection<Task> {
    Collection::new(replica.read().unwrap())
}

fn task(id: &str) -> Task {
    Task { id: id.into(), title: Multi::new("Buy milk".into()), ..Task::default() }
}

async fn store(replica: &Replica, task: Task) {
    replica.write(move |tx| tx.store(&task)).await.unwrap();
}

#[tokio::test]
async fn what_is_stored_is_loaded() {
    let (_dir, replica) = replica().await;
    let task = Task {
        votes: Counter::new(-3),
        urgent: Flag::new(true),
        visible: Flag::new(true),
        tags: ["a".to_owned(), "b".to_owned()].into(),
        blocked: [7, 70].into(),
        prices: [("x".to_owned(), Counter::new(9))].into_iter().collect(),
        notes: ["first".to_owned(), "second".to_owned()].into_iter().collect(),
        address: Address { street: "Mill Lane".into(), visits: Counter::new(2) }.into(),
        state: State::Closed,
        ..task("milk")
    };
    store(&replica, task.clone()).await;
    assert_eq!(tasks(&replica).get("milk").unwrap(), Some(task.clone()));
    let before = replica.committed().latest();
    // Nothing that merges element by element is written again.
    store(&replica, task.clone()).await;
    let plain = 4;
    let grown = replica
        .committed()
        .latest()
        .beyond(&before)
        .map(|it| it.upto.get() - it.after)
        .sum::<u64>();
    assert_eq!(grown, plain);
    let emptied = Task { id: "milk".into(), ..Task::default() };
    store(&replica, emptied.clone()).await;
    assert_eq!(tasks(&replica).get("milk").unwrap(), Some(emptied));
}

#[tokio::test]
async fn an_edit_writes_what_it_touches() {
    let (_dir, replica) = replica().await;
    store(&replica, task("milk")).await;
    let before = replica.committed().latest();
    let edit = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit::<Task, _>("milk", |task| {
            task.done.set(true);
            task.votes.add(2);
            task.votes.add(-1);
            task.tags.insert("dairy");
            task.address.visits.add(1);
            assert!(task.done.get() && task.tags.contains("dairy"));
            task.votes.value()
        })
    };
    let (votes, receipt) = replica.write(edit).await.unwrap();
    assert_eq!(votes, 1);
    let writes: u64 = receipt.vv.beyond(&before).map(|it| it.upto.get() - it.after).sum();
    assert_eq!(writes, 4);
    let task = tasks(&replica).get("milk").unwrap().unwrap();
    assert_eq!((task.done, task.votes.value(), task.address.visits.value()), (true, 1, 1));
}

#[tokio::test]
async fn what_is_edited_or_created_is_there_and_holds_what_was_touched() {
    let (_dir, replica) = replica().await;
    let edit = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit_or_create::<Task, _>("bare", |_| ())?;
        tx.edit_or_create::<Task, _>("milk", |task| {
            task.votes.add(2);
            task.tags.insert("dairy");
            task.tags.insert("left");
            task.tags.remove("left");
            assert!(task.tags.contains("dairy") && !task.tags.contains("left"));
            task.prices.insert("x", Counter::new(1));
            task.prices.remove("x");
            assert_eq!(task.prices.get("x"), None);
        })
    };
    replica.write(edit).await.unwrap();
    let milk = Task { id: "milk".into(), votes: Counter::new(2), ..Task::default() };
    let milk = Task { tags: ["dairy".to_owned()].into(), ..milk };
    assert_eq!(tasks(&replica).get("milk").unwrap(), Some(milk.clone()));
    assert!(milk.tags.contains("dairy") && !milk.prices.contains_key("x"));
    let bare = Task { id: "bare".into(), ..Task::default() };
    assert_eq!(tasks(&replica).get("bare").unwrap(), Some(bare));
    // A second time it changes what is there, and nothing is marked that shows already.
    let before = replica.committed().latest();
    let again = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit_or_create::<Task, _>("milk", |task| task.votes.add(1))
    };
    let ((), receipt) = replica.write(again).await.unwrap();
    let writes: u64 = receipt.vv.beyond(&before).map(|it| it.upto.get() - it.after).sum();
    assert_eq!((writes, tasks(&replica).get("milk").unwrap().unwrap().votes.value()), (1, 3));
}

#[tokio::test]
async fn edits_at_two_nodes_both_prevail() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    store(anna, task("milk")).await;
    until("ben has it", async || tasks(ben).get("milk").unwrap().is_some()).await;
    for (node, name, count) in [(anna, "anna", 3), (ben, "ben", 4)] {
        node.pause(None).await;
        let edit = move |tx: &mut millpond::WriteTx<'_>| {
            tx.edit::<Task, _>("milk", |task| {
                task.title.set(format!("{name}'s milk"));
                task.votes.add(count);
                task.tags.insert(name);
                task.notes.append(&name.to_owned());
                task.prices.insert(name, Counter::new(1));
                task.urgent.set(name == "anna");
                task.visible.set(name == "anna");
            })
        };
        node.write(edit).await.unwrap();
    }
    anna.resume(None).await;
    ben.resume(None).await;
    until("both have both", async || {
        [anna, ben].iter().all(|node| tasks(node).get("milk").unwrap().unwrap().notes.len() == 2)
    })
    .await;
    let merged = tasks(anna).get("milk").unwrap().unwrap();
    assert_eq!(Some(&merged), tasks(ben).get("milk").unwrap().as_ref());
    assert_eq!((merged.votes.value(), merged.tags.len(), merged.prices.len()), (7, 2, 2));
    assert!(merged.title.is_conflict());
    assert!(merged.urgent.is_on(), "on wins");
    assert!(!merged.visible.is_on(), "off wins");
}

#[tokio::test]
async fn a_removed_record_is_gone_and_its_counters_start_anew() {
    let (_dir, replica) = replica().await;
    store(&replica, Task { votes: Counter::new(5), blocked: [1].into(), ..task("milk") }).await;
    let remove = |tx: &mut millpond::WriteTx<'_>| tx.remove::<Task>("milk");
    assert!(replica.write(remove).await.unwrap().0);
    assert_eq!(tasks(&replica).get("milk").unwrap(), None);
    assert!(!replica.write(remove).await.unwrap().0);
    store(&replica, task("milk")).await;
    assert_eq!(tasks(&replica).get("milk").unwrap(), Some(task("milk")));
}

#[tokio::test]
async fn keys_are_ordered_and_scanned() {
    #[derive(Debug, Default, PartialEq, Record)]
    #[millpond(collection = "days")]
    struct Day {
        #[millpond(key)]
        number: i32,
    }
    let (_dir, replica) = replica().await;
    let store = |tx: &mut millpond::WriteTx<'_>| {
        [-10, -1, 0, 5, 100].into_iter().try_for_each(|number| tx.store(&Day { number }))
    };
    replica.write(store).await.unwrap();
    let days = Collection::<Day>::new(replica.read().unwrap());
    let numbers = |keys| days.list(&keys).unwrap().iter().map(|day| day.number).collect::<Vec<_>>();
    assert_eq!(numbers(Keys::all()), [-10, -1, 0, 5, 100]);
    assert_eq!(numbers(Keys::range(-1..5)), [-1, 0]);
    assert_eq!(numbers(Keys::range(-1..=5)), [-1, 0, 5]);
    assert_eq!(numbers(Keys::range(5..)), [5, 100]);
    assert_eq!(days.count().unwrap(), 5);
    let names = |prefix: &str| tasks(&replica).list(&Keys::prefix(prefix)).unwrap().len();
    for id in ["a", "ab", "abc", "b"] {
        replica.write(move |tx| tx.store(&task(id))).await.unwrap();
    }
    assert_eq!((names("ab"), names("b"), names("c"), names("")), (2, 1, 0, 4));
}

#[tokio::test]
async fn tools_see_the_same_records() {
    let (_dir, replica) = replica().await;
    let task = Task {
        tags: ["a".to_owned()].into(),
        urgent: Flag::new(true),
        notes: ["first".to_owned()].into_iter().collect(),
        prices: [("x".to_owned(), Counter::new(9))].into_iter().collect(),
        ..task("milk")
    };
    store(&replica, task).await;
    let record = RecordView::new(replica.read().unwrap())
        .get(&"task/milk".parse().unwrap())
        .unwrap()
        .unwrap();
    let shown: BTreeMap<_, _> =
        record.fields.iter().map(|(name, field)| (name.as_str(), field.value.text())).collect();
    let expected = [
        ("addr", r#"{"street":""}"#),
        ("done", "false"),
        ("notes", r#"["first"]"#),
        ("prices", r#"{"x":9}"#),
        ("state", r#""Open""#),
        ("tags", r#"["a"]"#),
        ("title", r#""Buy milk""#),
        ("urgent", "true"),
    ];
    assert_eq!(shown, BTreeMap::from(expected));
}

#[tokio::test]
async fn fields_of_a_newer_version_are_kept_and_missing_ones_read_as_defaults() {
    #[derive(Debug, Clone, Default, PartialEq, Record)]
    #[millpond(collection = "task")]
    struct OldTask {
        #[millpond(key)]
        id: String,
        done: bool,
    }
    let (_dir, replica) = replica().await;
    store(&replica, Task { votes: Counter::new(1), ..task("milk") }).await;
    let done = OldTask { id: "milk".into(), done: true };
    replica.write(move |tx| tx.store(&done)).await.unwrap();
    let kept = tasks(&replica).get("milk").unwrap().unwrap();
    assert_eq!(kept, Task { done: true, votes: Counter::new(1), ..task("milk") });
    replica.write(|tx| tx.store(&OldTask { id: "old".into(), done: true })).await.unwrap();
    let read = tasks(&replica).get("old").unwrap().unwrap();
    assert_eq!(read, Task { id: "old".into(), done: true, ..Task::default() });
}

#[tokio::test]
async fn a_field_of_another_type_is_a_clear_error() {
    #[derive(Debug, Default, Record)]
    #[millpond(collection = "task")]
    struct Other {
        #[millpond(key)]
        id: String,
        done: String,
    }
    let (_dir, replica) = replica().await;
    store(&replica, task("milk")).await;
    let error = Collection::<Other>::new(replica.read().unwrap()).get("milk").unwrap_err();
    assert!(error.to_string().starts_with("field `done` of task/milk cannot be read: "), "{error}");
}

#[tokio::test]
async fn a_transaction_that_fails_writes_nothing() {
    #[derive(Debug, thiserror::Error)]
    enum BankError {
        #[error("{0} is missing")]
        Missing(u32),
        #[error(transparent)]
        Write(#[from] WriteError),
        #[error(transparent)]
        Record(#[from] RecordError),
    }
    let (_dir, replica) = replica().await;
    let refused = replica
        .write(|tx| {
            tx.store(&task("milk"))?;
            Err::<(), _>(BankError::Missing(7))
        })
        .await;
    assert!(matches!(refused, Err(BankError::Missing(7))));
    let absent = replica.write(|tx| tx.edit::<Task, _>("milk", |task| task.done.set(true))).await;
    assert!(matches!(absent, Err(RecordError::Absent { .. })));
    let too_long = replica.write(|tx| tx.store(&task(&"k".repeat(2_000)))).await;
    assert!(matches!(too_long, Err(RecordError::Id(_))));
    // A write through a proxy that fails makes the edit fail.
    store(&replica, task("milk")).await;
    let large = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit::<Task, _>("milk", |task| {
            task.done.set(true);
            task.title.set("x".repeat(2 << 20));
        })
    };
    assert!(matches!(
        replica.write(large).await,
        Err(RecordError::Write(WriteError::ValueTooLarge { .. }))
    ));
    assert_eq!(tasks(&replica).get("milk").unwrap(), Some(task("milk")));
}

#[tokio::test]
async fn a_panic_in_a_transaction_reaches_the_caller_and_spoils_nothing() {
    let (_dir, replica) = replica().await;
    let writing = replica.clone();
    let panicked = tokio::spawn(async move {
        writing
            .write(|tx| -> Result<(), RecordError> {
                tx.store(&task("milk"))?;
                panic!("a bug of the application")
            })
            .await
    })
    .await;
    assert!(panicked.unwrap_err().is_panic());
    assert_eq!(tasks(&replica).get("milk").unwrap(), None);
    store(&replica, task("milk")).await;
}

#[tokio::test]
async fn a_write_within_a_write_is_refused() {
    let (_dir, replica) = replica().await;
    let inner = replica.clone();
    let runtime = tokio::runtime::Handle::current();
    let nested = replica
        .write(move |_| -> Result<(), RecordError> {
            runtime.block_on(inner.write(|tx| tx.store(&task("milk"))).into_future()).map(drop)
        })
        .await;
    assert!(matches!(nested, Err(RecordError::Write(WriteError::Nested))), "{nested:?}");
}

#[tokio::test]
async fn entries_of_a_log_never_take_each_others_names() {
    let (_dir, replica) = replica().await;
    store(&replica, task("milk")).await;
    for _ in 0..3 {
        // What is written and deleted again takes no dot.
        replica
            .write(|tx| -> Result<(), RecordError> {
                tx.store(&task("gone"))?;
                tx.remove::<Task>("gone")?;
                tx.edit::<Task, _>("milk", |task| task.notes.append(&"note".into()))
            })
            .await
            .unwrap();
    }
    assert_eq!(tasks(&replica).get("milk").unwrap().unwrap().notes.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_tells_what_several_values_read_as_on_every_node() {
    #[derive(Debug, Clone, Default, PartialEq, Record)]
    struct Sensor {
        #[millpond(key)]
        id: String,
        #[millpond(resolve = highest, rename = "level")]
        alarm_level: u32,
    }
    fn highest(candidates: &[Candidate<u32>]) -> u32 {
        assert!(candidates.len() > 1, "one value needs no resolver");
        candidates.iter().map(|candidate| candidate.value).max().unwrap_or_default()
    }
    let levels = |replica: &Replica| {
        let sensors = Collection::<Sensor>::new(replica.read().unwrap());
        sensors.get("door").unwrap().unwrap().alarm_level
    };
    let set = async |replica: &Replica, level: u32| {
        let sensor = Sensor { id: "door".into(), alarm_level: level };
        replica.write(move |tx| tx.store(&sensor)).await.unwrap();
    };
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    anna.pause(None).await;
    set(anna, 9).await;
    set(ben, 3).await;
    assert_eq!((levels(anna), levels(ben)), (9, 3));
    anna.resume(None).await;
    cluster.linked().await;
    cluster.converged().await;
    assert_eq!((levels(anna), levels(ben)), (9, 9));
    // What is held stays held.
    assert_eq!(anna.conflicts(None).await.unwrap()[0].candidates.len(), 2);
    let seen = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit::<Sensor, _>("door", |sensor| {
            let level = sensor.alarm_level.get();
            sensor.alarm_level.set(level + 1);
            level
        })
    };
    let (seen, _) = ben.write(seen).await.unwrap();
    assert_eq!(seen, 9, "a transaction reads as readers do");
    cluster.converged().await;
    assert_eq!((levels(anna), levels(ben)), (10, 10));
    assert!(anna.conflicts(None).await.unwrap().is_empty());
    cluster.close().await;
}
