//! Fields that two nodes wrote at once: listed, explained, ended.

use millpond::Replica;
use millpond::ResolveError;
use millpond::records::{self, Document, FieldKind, Json, RecordId, RecordView};

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
