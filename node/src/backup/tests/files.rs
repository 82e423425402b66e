//! Backups as files, and folders that are made of them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use millpond_core::Namespace;
use tempfile::TempDir;

use super::world::{dump, go_on};
use crate::backup::error::Fault;
use crate::backup::file::{NewFile, remove_unfinished};
use crate::backup::{
    BackupError, BackupOptions, Restore, clone_folder, create, file_name, info, list, receive,
    restore, verify,
};
use crate::folder::{self, OpenError};
use crate::planted::without;
use crate::records::{Document, RecordId, RecordView, write};
use crate::store::Store;
use crate::{Config, Replica};

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, name: &str) -> Config {
        Config::new(self.path(name))
    }

    /// A replica with some records.
    async fn replica(&self, name: &str) -> Replica {
        Replica::init(&self.config(name)).unwrap();
        let replica = Replica::open(self.config(name)).await.unwrap();
        for n in 0..20 {
            put(&replica, &format!("k{n}"), n).await;
        }
        replica
    }

    fn files(&self, name: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.path(name)).unwrap();
        let mut files: Vec<String> =
            files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }
}

async fn put(replica: &Replica, key: &str, n: u64) {
    let id = RecordId::new("t", key).unwrap();
    let fields = Document::parse(&format!("{{\"n\": {n}}}")).unwrap();
    write(replica, move |tx| tx.put(&id, &fields)).await.unwrap();
}

const AGAIN: Restore = Restore::IntoDomain { key: None };

#[tokio::test]
async fn a_running_replica_is_put_aside_while_it_writes() {
    let place = Place::new();
    let replica = place.replica("a").await;
    let sealed = replica.seal().await.unwrap();
    let to = place.path("a.mpb");
    // What is written once the snapshot is taken is not in it.
    let writer = replica.clone();
    let handle = tokio::runtime::Handle::current();
    let written = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = written.clone();
    let made = replica
        .back_up(&to, BackupOptions::default(), move |_| {
            handle.block_on(put(&writer, "later", 1));
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    assert!(written.load(std::sync::atomic::Ordering::Relaxed) >= 2, "once for each block");
    assert_ne!(replica.seal().await.unwrap(), sealed);
    assert_eq!(verify(&to, &mut go_on).unwrap(), made);
    assert_eq!(info(&to).unwrap(), made);
    assert_eq!(made.key, replica.key().to_string());
    assert!(!made.has_key);
    let again = replica.back_up(&to, BackupOptions::default(), go_on).await;
    assert!(matches!(again, Err(BackupError::Exists { .. })), "{again:?}");

    // The original goes on elsewhere, so this is a node that lost its folder and has its key.
    let mut config = place.config("b");
    let key = Some(folder::key_path(&place.path("a")));
    let restored = restore(&to, &config, Restore::IntoDomain { key }, &mut go_on).unwrap();
    assert!(restored.is_member && restored.key == replica.key());
    assert_eq!(restored.info, made);
    assert_eq!(place.files("b"), ["millpond.lock", "millpond.redb", "node.key"]);
    let incarnation = replica.status().await.node.incarnation;
    replica.close().await;
    config.state_dir = Some(place.path("state"));
    let restored = Replica::open(config).await.unwrap();
    assert_eq!(restored.seal().await.unwrap(), sealed);
    put(&restored, "own", 1).await;
    assert_ne!(restored.status().await.node.incarnation, incarnation);
    restored.close().await;
}

#[tokio::test]
async fn the_key_is_in_a_backup_only_if_it_is_asked_for() {
    let place = Place::new();
    let replica = place.replica("a").await;
    replica.close().await;
    drop(replica);
    let (plain, keyed) = (place.path("plain.mpb"), place.path("keyed.mpb"));
    create(&place.config("a"), &plain, BackupOptions::default(), &mut go_on).unwrap();
    create(&place.config("a"), &keyed, BackupOptions { with_key: true }, &mut go_on).unwrap();
    let secret = std::fs::read(folder::key_path(&place.path("a"))).unwrap();
    let holds = |path: &Path| {
        std::fs::read(path).unwrap().windows(secret.len()).any(|window| window == secret)
    };
    assert!(!holds(&plain) && holds(&keyed));
    assert!(verify(&keyed, &mut go_on).unwrap().has_key);

    // What an API sends gets the key as it is written.
    let added = place.path("added.mpb");
    let file = std::fs::File::open(&plain).unwrap();
    let made = receive(file, &added, Some(&place.path("a")), &mut go_on).unwrap();
    assert_eq!(verify(&added, &mut go_on).unwrap(), made);
    assert!(made.has_key && holds(&added));

    let refused = restore(&plain, &place.config("b"), AGAIN, &mut go_on).unwrap_err();
    assert!(matches!(refused, BackupError::NoKey { .. }), "{refused}");
    assert_eq!(place.files("b"), ["millpond.lock"]);
    let restored = restore(&keyed, &place.config("b"), AGAIN, &mut go_on).unwrap();
    assert_eq!(restored.key.to_string(), made.key);
    assert_eq!(std::fs::read(folder::key_path(&place.path("b"))).unwrap(), secret);
    let again = restore(&keyed, &place.config("b"), AGAIN, &mut go_on).unwrap_err();
    let is_taken = matches!(again, BackupError::Folder(OpenError::AlreadyInitialised { .. }));
    assert!(is_taken, "{again}");
}

#[tokio::test]
async fn a_fork_is_a_domain_of_its_own() {
    let place = Place::new();
    let replica = place.replica("a").await;
    let to = place.path("a.mpb");
    let options = BackupOptions { with_key: true };
    let made = replica.back_up(&to, options, go_on).await.unwrap();
    let sealed = replica.seal().await.unwrap();
    let forked = restore(&to, &place.config("fork"), Restore::AsFork, &mut go_on).unwrap();
    assert_ne!(forked.key, replica.key(), "also when the old key is at hand");
    assert_ne!(format!("{:#}", forked.domain), made.domain);
    assert!(forked.recovery_key.is_some());
    let fork = Replica::open(place.config("fork")).await.unwrap();
    assert_eq!(fork.seal().await.unwrap(), sealed);
    put(&fork, "k1", 100).await;
    fork.invite(crate::InviteOptions::default()).await.unwrap();
    let status = fork.status().await;
    assert_eq!((status.peers.len(), &*status.node.role), (0, "admin"));
    fork.close().await;
    replica.close().await;
}

#[tokio::test]
async fn a_damaged_backup_leaves_nothing_in_the_folder() {
    let place = Place::new();
    let replica = place.replica("a").await;
    let to = place.path("a.mpb");
    replica.back_up(&to, BackupOptions { with_key: true }, go_on).await.unwrap();
    replica.close().await;
    let mut bytes = std::fs::read(&to).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&to, bytes).unwrap();
    let refused = restore(&to, &place.config("b"), AGAIN, &mut go_on).unwrap_err();
    assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");
    assert_eq!(place.files("b"), ["millpond.lock"]);
    let stopped = verify(&place.path("nowhere.mpb"), &mut go_on).unwrap_err();
    assert!(matches!(stopped, BackupError::Io { .. }), "{stopped}");
}

#[tokio::test]
async fn a_clone_has_a_key_of_its_own_and_all_data() {
    let place = Place::new();
    let replica = place.replica("a").await;
    let invite = replica.invite(crate::InviteOptions::default()).await.unwrap();
    let from = place.config("a");
    let busy = clone_folder(&from, &place.config("b"), invite.clone(), &mut go_on).unwrap_err();
    assert!(busy.to_string().contains("in use"), "{busy}");
    replica.close().await;
    drop(replica);
    let cloned = clone_folder(&from, &place.config("b"), invite, &mut go_on).unwrap();
    assert_ne!(cloned.key.to_string(), cloned.info.key);
    assert!(!cloned.is_member, "it has yet to be taken in");
    let stores = [from, place.config("b")].map(|config| folder::look(&config).unwrap());
    let [original, clone] = stores.each_ref().map(|store| store as &dyn Store);
    for namespace in [Namespace::SYSTEM, Namespace::MAIN] {
        assert_eq!(dump(clone, namespace), dump(original, namespace));
    }
    let view = crate::View::new(clone.snapshot().unwrap(), Namespace::MAIN).unwrap();
    let id = RecordId::new("t", "k3").unwrap();
    assert!(RecordView::new(view).get(&id).unwrap().is_some());
}

#[tokio::test]
async fn a_node_that_has_not_joined_has_nothing_to_put_aside() {
    let place = Place::new();
    let replica = place.replica("a").await;
    let invite = replica.invite(crate::InviteOptions::default()).await.unwrap();
    replica.close().await;
    Replica::prepare_join(&place.config("b"), &invite).unwrap();
    let to = place.path("b.mpb");
    let refused = create(&place.config("b"), &to, BackupOptions::default(), &mut go_on);
    assert!(matches!(refused, Err(BackupError::NotJoined)), "{refused:?}");
    assert!(!to.exists());
}

/// What is under the name is whole, whenever the process ends.
#[test]
fn a_file_has_its_name_once_it_is_whole() {
    let place = Place::new();
    let to = place.path("a.mpb");
    let is_hidden = || {
        let mut is_hidden = true;
        let failed = NewFile::write(&to, |_| {
            is_hidden &= !to.exists();
            Err::<(), _>(Fault::Stopped)
        });
        assert!(matches!(failed, Err(BackupError::Stopped)));
        assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0, "nothing stays");
        is_hidden
    };
    assert!(is_hidden());
    let shown = without(&["a backup has its name once it is whole"], is_hidden);
    assert!(!shown, "nothing was taken out");
    NewFile::write(&to, |_| Ok(())).unwrap();
    assert!(to.exists());
}

#[test]
fn files_are_named_after_node_and_moment() {
    assert_eq!(file_name("paris-1", 1_795_166_792_123), "paris-1-20261120T092632Z.mpb");
    assert_eq!(file_name("../a b", 0), "_a_b-19700101T000000Z.mpb");
}

#[test]
fn a_list_is_by_age_and_shows_what_is_no_backup() {
    let place = Place::new();
    for (name, now_ms) in [("c.mpb", 5), ("a.mpb", 9)] {
        let world = super::world::World::new();
        let snapshot = world.node(0).store.snapshot().unwrap();
        let about = crate::backup::writer::About { name: "a".into(), now_ms, keys: None };
        let write = |out: &mut _| crate::backup::writer::write(out, &snapshot, about, &mut go_on);
        NewFile::write(&place.path(name), write).unwrap();
    }
    std::fs::write(place.path("b.mpb"), "nonsense").unwrap();
    std::fs::write(place.path("notes.txt"), "nonsense").unwrap();
    let listed = list(place.folder.path()).unwrap();
    let names: Vec<_> = listed.iter().map(|it| it.path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["c.mpb", "a.mpb", "b.mpb"]);
    assert_eq!(listed[0].info.as_ref().unwrap().taken_ms, 5);
    assert!(matches!(listed[2].info, Err(BackupError::NotBackup { .. })));
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let place = Place::new();
    let (own, other) =
        (".a-20261120T092632Z.mpb.unfinished", ".a-b-20261120T092632Z.mpb.unfinished");
    for name in [own, other, "a-20261120T092632Z.mpb", ".a-x.unfinished"] {
        std::fs::write(place.path(name), "").unwrap();
    }
    remove_unfinished(place.folder.path(), "a").unwrap();
    assert_eq!(
        place.files("."),
        [".a-b-20261120T092632Z.mpb.unfinished", ".a-x.unfinished", "a-20261120T092632Z.mpb"]
    );
}
