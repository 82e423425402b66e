//! Indexes of whole replicas.

use millpond::records::RecordError;
use millpond::{Collection, Index, IndexState, InviteOptions, Record, Replica};

use crate::cluster::until;

#[derive(Debug, Default, PartialEq, Record)]
#[millpond(index(agenda(owner, due)))]
struct Task {
    #[millpond(key)]
    id: u32,
    owner: String,
    #[millpond(index)]
    due: u32,
}

/// The same records, as a later version of the program has them.
#[derive(Debug, Default, Record)]
#[millpond(collection = "task")]
struct Later {
    #[millpond(key)]
    id: u32,
    #[millpond(index)]
    owner: String,
}

async fn store(replica: &Replica, ids: std::ops::Range<u32>) {
    let store = move |tx: &mut millpond::WriteTx<'_>| {
        ids.clone().try_for_each(|id| {
            let owner = ["anna", "ben"][id as usize % 2].into();
            tx.store(&Task { id, owner, due: id * 7 % 100 })
        })
    };
    replica.write(store).await.unwrap();
}

async fn built<R: Record, V: millpond::typed::IndexKey>(replica: &Replica, index: Index<R, V>) {
    until("the index is built", async || {
        let view = Collection::<R>::new(replica.read().unwrap());
        view.by(index.clone()).state().unwrap() == IndexState::Ready
    })
    .await;
}

#[tokio::test]
async fn an_index_is_built_kept_over_restarts_changed_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Replica::builder(folder.path()).offline();
    let db = open().open().await.unwrap();
    store(&db, 0..3_000).await;
    let by_due = db.collection::<Task>().unwrap().by(TaskIndex::due()).list();
    let error = by_due.unwrap_err();
    assert!(matches!(&error, RecordError::NotIndexed { index } if index == "task.due"), "{error}");
    assert!(error.to_string().contains("register"), "{error}");
    db.close().await;
    drop(db);

    let db = open().register::<Task>().open().await.unwrap();
    let due = |db: &Replica| {
        let tasks = db.collection::<Task>().unwrap();
        let due = tasks.by(TaskIndex::due()).range(98..).descending().limit(3).list().unwrap();
        due.iter().map(|task| (task.due, task.id)).collect::<Vec<_>>()
    };
    let expected = [(99, 2957), (99, 2857), (99, 2757)];
    assert_eq!(due(&db), expected, "while it is built, or after");
    built(&db, TaskIndex::due()).await;
    built(&db, TaskIndex::agenda()).await;
    assert_eq!(due(&db), expected);
    db.write(|tx| tx.edit::<Task, _>(2957u32, |task| task.due.set(0u32))).await.unwrap();
    assert_eq!(due(&db)[0], (99, 2857));
    db.close().await;
    drop(db);

    let db = open().register::<Task>().open().await.unwrap();
    let tasks = db.collection::<Task>().unwrap();
    assert_eq!(tasks.by(TaskIndex::due()).state().unwrap(), IndexState::Ready, "it was kept");
    assert_eq!(tasks.by(TaskIndex::agenda()).first("ben").count().unwrap(), 1_500);
    assert_eq!(due(&db)[0], (99, 2857));
    db.close().await;
    drop((tasks, db));

    let db = open().register::<Later>().open().await.unwrap();
    built(&db, LaterIndex::owner()).await;
    let tasks = db.collection::<Task>().unwrap();
    assert!(matches!(tasks.by(TaskIndex::due()).list(), Err(RecordError::NotIndexed { .. })));
    let later = db.collection::<Later>().unwrap();
    assert_eq!(later.by(LaterIndex::owner()).equal("anna").count().unwrap(), 1_500);
    db.close().await;
}

#[cfg(feature = "quic")]
#[tokio::test]
async fn what_another_member_writes_is_found() {
    let anna = Replica::builder_in_memory().register::<Task>().open().await.unwrap();
    store(&anna, 0..500).await;
    let invite = anna.invite(InviteOptions::default()).await.unwrap();
    let ben = Replica::builder_in_memory().register::<Task>().join(invite).open().await.unwrap();
    ben.joined().await.unwrap();
    let due = |db: &Replica| {
        let tasks = db.collection::<Task>().unwrap();
        tasks.by(TaskIndex::due()).equal(3u32).keys().unwrap()
    };
    until("ben has all", async || due(&ben).len() == 5).await;
    built(&ben, TaskIndex::due()).await;
    assert_eq!(due(&ben), due(&anna));
    let edit = |task: &mut TaskEdit<'_>| task.due.set(3u32);
    let (_, receipt) = anna.write(move |tx| tx.edit::<Task, _>(1u32, edit)).await.unwrap();
    ben.committed().covers(&receipt.vv).await.unwrap();
    assert_eq!((due(&ben).len(), due(&ben)[0]), (6, 1));
    ben.close().await;
    anna.close().await;
}
