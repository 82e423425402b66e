//! Fields that two nodes wrote at once: listed, explained, ended, and brought back.

use millpond::records::{self, Document, FieldKind, Json, RecordId, RecordView};
use millpond::typed::{Collection, Map, Multi, Nested, Set};
use millpond::{
    Conflict, ConflictEvent, Conflicts, Counter, Record, Replica, ResolveError, WriteTx,
};

use crate::cluster::{Cluster, within};

fn milk() -> RecordId {
    "t/milk".parse().unwrap()
}

async fn patch(replica: &Replica, fields: &str) {
    let fields = Document::parse(fields).unwrap();
    records::write(replica, move |tx| tx.patch(&milk(), &fields)).await.unwrap();
}

fn title(replica: &Replica) -> String {
    let record = RecordView::new(replica.read().unwrap()).get(&milk()).unwrap().unwrap();
    record.fields["title"].value.text().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_listed_explained_and_ended() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    anna.pause(None).await;
    patch(anna, r#"{"title":"A","done":false}"#).await;
    patch(ben, r#"{"title":"B"}"#).await;
    anna.resume(None).await;
    cluster.linked().await;
    cluster.converged().await;
    within("ben has told it", anna.synced_with(ben.key())).await.unwrap();

    let conflicts = anna.conflicts(Some("t")).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    let conflict = &conflicts[0];
    assert_eq!((&conflict.id, conflict.field.as_str()), (&milk(), "title"));
    assert_eq!((conflict.kind, conflict.candidates.len()), (FieldKind::Plain, 2));
    let of = |key| conflict.candidates.iter().position(|it| it.writer.as_ref().unwrap().key == key);
    let (annas, bens) = (of(anna.key()).unwrap(), of(ben.key()).unwrap());
    assert_eq!(conflict.candidates[annas].value.text(), r#""A""#);
    assert_eq!(conflict.candidates[bens].value.text(), r#""B""#);
    assert_eq!(conflict.candidates[annas].seen_by, [ben.key()]);
    assert_eq!(conflict.candidates[0].value.text(), title(anna));

    let explained = anna.explain(&milk(), "title").await.unwrap().unwrap();
    assert_eq!(explained.candidates, conflict.candidates);
    assert!(explained.rule.contains("the latest stamp shows"), "{}", explained.rule);
    assert_eq!(anna.explain(&milk(), "none").await.unwrap(), None);
    assert!(anna.conflicts(Some("other")).await.unwrap().is_empty());

    // The value that did not show is kept; who decided from what was there before is told so.
    let none = conflict.keep(2).await;
    assert!(matches!(none, Err(ResolveError::NoCandidate { index: 2, count: 2 })), "{none:?}");
    let stale = ben.conflicts(None).await.unwrap();
    conflict.keep(1).await.unwrap();
    assert_eq!(title(anna), conflict.candidates[1].value.text());
    cluster.converged().await;
    assert!(ben.conflicts(None).await.unwrap().is_empty());
    let late = stale[0].set(Json::number(1)).await;
    assert!(matches!(late, Err(ResolveError::Changed)), "{late:?}");
    assert_eq!(title(ben), title(anna));
    cluster.close().await;
}

/// What a client shows of the field, and what is held.
fn held(replica: &Replica, field: &str) -> (String, Vec<String>) {
    let record = RecordView::new(replica.read().unwrap()).get(&milk()).unwrap().unwrap();
    let field = &record.fields[field];
    let versions = field.versions.iter().map(|version| version.value.text().to_owned()).collect();
    (field.value.text().to_owned(), versions)
}

/// Both nodes do something at once, and then know all of it.
async fn at_once(cluster: &Cluster, anna: impl AsyncFnOnce(), ben: impl AsyncFnOnce()) {
    cluster.nodes[0].pause(None).await;
    anna().await;
    ben().await;
    cluster.nodes[0].resume(None).await;
    cluster.linked().await;
    cluster.converged().await;
}

async fn only_conflict(replica: &Replica) -> Conflict {
    let mut conflicts = replica.conflicts(None).await.unwrap();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    conflicts.remove(0)
}

async fn count(replica: &Replica, field: &'static str, delta: i64) {
    records::write(replica, move |tx| tx.count(&milk(), field, delta)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_clash_are_listed_and_ended_like_values() {
    #[derive(Debug, Default, Record)]
    #[millpond(collection = "t")]
    struct Tagged {
        #[millpond(key)]
        id: String,
        x: Set<String>,
    }
    #[derive(Debug, Default, Record)]
    #[millpond(collection = "t")]
    struct Counted {
        #[millpond(key)]
        id: String,
        x: Counter,
    }
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    let tagged = Tagged { id: "milk".into(), x: ["dairy".to_owned()].into() };
    let store = async || ben.write(move |tx| tx.store(&tagged)).await.unwrap();
    at_once(&cluster, async || count(anna, "x", 5).await, async || drop(store().await)).await;

    let conflict = only_conflict(ben).await;
    let kinds: Vec<FieldKind> = conflict.candidates.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [FieldKind::Counter, FieldKind::Set]);
    assert!(conflict.is_clash());
    let (shown, versions) = held(anna, "x");
    assert_eq!(
        (shown.as_str(), &versions[..]),
        ("5", &["5".to_owned(), r#"["dairy"]"#.into()][..])
    );
    let explained = anna.explain(&milk(), "x").await.unwrap().unwrap();
    assert!(explained.rule.contains("different types"), "{}", explained.rule);
    // Each typed reader sees its own type.
    let counted = Collection::<Counted>::new(anna.read().unwrap()).get("milk").unwrap().unwrap();
    let tagged = Collection::<Tagged>::new(anna.read().unwrap()).get("milk").unwrap().unwrap();
    assert_eq!((counted.x.value(), tagged.x.len()), (5, 1));

    // One more element is one more write than was seen.
    let more = |tx: &mut millpond::WriteTx<'_>| {
        tx.edit::<Tagged, _>("milk", |it| it.x.insert("cold")).map(drop)
    };
    ben.write(more).await.unwrap();
    assert!(matches!(conflict.keep(0).await, Err(ResolveError::Changed)));
    only_conflict(ben).await.keep(1).await.unwrap();
    cluster.converged().await;
    assert_eq!(held(anna, "x"), (r#"["cold","dairy"]"#.into(), vec![]));
    assert!(anna.conflicts(None).await.unwrap().is_empty());

    // Back again: the counter counts again what it had counted.
    anna.undo_decision(&milk(), "x").await.unwrap();
    cluster.converged().await;
    let (shown, versions) = held(ben, "x");
    assert_eq!((shown.as_str(), versions.len()), ("5", 2));
    only_conflict(ben).await.set(Json::parse("\"plain\"").unwrap()).await.unwrap();
    cluster.converged().await;
    assert_eq!(held(anna, "x"), ("\"plain\"".into(), vec!["\"plain\"".to_owned()]));
    anna.undo_decision(&milk(), "x").await.unwrap();
    let (shown, versions) = held(anna, "x");
    assert_eq!((shown.as_str(), versions[1].as_str()), ("5", r#"["cold","dairy"]"#));
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_a_conflict_is_undone_on_any_node_and_nothing_later_is() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    let put = |replica, value| async move { patch(replica, value).await };
    let torn = async || {
        at_once(
            &cluster,
            async || put(anna, r#"{"title":"A"}"#).await,
            async || put(ben, r#"{"title":"B"}"#).await,
        )
        .await;
        held(anna, "title")
    };
    let nothing = anna.undo_decision(&milk(), "title").await;
    assert!(matches!(nothing, Err(ResolveError::NothingToUndo)), "{nothing:?}");
    let before = torn().await;
    only_conflict(anna).await.keep(1).await.unwrap();
    cluster.converged().await;
    assert_eq!(held(ben, "title").0, before.1[1]);
    ben.undo_decision(&milk(), "title").await.unwrap();
    cluster.converged().await;
    assert_eq!(held(anna, "title"), before, "the same value shows, and both are held");
    let again = anna.undo_decision(&milk(), "title").await;
    assert!(matches!(again, Err(ResolveError::NothingToUndo)), "{again:?}");

    // What was written since, and is known, is not undone.
    only_conflict(anna).await.set(Json::number(1)).await.unwrap();
    patch(anna, r#"{"title":"later"}"#).await;
    let late = anna.undo_decision(&milk(), "title").await;
    assert!(matches!(late, Err(ResolveError::Changed)), "{late:?}");
    assert_eq!(title(anna), r#""later""#);
    cluster.converged().await;

    // What was written since, and is not known, stays and shows.
    torn().await;
    only_conflict(anna).await.keep(1).await.unwrap();
    cluster.converged().await;
    at_once(
        &cluster,
        async || drop(anna.undo_decision(&milk(), "title").await.unwrap()),
        async || patch(ben, r#"{"title":"unseen"}"#).await,
    )
    .await;
    let (shown, versions) = held(anna, "title");
    assert_eq!((shown.as_str(), versions.len()), (r#""unseen""#, 3), "{versions:?}");

    // Of two that undo at once each value comes back twice, which one decision ends.
    only_conflict(anna).await.set(Json::number(2)).await.unwrap();
    cluster.converged().await;
    let undo =
        async |replica: &Replica| drop(replica.undo_decision(&milk(), "title").await.unwrap());
    at_once(&cluster, async || undo(anna).await, async || undo(ben).await).await;
    assert_eq!(held(anna, "title").1.len(), 6);
    only_conflict(anna).await.keep(0).await.unwrap();
    cluster.converged().await;
    assert_eq!(title(ben), r#""unseen""#);

    // A record that is deleted takes its notes along.
    records::write(anna, |tx| tx.delete(&milk())).await.unwrap();
    let gone = anna.undo_decision(&milk(), "title").await;
    assert!(matches!(gone, Err(ResolveError::NothingToUndo)), "{gone:?}");
    cluster.converged().await;
    assert_eq!(anna.seal().await.unwrap().rows, 0, "nothing stays");
    cluster.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_followed_from_those_that_there_are() {
    async fn next(conflicts: &mut Conflicts) -> ConflictEvent {
        within("an event", conflicts.next()).await.unwrap().unwrap()
    }
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    let tear = async |name: &str| {
        let of = |value: &str| format!(r#"{{"{name}":"{value}"}}"#);
        let (a, b) = (of("A"), of("B"));
        at_once(&cluster, async || patch(anna, &a).await, async || patch(ben, &b).await).await;
    };
    tear("title").await;
    let mut conflicts = ben.follow_conflicts().collection("t");
    let ConflictEvent::Arisen(conflict) = next(&mut conflicts).await else { panic!() };
    assert_eq!((conflict.field.as_str(), conflict.candidates.len()), ("title", 2));
    let ConflictEvent::Cut(token) = next(&mut conflicts).await else { panic!("all are told") };

    // What changes beside it is no news; what arises, and ends, is.
    patch(anna, r#"{"done":true}"#).await;
    tear("other").await;
    let ConflictEvent::Arisen(other) = next(&mut conflicts).await else { panic!() };
    assert_eq!((other.field.as_str(), other.candidates.len()), ("other", 2));
    assert!(matches!(next(&mut conflicts).await, ConflictEvent::Cut(_)));
    conflict.keep(0).await.unwrap();
    let ended = next(&mut conflicts).await;
    let is_title = |field: &str| field == "title";
    assert!(matches!(ended, ConflictEvent::Ended { field, .. } if is_title(&field)));

    // From the token, on another replica: what is in conflict of what has changed since.
    cluster.converged().await;
    let mut resumed = anna.follow_conflicts().since(token);
    let ConflictEvent::Arisen(other) = next(&mut resumed).await else { panic!() };
    assert_eq!(other.field, "other");
    assert!(matches!(next(&mut resumed).await, ConflictEvent::Cut(_)));
    cluster.close().await;
    while conflicts.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_write_the_same_are_no_conflict() {
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    let same = async |replica: &Replica| patch(replica, r#"{"title":"same"}"#).await;
    at_once(&cluster, async || same(anna).await, async || same(ben).await).await;
    assert_eq!(held(anna, "title").1.len(), 2, "both are held");
    assert!(anna.conflicts(None).await.unwrap().is_empty());
    cluster.close().await;
}

/// A value in a nested struct of a map is named by what leads to it, and treated as any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_within_fields_is_listed_ended_and_undone() {
    #[derive(Debug, Default, Record)]
    struct Contact {
        phone: Multi<String>,
        mail: String,
    }
    #[derive(Debug, Default, Record)]
    #[millpond(collection = "t")]
    struct Person {
        #[millpond(key)]
        id: String,
        contacts: Map<String, Nested<Contact>>,
    }
    const PHONE: &str = "contacts/at %2F home/phone";
    let cluster = Cluster::start(2).await;
    let [anna, ben] = &cluster.nodes[..] else { unreachable!() };
    let call = async |replica: &Replica, phone: &'static str| {
        let edit = move |tx: &mut WriteTx<'_>| {
            tx.edit_or_create::<Person, _>("milk", |person| {
                let mut contact = person.contacts.entry("at / home").expect("a short key");
                contact.phone.set(phone);
                contact.mail.set("m@example.org");
            })
        };
        replica.write(edit).await.unwrap();
    };
    at_once(&cluster, async || call(anna, "1").await, async || call(ben, "2").await).await;

    let phones = |replica: &Replica| {
        let people = Collection::<Person>::new(replica.read().unwrap());
        let person = people.get("milk").unwrap().unwrap();
        let phone = &person.contacts.get("at / home").unwrap().phone;
        let mut phones: Vec<String> = phone.values().to_vec();
        phones.sort();
        phones
    };
    assert_eq!(phones(ben), ["1", "2"]);
    let conflict = only_conflict(ben).await;
    assert_eq!((conflict.field.as_str(), conflict.kind), (PHONE, FieldKind::Multi));
    assert_eq!(conflict.candidates.len(), 2, "both mails are alike, and in no conflict");
    let explained = ben.explain(&milk(), PHONE).await.unwrap().unwrap();
    assert_eq!(explained.candidates, conflict.candidates);

    let mut followed = anna.follow_conflicts();
    let arisen = within("it is told", followed.next()).await.unwrap().unwrap();
    assert!(matches!(arisen, ConflictEvent::Arisen(it) if it.field == PHONE));
    let kept = conflict.candidates.iter().position(|it| it.value.text() == r#""1""#).unwrap();
    conflict.keep(kept).await.unwrap();
    cluster.converged().await;
    assert_eq!((phones(anna), phones(ben)), (vec!["1".to_owned()], vec!["1".to_owned()]));
    within("its end is told", async {
        loop {
            match followed.next().await.unwrap().unwrap() {
                ConflictEvent::Ended { id, field } => {
                    break assert_eq!((id, &*field), (milk(), PHONE));
                }
                _ => continue,
            }
        }
    })
    .await;
    assert!(anna.conflicts(None).await.unwrap().is_empty());

    anna.undo_decision(&milk(), PHONE).await.unwrap();
    assert_eq!(phones(anna), ["1", "2"]);
    assert_eq!(only_conflict(anna).await.field, PHONE);
    cluster.close().await;
}
