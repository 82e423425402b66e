//! Following what changes, here and at one replica after another.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use millpond::records::{self, Document, Record, RecordError, RecordId, RecordView, Token};
use millpond::{Before, Change, ChangeEvent, Changes, Collection, Counter, Replica};

use crate::client::replica;
use crate::cluster::{Cluster, within};

fn id(text: &str) -> RecordId {
    text.parse().unwrap()
}

fn document(text: &str) -> Document {
    Document::parse(text).unwrap()
}

async fn put(replica: &Replica, record: &str, fields: &str) -> Token {
    let (record, fields) = (id(record), document(fields));
    let ((), receipt) = records::write(replica, move |tx| tx.put(&record, &fields)).await.unwrap();
    Token(receipt.vv)
}

async fn delete(replica: &Replica, record: &str) -> Token {
    let record = id(record);
    let deleted = records::write(replica, move |tx| tx.delete(&record)).await.unwrap();
    Token(deleted.1.vv)
}

async fn next<R: Send + 'static>(changes: &mut Changes<R>) -> ChangeEvent<R> {
    within("an event", changes.next()).await.expect("it goes on").unwrap()
}

/// The changes of the next cut, and its token. There is no resync before it.
async fn cut<R: Send + std::fmt::Debug + 'static>(
    changes: &mut Changes<R>,
) -> (Vec<Change<R>>, Token) {
    let mut found = Vec::new();
    loop {
        match next(changes).await {
            ChangeEvent::Change(change) => found.push(change),
            ChangeEvent::Cut(token) => return (found, token),
            other => panic!("{other:?}"),
        }
    }
}

/// Cuts until the one that covers a write: the last change of each record.
async fn until_covers(changes: &mut Changes, written: &Token) -> Vec<Change<Record>> {
    let mut found = Vec::new();
    loop {
        let (told, token) = cut(changes).await;
        found.extend(told);
        if token.0.covers_all(&written.0) {
            return found;
        }
    }
}

fn text(record: &Record) -> String {
    serde_json::to_string(&record.document()).unwrap()
}

fn before(change: &Change<Record>) -> Option<String> {
    change.before.row().map(text)
}

fn after(change: &Change<Record>) -> Option<String> {
    change.after.as_ref().map(text)
}

#[tokio::test]
async fn rows_come_first_then_changes_with_what_was_before() {
    let (_dir, replica) = replica().await;
    put(&replica, "t/a", r#"{"x":1}"#).await;
    let mut changes = replica.changes();
    let (rows, token) = cut(&mut changes).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((before(&rows[0]), after(&rows[0]).unwrap().as_str()), (None, r#"{"x":1}"#));
    assert!(rows[0].collapsed, "what it was before is not told");
    assert_eq!(token.0, *replica.read().unwrap().vv());

    let written = put(&replica, "t/a", r#"{"x":2}"#).await;
    let told = until_covers(&mut changes, &written).await;
    assert_eq!(before(&told[0]).unwrap(), r#"{"x":1}"#);
    assert_eq!(after(&told[0]).unwrap(), r#"{"x":2}"#);
    assert!(!told[0].collapsed);
    assert!(written.0.covers(told[0].dot) && !token.0.covers(told[0].dot));
    assert_eq!(told[0].origin(), told[0].dot.incarnation);

    let written = put(&replica, "t/b", "{}").await;
    let told = until_covers(&mut changes, &written).await;
    assert_eq!((&told[0].before, told[0].is_delete()), (&Before::Absent, false));

    let written = delete(&replica, "t/a").await;
    let told = until_covers(&mut changes, &written).await;
    assert_eq!((before(&told[0]).unwrap().as_str(), told[0].is_delete()), (r#"{"x":2}"#, true));
    assert!(told[0].stamp.ms() > 0);

    replica.close().await;
    assert!(within("the end", changes.next()).await.is_none(), "a closed replica ends it");
}

#[tokio::test]
async fn a_transaction_is_told_whole() {
    let (_dir, replica) = replica().await;
    let mut changes = replica.changes().from_now();
    cut(&mut changes).await;
    for round in 0..100 {
        let written = records::write(&replica, move |tx| {
            (0..200).try_for_each(|number| {
                let fields = document(&format!(r#"{{"round":{round}}}"#));
                tx.put(&id(&format!("t/{number}")), &fields)
            })
        });
        written.await.unwrap();
    }
    let end = Token(replica.committed().latest());
    loop {
        let (told, token) = cut(&mut changes).await;
        let round = told.first().and_then(after);
        assert!(told.iter().all(|change| after(change) == round), "one round, and all of it");
        assert_eq!(told.len(), if told.is_empty() { 0 } else { 200 });
        if token == end {
            break;
        }
    }
    replica.close().await;
}

#[tokio::test]
async fn a_reader_gets_what_it_asks_for() {
    let (_dir, replica) = replica().await;
    for record in ["a/x", "b/1", "b/10", "b/2", "c/1"] {
        put(&replica, record, r#"{"v":1}"#).await;
    }
    let since = Token(replica.committed().latest());
    for record in ["a/x", "b/1", "b/10", "b/2", "c/1"] {
        put(&replica, record, r#"{"v":2}"#).await;
    }
    let told = async |changes: Changes| {
        let mut told = Vec::new();
        for mut changes in [changes] {
            let (found, _) = cut(&mut changes).await;
            told.extend(found.into_iter().map(|change| change.id.to_string()));
        }
        told
    };
    for begin in [Token::default(), since] {
        let of = |changes: Changes| told(changes.since(begin.clone()));
        assert_eq!(of(replica.changes()).await, ["a/x", "b/1", "b/10", "b/2", "c/1"]);
        assert_eq!(of(replica.changes().collection("b")).await, ["b/1", "b/10", "b/2"]);
        assert_eq!(of(replica.changes().collection("b").prefix("1")).await, ["b/1", "b/10"]);
        assert_eq!(of(replica.changes().collection("b").key("1")).await, ["b/1"]);
        assert_eq!(of(replica.changes().key("1")).await, ["b/1", "c/1"]);
        assert!(of(replica.changes().collection("no/name")).await.is_empty());
        assert!(of(replica.changes().collection("b").key("none")).await.is_empty());
    }
    assert!(told(replica.changes().from_now()).await.is_empty());
    replica.close().await;
}

#[tokio::test]
async fn what_a_reader_does_not_see_is_marked() {
    let (_dir, replica) = replica().await;
    put(&replica, "t/a", r#"{"x":1}"#).await;
    let since = Token(replica.committed().latest());
    put(&replica, "t/a", r#"{"x":2}"#).await;
    let (told, once) = cut(&mut replica.changes().since(since.clone())).await;
    assert_eq!((told[0].collapsed, &told[0].before), (false, &Before::Unknown));
    put(&replica, "t/a", r#"{"x":3}"#).await;
    let (told, _) = cut(&mut replica.changes().since(since)).await;
    assert!(told[0].collapsed, "it was 2 in between");
    // Nothing is overwritten here, but the record changed twice.
    for field in ["y", "z"] {
        let fields = document(&format!(r#"{{"{field}":1}}"#));
        records::write(&replica, move |tx| tx.patch(&id("t/b"), &fields)).await.unwrap();
    }
    let (told, _) = cut(&mut replica.changes().since(once)).await;
    let marks: Vec<_> = told.iter().map(|change| (change.id.key(), change.collapsed)).collect();
    assert_eq!(marks, [("a", false), ("b", true)]);
    replica.close().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_told_that_it_lagged() {
    let (_dir, replica) = replica().await;
    let mut changes = replica.changes().stall(Duration::from_millis(50));
    let (_, begin) = cut(&mut changes).await;
    let written = records::write(&replica, |tx| {
        (0..2000).try_for_each(|number| tx.put(&id(&format!("t/{number}")), &document("{}")))
    });
    let written = written.await.unwrap().1;
    // Nothing is taken for longer than that.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut told = 0;
    let resume = loop {
        match next(&mut changes).await {
            ChangeEvent::Change(_) => told += 1,
            ChangeEvent::Lagged { resume } => break resume,
            other => panic!("{other:?}"),
        }
    };
    assert!(told < 2000, "no more waited for the reader than a few batches: {told}");
    assert_eq!(resume, begin, "the cut was not whole");
    assert!(changes.next().await.is_none());
    let (told, token) = cut(&mut replica.changes().since(resume)).await;
    assert_eq!((told.len(), token.0), (2000, written.vv));
    replica.close().await;
}

#[tokio::test]
async fn a_replica_that_lacks_what_the_reader_saw_begins_anew() {
    let (_dir, ours) = replica().await;
    let (_other_dir, other) = replica().await;
    put(&ours, "t/a", "{}").await;
    let elsewhere = put(&other, "t/b", "{}").await;
    let mut changes = ours.changes().since(elsewhere).patience(Duration::ZERO);
    assert_eq!(next(&mut changes).await, ChangeEvent::Resync);
    let (told, token) = cut(&mut changes).await;
    assert_eq!(told.iter().map(|it| it.id.key()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(token.0, *ours.read().unwrap().vv());
    ours.close().await;
    other.close().await;
}

#[tokio::test]
async fn a_replica_waits_for_what_the_reader_has_seen() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    ben.pause(None).await;
    let token = put(anna, "t/a", r#"{"x":1}"#).await;
    let mut changes = ben.changes().since(token.clone()).patience(Duration::from_secs(60));
    let early = tokio::time::timeout(Duration::from_millis(200), changes.next()).await;
    assert!(early.is_err(), "it would go back in time: {early:?}");
    ben.resume(None).await;
    let (told, reached) = cut(&mut changes).await;
    assert!(told.is_empty() && reached.0.covers_all(&token.0), "{told:?}");
    cluster.close().await;
}

#[derive(Debug, Clone, Default, PartialEq, millpond::Record)]
struct Task {
    #[millpond(key)]
    id: u32,
    title: String,
    votes: Counter,
}

#[tokio::test]
async fn a_collection_is_followed_as_its_type() {
    let (_dir, replica) = replica().await;
    let task = Task { id: 7, title: "Buy milk".into(), ..Task::default() };
    let stored = task.clone();
    replica.write(move |tx| tx.store(&stored)).await.unwrap();
    put(&replica, "task/other", "{}").await; // no key of this type
    let since = Token(Collection::<Task>::new(replica.read().unwrap()).vv().clone());
    let mut changes = Collection::<Task>::changes(&replica);
    let (rows, _) = cut(&mut changes).await;
    assert_eq!(rows.iter().map(|row| row.after.clone()).collect::<Vec<_>>(), [Some(task.clone())]);

    let vote = |tx: &mut millpond::WriteTx<'_>| -> Result<(), RecordError> {
        tx.edit::<Task, _>(7u32, |task| task.votes.add(1))
    };
    replica.write(vote).await.unwrap();
    let (told, _) = cut(&mut changes).await;
    assert_eq!(told[0].before, Before::Row(task));
    assert_eq!(told[0].after.as_ref().unwrap().votes.value(), 1);
    let (told, _) = cut(&mut Collection::<Task>::changes(&replica).since(since)).await;
    assert_eq!(told[0].after.as_ref().unwrap().votes.value(), 1);

    // A record that another program has broken is told as such, and what follows it comes all the same.
    put(&replica, "task/0000000008", r#"{"title":[]}"#).await;
    let broken = within("an item", changes.next()).await.unwrap();
    assert!(matches!(broken, Err(RecordError::Unreadable { .. })), "{broken:?}");
    assert!(matches!(next(&mut changes).await, ChangeEvent::Cut(_)));
    replica.close().await;
}

/// A reader's copy of the data, which takes whole cuts.
#[derive(Default)]
struct Copy {
    rows: BTreeMap<RecordId, Record>,
    token: Token,
    /// What was told since the last cut, and whether the rows before are void.
    told: Vec<Change<Record>>,
    is_void: bool,
}

impl Copy {
    /// Takes an event. Returns whether it ends a cut.
    fn take(&mut self, event: ChangeEvent<Record>) -> bool {
        match event {
            ChangeEvent::Resync => self.is_void = true,
            ChangeEvent::Change(change) => self.told.push(change),
            ChangeEvent::Cut(token) => {
                self.apply();
                self.token = token;
                return true;
            }
            other => panic!("{other:?}"),
        }
        false
    }

    fn apply(&mut self) {
        if std::mem::take(&mut self.is_void) {
            self.rows.clear();
        }
        for change in self.told.drain(..) {
            let held = match change.after {
                Some(record) => self.rows.insert(change.id, record),
                None => self.rows.remove(&change.id),
            };
            match change.before {
                Before::Row(row) => assert_eq!(held, Some(row)),
                Before::Absent => assert_eq!(held, None),
                Before::Unknown => {}
            }
        }
    }

    /// Forgets what was told of a cut that is not whole.
    fn forget(&mut self) {
        self.told.clear();
        self.is_void = false;
    }

    fn assert_is(&self, view: &RecordView) {
        let mut rows = BTreeMap::new();
        view.export(&mut |record| {
            rows.insert(record.id.clone(), record);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(self.rows, rows);
    }
}

/// How often the reader moves; `MILLPOND_RESUMES` for more.
const RESUMES: u64 = 40;

/// A reader that is killed anywhere, also within a cut, and goes on at another replica, holds exactly what that
/// one shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_moves_between_replicas_misses_nothing() {
    let resumes = std::env::var("MILLPOND_RESUMES").map_or(RESUMES, |it| it.parse().unwrap());
    let cluster = Cluster::start(3).await;
    let mut copy = Copy::default();
    let mut seed = 7u64;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for round in 0..resumes {
        for _ in 0..draw(6) {
            let node = &cluster.nodes[draw(3) as usize];
            let record = format!("t/{}", draw(12));
            match draw(4) {
                0 => drop(delete(node, &record).await),
                1 => {
                    let (record, fields) = (id(&record), document(&format!(r#"{{"b":{round}}}"#)));
                    records::write(node, move |tx| tx.patch(&record, &fields)).await.unwrap();
                }
                2 => {
                    let record = id(&record);
                    records::write(node, move |tx| tx.count(&record, "n", 1)).await.unwrap();
                }
                _ => drop(put(node, &record, &format!(r#"{{"a":{round}}}"#)).await),
            }
        }
        let mut node = &cluster.nodes[draw(3) as usize];
        let follow = |node: &Replica, token: &Token| {
            node.changes().since(token.clone()).patience(Duration::from_secs(60))
        };
        // Now and then it is killed within a cut.
        if draw(3) == 0 {
            let mut changes = follow(node, &copy.token);
            for _ in 0..draw(4) {
                if copy.take(next(&mut changes).await) {
                    break;
                }
            }
            copy.forget();
            node = &cluster.nodes[draw(3) as usize];
        }
        let mut changes = follow(node, &copy.token);
        loop {
            if copy.take(next(&mut changes).await) {
                let view = node.read().unwrap();
                if *view.vv() == copy.token.0 {
                    copy.assert_is(&RecordView::new(view));
                    break;
                }
            }
        }
    }
    cluster.converged().await;
    cluster.close().await;
}
