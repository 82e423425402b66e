//! How an application opens a replica, and makes one that is not there yet.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::Replica;
use crate::config::Config;
use crate::folder::{self, OpenError};
use crate::indexes::Declared;
use crate::membership::Invite;
use crate::runtime::wall_ms;
use crate::typed::Record;

/// A replica that is about to be opened; made by [`Replica::builder`] and [`Replica::builder_in_memory`].
#[derive(Debug, Clone)]
#[must_use = "it opens nothing before `open` is called"]
pub struct ReplicaBuilder {
    config: Config,
    is_in_memory: bool,
    invite: Option<Invite>,
    indexes: Vec<Declared>,
}

impl Replica {
    /// Opens the replica in a folder; makes one first where there is none. For an application that keeps its data
    /// in a place of its own; [`Replica::open`] makes nothing, so that no mistyped name becomes a new domain.
    ///
    /// A new one founds a domain of its own, whose only admin it is: who wants the recovery key calls
    /// [`Replica::init`] instead. With an invite it joins the inviter's domain ([`ReplicaBuilder::join`]).
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path().join("todo");
    /// use millpond::Replica;
    ///
    /// let db = Replica::builder(&folder).offline().open().await?;
    /// db.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(dir: impl Into<PathBuf>) -> ReplicaBuilder {
        ReplicaBuilder {
            config: Config::new(dir),
            is_in_memory: false,
            invite: None,
            indexes: Vec::new(),
        }
    }

    /// Makes a new replica that lives in this process's memory, and ends with it: for tests, and for caches of
    /// what other members hold. It is a member like any other, and what it tells others that it has is as safe
    /// as its memory is: count on disks, not on it. Its transactions run as parts of tasks of the runtime, so they must
    /// not block.
    pub fn builder_in_memory() -> ReplicaBuilder {
        ReplicaBuilder {
            config: Config::new(""),
            is_in_memory: true,
            invite: None,
            indexes: Vec::new(),
        }
    }
}

impl ReplicaBuilder {
    /// Its name, for people.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.config.name = name.into();
        self
    }

    /// The UDP address on which peers reach it; a free port on loopback unless this is called.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        (self.config.listen, self.config.is_offline) = (address, false);
        self
    }

    /// Opens no socket: it reads and writes, and is alone until it is opened without this.
    pub fn offline(mut self) -> Self {
        self.config.is_offline = true;
        self
    }

    /// Redeems an invite, if the replica is new: it joins that domain instead of founding one.
    /// [`Replica::joined`] waits until it is a member.
    pub fn join(mut self, invite: Invite) -> Self {
        self.invite = Some(invite);
        self
    }

    /// Keeps the indexes that a type of records declares, from now on: see [`Index`](crate::Index). One that is new
    /// is built in the background; one of which the replica is opened without is dropped.
    pub fn register<R: Record>(mut self) -> Self {
        for index in R::indexes() {
            let is_it = |it: &Declared| it.is_called_as(&index.declared);
            if !self.indexes.iter().any(is_it) {
                self.indexes.push(index.declared);
            }
        }
        self
    }

    /// Changes any other setting.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Opens it. Must be called within a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// Any [`OpenError`]; a folder that another process uses is
    /// [`StoreError::InUse`](crate::store::StoreError::InUse).
    pub async fn open(self) -> Result<Replica, OpenError> {
        let Self { config, is_in_memory, invite, indexes } = self;
        let indexes: Arc<[Declared]> = indexes.into();
        let (opening, declared) = (config.clone(), indexes.clone());
        let open = move || match is_in_memory {
            true => folder::in_memory(&opening, invite.as_ref(), &declared, wall_ms()),
            false => open_or_make(&opening, invite.as_ref(), &declared),
        };
        let opened = tokio::task::spawn_blocking(open).await;
        Replica::start(&config, indexes, opened.expect("opening a folder does not panic")?)
    }
}

fn open_or_make(
    config: &Config,
    invite: Option<&Invite>,
    declared: &[Declared],
) -> Result<folder::Folder, OpenError> {
    match (folder::open(config, declared), invite) {
        (Err(OpenError::NotInitialised { .. }), Some(invite)) => {
            folder::prepare_join(config, invite)?;
        }
        (Err(OpenError::NotInitialised { .. }), None) => {
            folder::init(config, wall_ms())?;
        }
        (opened, _) => return opened,
    }
    folder::open(config, declared)
}
