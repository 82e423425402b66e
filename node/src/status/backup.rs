//! What a node tells of the backups that it makes by itself.

use serde::{Deserialize, Serialize};

/// The backups that a node makes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupStatus {
    /// Where they are.
    pub folder: String,
    /// How often one is due, in seconds.
    pub every_s: u64,
    /// When the newest one was taken, in milliseconds since 1970; absent before the first.
    pub last_success_ms: Option<u64>,
    /// Its file.
    pub last_file: Option<String>,
    /// How old it is, in seconds.
    pub age_s: Option<u64>,
    /// Backups made since the node started.
    pub made: u64,
    /// Backups that failed since the node started.
    pub failed: u64,
    /// Why the last attempt failed; absent when it did not.
    pub last_error: Option<String>,
}

impl BackupStatus {
    /// What an operator should know: that backups fail, or are late.
    pub fn warning(&self) -> Option<String> {
        let Self { folder, every_s, age_s, last_error, .. } = self;
        let why = last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        match age_s {
            Some(age_s) if *age_s > every_s.saturating_mul(LATE_FACTOR) => Some(format!(
                "the last backup in {folder} is {age_s} s old, and one is due every {every_s} s{why}"
            )),
            None if last_error.is_some() => {
                Some(format!("there is no backup in {folder} yet{why}"))
            }
            _ => None,
        }
    }
}

/// One that fails is tried again before the next is due: only when that fails too is there something to do.
const LATE_FACTOR: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn status(age_s: Option<u64>, last_error: Option<&str>) -> BackupStatus {
        BackupStatus {
            folder: "/b".into(),
            every_s: 60,
            last_success_ms: None,
            last_file: None,
            age_s,
            made: 0,
            failed: 0,
            last_error: last_error.map(Into::into),
        }
    }

    #[test]
    fn late_backups_are_warned_of_with_the_reason() {
        assert_eq!(status(Some(60), Some("no room")).warning(), None);
        assert_eq!(status(None, None).warning(), None, "it has just started");
        let late = status(Some(121), Some("no room")).warning().unwrap();
        assert_eq!(late, "the last backup in /b is 121 s old, and one is due every 60 s: no room");
        let never = status(None, Some("no room")).warning().unwrap();
        assert_eq!(never, "there is no backup in /b yet: no room");
    }
}
