//! The folder that a run keeps its stores in.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Result, machine};

/// A folder on a disk, removed with all its content at the end.
pub struct ScratchFolder {
    folder: TempDir,
    filesystem: String,
}

impl ScratchFolder {
    /// A new folder in `parent`, or else beside this program.
    pub fn create(parent: Option<&Path>, allow_memory: bool) -> Result<Self> {
        let parent = match parent {
            Some(parent) => parent.to_owned(),
            None => program_folder()?,
        };
        std::fs::create_dir_all(&parent)?;
        let folder = tempfile::Builder::new().prefix("harness-").tempdir_in(&parent)?;
        let filesystem = machine::filesystem(folder.path());
        let found = Self { folder, filesystem };
        if found.is_memory() && !allow_memory {
            let parent = parent.display();
            return Err(format!(
                "{parent} is in memory ({}), where syncing costs nothing; choose a folder on a disk \
                 with --dir",
                found.filesystem
            )
            .into());
        }
        Ok(found)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What holds it.
    pub fn filesystem(&self) -> &str {
        &self.filesystem
    }

    /// Whether nothing in it reaches a disk.
    pub fn is_memory(&self) -> bool {
        matches!(&self.filesystem[..], "tmpfs" | "ramfs")
    }
}

fn program_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().ok_or("this program is in no folder")?.to_owned())
}
