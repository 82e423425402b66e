//! Backups that a node makes by itself.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use super::world::World;
use crate::backup::create::create_at;
use crate::backup::{BackupOptions, BackupSchedule, Keep, list};
use crate::status::Status;
use crate::{Config, Replica};

/// The status once this holds, within a deadline.
async fn until(replica: &Replica, holds: impl Fn(&Status) -> bool) -> Status {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let looking = async {
        loop {
            tick.tick().await;
            let status = replica.status().await;
            if holds(&status) {
                return status;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.expect("it holds in time")
}

fn every(folder: &Path, seconds: u64) -> BackupSchedule {
    let mut schedule = BackupSchedule::new(folder);
    schedule.every = Duration::from_secs(seconds);
    schedule
}

#[tokio::test]
async fn a_node_makes_backups_by_itself_and_keeps_as_many_as_it_should() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    // Somebody else's, and half of one.
    std::fs::write(folder.join("other.mpb"), World::new().node(0).backup()).unwrap();
    std::fs::write(folder.join(".a-20261120T092632Z.mpb.unfinished"), "half").unwrap();
    let mut config = Config::new(place.path().join("a"));
    Replica::init(&config).unwrap();
    let keep = Keep { last: 2, daily: 0, weekly: 0 };
    config.backup = Some(BackupSchedule { keep, ..every(&folder, 1) });
    let replica = Replica::open(config.clone()).await.unwrap();
    let has_made = |status: &Status| status.backup.as_ref().is_some_and(|it| it.made >= 4);
    let backup = until(&replica, has_made).await.backup.unwrap();
    assert_eq!((backup.failed, backup.last_error), (0, None));
    assert!(backup.age_s.unwrap() <= 2);
    replica.close().await;
    let files = std::fs::read_dir(&folder).unwrap();
    let files: Vec<String> =
        files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let own = files.iter().filter(|it| it.starts_with("a-20")).count();
    assert_eq!((own, files.len()), (2, 3), "{files:?}");
    assert!(files.contains(&"other.mpb".to_owned()));

    // A restart begins no new count.
    drop(replica);
    config.backup = Some(every(&folder, 3600));
    let replica = Replica::open(config).await.unwrap();
    let knows = |status: &Status| status.backup.as_ref().unwrap().last_success_ms.is_some();
    let again = until(&replica, knows).await.backup.unwrap();
    assert!(again.last_success_ms >= backup.last_success_ms && again.made == 0, "{again:?}");
    replica.close().await;
}

/// The clock was far ahead when a backup was made, and is right now: that one counts as no newest one.
#[tokio::test]
async fn a_backup_of_a_day_to_come_holds_up_nothing_and_pushes_nothing_out() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("backups");
    let mut config = Config::new(place.path().join("a"));
    Replica::init(&config).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let ahead = folder.join("a-21000101T000000Z.mpb");
    let go_on = &mut |_| ControlFlow::Continue(());
    create_at(&config, &ahead, BackupOptions::default(), YEAR_2100_MS, go_on).unwrap();
    let keep = Keep { last: 1, daily: 0, weekly: 0 };
    config.backup = Some(BackupSchedule { keep, ..every(&folder, 1) });
    let replica = Replica::open(config.clone()).await.unwrap();
    let has_made = |status: &Status| status.backup.as_ref().is_some_and(|it| it.made >= 2);
    let backup = until(&replica, has_made).await.backup.unwrap();
    assert_eq!((backup.failed, backup.last_error), (0, None));
    replica.close().await;
    let left: Vec<_> = list(&folder).unwrap().into_iter().map(|it| it.path).collect();
    assert!(left.len() == 2 && left[1] == ahead && left[0] != ahead, "{left:?}");
}

#[tokio::test]
async fn a_backup_that_fails_is_told() {
    let place = tempfile::tempdir().unwrap();
    let mut config = Config::new(place.path().join("a"));
    Replica::init(&config).unwrap();
    // There is a file where the folder should be.
    config.backup = Some(every(&place.path().join("a/node.key"), 3600));
    let replica = Replica::open(config).await.unwrap();
    let is_told = |status: &Status| status.warnings.iter().any(|it| it.contains("no backup"));
    let backup = until(&replica, is_told).await.backup.unwrap();
    assert_eq!((backup.made, backup.last_success_ms), (0, None));
    assert!(backup.failed > 0 && backup.last_error.is_some());
    replica.close().await;
}

const YEAR_2100_MS: u64 = 4_102_444_800_000;
