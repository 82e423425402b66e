//! Records over a replica.

use std::ops::ControlFlow;

use millpond::records::{
    self, Document, FieldKind, Precondition, Record, RecordError, RecordId, RecordView, Scan,
};
use millpond::{ChangeFilter, Receipt, Replica};

use crate::client::replica;

fn id(text: &str) -> RecordId {
    text.parse().unwrap()
}

fn document(text: &str) -> Document {
    Document::parse(text).unwrap()
}

async fn put(replica: &Replica, record: &str, fields: &str) -> Receipt {
    let (record, fields) = (id(record), document(fields));
    let ((), receipt) = records::write(replica, move |tx| tx.put(&record, &fields)).await.unwrap();
    receipt
}

async fn patch(replica: &Replica, record: &str, fields: &str) {
    let (record, fields) = (id(record), document(fields));
    records::write(replica, move |tx| tx.patch(&record, &fields)).await.unwrap();
}

fn get(replica: &Replica, record: &str) -> Option<Record> {
    view(replica).get(&id(record)).unwrap()
}

fn fields(replica: &Replica, record: &str) -> Option<String> {
    get(replica, record).map(|record| serde_json::to_string(&record.document()).unwrap())
}

fn view(replica: &Replica) -> RecordView {
    RecordView::new(replica.read().unwrap())
}

#[tokio::test]
async fn put_replaces_and_patch_changes() {
    let (_dir, replica) = replica().await;
    put(&replica, "tasks/milk", r#"{"title":"Buy milk","done":false}"#).await;
    patch(&replica, "tasks/milk", r#"{"done":true,"note":null,"due":"today"}"#).await;
    let patched = r#"{"done":true,"due":"today","title":"Buy milk"}"#;
    assert_eq!(fields(&replica, "tasks/milk").unwrap(), patched);
    put(&replica, "tasks/milk", r#"{"title":"x"}"#).await;
    assert_eq!(fields(&replica, "tasks/milk").unwrap(), r#"{"title":"x"}"#);
}

#[tokio::test]
async fn a_record_without_fields_exists_until_it_is_deleted() {
    let (_dir, replica) = replica().await;
    put(&replica, "tasks/a", "{}").await;
    assert_eq!(fields(&replica, "tasks/a").unwrap(), "{}");
    put(&replica, "tasks/b", r#"{"x":1}"#).await;
    patch(&replica, "tasks/b", r#"{"x":null}"#).await;
    assert_eq!(fields(&replica, "tasks/b").unwrap(), "{}");
    patch(&replica, "tasks/never", r#"{"x":null}"#).await;
    assert_eq!(fields(&replica, "tasks/never"), None);
    for record in ["tasks/a", "tasks/b"] {
        let deleted = records::write(&replica, move |tx| tx.delete(&id(record))).await.unwrap().0;
        assert!(deleted);
        assert_eq!(get(&replica, record), None);
    }
}

#[tokio::test]
async fn a_counter_counts_takes_no_plain_value_and_is_reset_by_a_delete() {
    let (_dir, replica) = replica().await;
    let count = async |delta| {
        let count = records::write(&replica, move |tx| tx.count(&id("t/a"), "votes", delta));
        count.await.unwrap().0
    };
    assert_eq!(count(5).await, 5);
    assert_eq!(count(-7).await, -2);
    assert_eq!(get(&replica, "t/a").unwrap().fields["votes"].kind, FieldKind::Counter);

    let refused = records::write(&replica, |tx| tx.put(&id("t/a"), &document(r#"{"votes":1}"#)));
    let error = refused.await.unwrap_err();
    assert!(matches!(&error, RecordError::IsCounter { field, .. } if field == "votes"), "{error}");
    assert_eq!(fields(&replica, "t/a").unwrap(), r#"{"votes":-2}"#);

    records::write(&replica, |tx| tx.delete(&id("t/a"))).await.unwrap();
    assert_eq!(get(&replica, "t/a"), None);
    assert_eq!(count(1).await, 1, "it begins anew");

    put(&replica, "t/b", r#"{"votes":1}"#).await;
    let refused = records::write(&replica, |tx| tx.count(&id("t/b"), "votes", 1)).await;
    assert!(matches!(refused, Err(RecordError::IsPlain { .. })));
}

#[tokio::test]
async fn a_refused_transaction_leaves_nothing_behind() {
    let (_dir, replica) = replica().await;
    put(&replica, "t/a", r#"{"x":1}"#).await;
    let before = view(&replica).vv().clone();
    let refused = records::write(&replica, |tx| {
        tx.put(&id("t/b"), &document(r#"{"x":2}"#))?;
        tx.require(&id("t/a"), Precondition::Absent)
    });
    assert!(matches!(refused.await, Err(RecordError::Changed { .. })));
    assert_eq!(get(&replica, "t/b"), None);
    assert_eq!(*view(&replica).vv(), before);
}

#[tokio::test]
async fn a_transaction_sees_its_own_writes() {
    let (_dir, replica) = replica().await;
    let seen = records::write(&replica, |tx| {
        tx.put(&id("t/a"), &document(r#"{"x":1}"#))?;
        tx.patch(&id("t/a"), &document(r#"{"y":2,"x":null}"#))?;
        Ok(tx.get(&id("t/a"))?.map(|record| serde_json::to_string(&record.document()).unwrap()))
    });
    assert_eq!(seen.await.unwrap().0.unwrap(), r#"{"y":2}"#);
    assert_eq!(fields(&replica, "t/a").unwrap(), r#"{"y":2}"#);
}

#[tokio::test]
async fn scans_keep_to_their_collection_prefix_and_start() {
    let (_dir, replica) = replica().await;
    for record in ["a/x", "b/1", "b/10", "b/2", "b/20", "b/2\u{0}", "c/2"] {
        put(&replica, record, r#"{"a":1,"b":2}"#).await;
    }
    let view = view(&replica);
    let keys = |prefix: &str, after: Option<&str>| {
        let mut keys = Vec::new();
        let scan = Scan { prefix: prefix.into(), after: after.map(Into::into) };
        view.scan("b", &scan, &mut |record| {
            keys.push(record.id.key().to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
        keys
    };
    assert_eq!(keys("", None), ["1", "10", "2", "2\u{0}", "20"]);
    assert_eq!(keys("2", None), ["2", "2\u{0}", "20"]);
    assert_eq!(keys("2", Some("2")), ["2\u{0}", "20"]);
    assert_eq!(keys("", Some("10")), ["2", "2\u{0}", "20"]);
    assert_eq!(keys("", Some("11")), ["2", "2\u{0}", "20"]);
    assert_eq!(keys("3", None), Vec::<String>::new());
    assert_eq!(view.count("b").unwrap(), 5);
    let collections = view.collections().unwrap();
    assert_eq!(collections, [("a".into(), 1), ("b".into(), 5), ("c".into(), 1)]);
}

#[tokio::test]
async fn changes_name_each_record_once_and_the_deleted_too() {
    let (_dir, replica) = replica().await;
    put(&replica, "t/a", r#"{"x":1}"#).await;
    put(&replica, "t/b", r#"{"x":1}"#).await;
    let since = view(&replica).vv().clone();
    put(&replica, "t/b", r#"{"x":2,"y":2}"#).await;
    put(&replica, "t/c", r#"{"x":3}"#).await;
    records::write(&replica, |tx| tx.delete(&id("t/a"))).await.unwrap();
    let mut changes = Vec::new();
    view(&replica)
        .changes(&since, &ChangeFilter::default(), &mut |change| {
            changes.push((change.id.to_string(), change.after.is_some()));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(
        changes,
        [("t/a".to_owned(), false), ("t/b".to_owned(), true), ("t/c".to_owned(), true)]
    );
}
