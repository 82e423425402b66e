//! The keys that a node holds: the one that it shows, and the next one.
//!
//! ```text
//! node.key   the key that the node shows
//! next.key   the one that will take its place; it is there before anybody is told of it
//! ```
//!
//! The second is renamed over the first, so that there is one at any moment, and never two that are shown.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use millpond_core::{Domain, NodeKey, Succession};

use crate::folder;
use crate::key_pair::KeyPair;
use crate::planted::planted;

/// The key pairs of a running node.
pub(crate) struct KeyRing {
    /// None for a replica that has no folder.
    dir: Option<PathBuf>,
    domain: Mutex<Domain>,
    held: Mutex<Held>,
}

struct Held {
    shown: KeyPair,
    next: Option<KeyPair>,
}

impl KeyRing {
    pub(crate) fn new(dir: &Path, domain: Domain, shown: KeyPair) -> Self {
        let dir = Some(dir.to_owned()).filter(|dir| !dir.as_os_str().is_empty());
        let domain = Mutex::new(domain);
        Self { dir, domain, held: Mutex::new(Held { shown, next: None }) }
    }

    /// The key that the node shows.
    pub(crate) fn shown(&self) -> NodeKey {
        self.held().shown.key()
    }

    /// The node has gone over to another domain, in which it gives its word from now on.
    pub(crate) fn enter(&self, domain: Domain) {
        *self.domain.lock().unwrap_or_else(PoisonError::into_inner) = domain;
    }

    /// The old key's word for the next one, which is on disk by then; the one of an attempt before, if there was one.
    pub(crate) fn prepare(&self) -> Result<Succession, String> {
        let domain = *self.domain.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.held();
        let kept = held.next.take().or_else(|| self.kept(&held.shown));
        let next = match kept {
            Some(next) => next,
            None => self.make()?,
        };
        let (old, new) = (held.shown.key(), next.key());
        let signature = held.shown.sign(&Succession::signed(domain, old, new));
        held.next = Some(next);
        Ok(Succession { old, new, signature })
    }

    /// From now on the node shows this key, which was prepared before.
    pub(crate) fn advance(&self, key: NodeKey) -> Result<KeyPair, String> {
        let mut held = self.held();
        if held.shown.key() == key {
            return Ok(held.shown.clone());
        }
        let next = held.next.take().or_else(|| self.kept(&held.shown));
        let Some(next) = next.filter(|next| next.key() == key) else {
            return Err(format!("next.key is not the key {}; rotate once more", key.short()));
        };
        if let Some(dir) = &self.dir {
            let renamed = fs::rename(next_path(dir), folder::key_path(dir));
            if let Err(error) = renamed.and_then(|()| sync_folder(dir)) {
                held.next = Some(next);
                return Err(format!("{}: {error}", folder::key_path(dir).display()));
            }
        }
        held.shown = next.clone();
        Ok(next)
    }

    /// The next key that an attempt before has left. One that is cut short was told to nobody.
    fn kept(&self, shown: &KeyPair) -> Option<KeyPair> {
        let kept = folder::read_key_file(&next_path(self.dir.as_ref()?)).ok()?;
        Some(kept).filter(|kept| kept.key() != shown.key())
    }

    fn make(&self) -> Result<KeyPair, String> {
        let next = KeyPair::generate().map_err(|error| error.to_string())?;
        let Some(dir) = &self.dir else { return Ok(next) };
        let (path, unfinished) = (next_path(dir), dir.join("next.key.new"));
        let written = remove(&unfinished).and_then(|()| {
            folder::write_key_file(&unfinished, &next)?;
            fs::rename(&unfinished, &path)?;
            sync_folder(dir)
        });
        match written {
            Ok(()) => Ok(next),
            Err(_) if planted!("the next key is on disk before it is told") => Ok(next),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// What is held is whole after any panic: each change is one assignment.
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn next_path(dir: &Path) -> PathBuf {
    dir.join("next.key")
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A name is on disk once its folder is.
#[cfg(unix)]
fn sync_folder(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_pair::verify;

    const DOMAIN: Domain = Domain::from_bytes([4; 16]);

    fn ring(dir: &Path) -> KeyRing {
        KeyRing::new(dir, DOMAIN, folder::read_key(dir).unwrap())
    }

    fn folder_with_a_key() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        folder::write_key(folder.path(), &KeyPair::generate().unwrap()).unwrap();
        folder
    }

    fn is_signed(it: &Succession) -> bool {
        verify(it.old, &Succession::signed(DOMAIN, it.old, it.new), &it.signature)
    }

    #[test]
    fn a_key_is_prepared_signed_and_shown() {
        let folder = folder_with_a_key();
        let ring = ring(folder.path());
        let told = ring.prepare().unwrap();
        assert!(is_signed(&told) && told.old == ring.shown());
        assert!(!is_signed(&Succession { new: told.old, ..told }));
        assert!(next_path(folder.path()).exists());
        ring.advance(told.new).unwrap();
        assert_eq!(ring.shown(), told.new);
        assert_eq!(folder::read_key(folder.path()).unwrap().key(), told.new);
        assert!(!next_path(folder.path()).exists());
    }

    /// The process ends after each step; the next one does the step again.
    #[test]
    fn a_node_that_ends_in_between_goes_on_or_back() {
        let folder = folder_with_a_key();
        let told = ring(folder.path()).prepare().unwrap();
        assert_eq!(ring(folder.path()).shown(), told.old, "nobody was told yet");
        let again = ring(folder.path()).prepare().unwrap();
        assert_eq!((again.old, again.new), (told.old, told.new), "the same next key");
        ring(folder.path()).advance(told.new).unwrap();
        let after = ring(folder.path());
        assert_eq!(after.shown(), told.new);
        after.advance(told.new).unwrap();
        let second = after.prepare().unwrap();
        assert!(second.old == told.new && second.new != told.new && second.new != told.old);
    }

    #[test]
    fn a_torn_next_key_is_replaced() {
        let folder = folder_with_a_key();
        fs::write(next_path(folder.path()), b"torn").unwrap();
        fs::write(folder.path().join("next.key.new"), b"torn").unwrap();
        let told = ring(folder.path()).prepare().unwrap();
        assert_eq!(folder::read_key_file(&next_path(folder.path())).unwrap().key(), told.new);
    }

    #[test]
    fn a_key_that_is_not_there_is_not_shown() {
        let folder = folder_with_a_key();
        let (ring, other) = (ring(folder.path()), KeyPair::generate().unwrap().key());
        ring.prepare().unwrap();
        assert!(ring.advance(other).unwrap_err().contains("rotate once more"));
        assert_ne!(ring.shown(), other);
    }

    /// The folder cannot be written to.
    #[test]
    fn a_next_key_that_is_not_on_disk_is_told_to_nobody() {
        let folder = folder_with_a_key();
        let ring = KeyRing::new(
            &folder.path().join("gone"),
            DOMAIN,
            folder::read_key(folder.path()).unwrap(),
        );
        let told = || ring.prepare().is_ok();
        assert!(!told());
        assert!(crate::planted::without(&["the next key is on disk before it is told"], told));
    }
}
