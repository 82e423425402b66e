//! A field with several values.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use millpond_core::{Dot, Hlc, Incarnation, NodeKey, Payload};

use crate::records::{Field, FieldKind, FieldVersion, Json, RecordError, RecordId, RecordView};
use crate::replication::{Answer, Request, Sight};
use crate::state::{WriteError, WriteTx};
use crate::{Receipt, Replica};

/// A field that several nodes wrote without seeing each other's writes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conflict {
    /// Of which record.
    pub id: RecordId,
    /// Which field.
    pub field: String,
    /// A plain field shows its latest value, and all others are held; of a multi-value one all show.
    pub kind: FieldKind,
    /// The values, the one that readers see first.
    pub candidates: Vec<Candidate>,
    replica: Replica,
}

/// One of the values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// What was written.
    pub value: Json,
    /// When, by its writer's clock.
    pub stamp: Hlc,
    /// By which write.
    pub dot: Dot,
    /// By whom, if that is known here.
    pub writer: Option<Writer>,
    /// The other members that have it on their disks, as far as is known here.
    pub seen_by: Vec<NodeKey>,
}

/// A node that wrote something.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Writer {
    /// Its key.
    pub key: NodeKey,
    /// Its name; the first digits of the key while unknown.
    pub name: String,
}

/// Why a conflict was not ended. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The field has other values than it had when it was read: whoever decided has not seen all of them.
    #[error("the field has changed; read it again and decide again")]
    Changed,
    /// There are not so many values.
    #[error("there is no value {index}: there are {count}, counted from zero")]
    NoCandidate {
        /// Which one was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The write was refused or failed.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<WriteError> for ResolveError {
    fn from(error: WriteError) -> Self {
        Self::Record(error.into())
    }
}

impl Replica {
    /// The fields with several values, of one collection or of all, in path order. Reads all of it.
    ///
    /// # Errors
    /// [`RecordError::Store`], and [`RecordError::Id`] for a collection that has no valid name.
    pub async fn conflicts(&self, collection: Option<&str>) -> Result<Vec<Conflict>, RecordError> {
        let view = RecordView::new(self.read()?);
        let collection = collection.map(str::to_owned);
        let reading = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            view.conflicts(collection.as_deref(), &mut |record| {
                let fields = record.conflicts();
                let fields = fields.map(|(name, field)| (name.to_owned(), field.clone()));
                found.extend(fields.map(|(name, field)| (record.id.clone(), name, field)));
                ControlFlow::Continue(())
            })?;
            Ok::<_, RecordError>(found)
        });
        let found = reading.await.map_err(|_| RecordError::from(WriteError::Closed))??;
        let authors = found.iter().flat_map(|(_, _, field)| &field.versions);
        let known = self.known(authors.map(FieldVersion::author).collect()).await;
        let conflict = |(id, name, field): (RecordId, String, Field)| Conflict {
            id,
            field: name,
            kind: field.kind,
            candidates: known.candidates(field.versions),
            replica: self.clone(),
        };
        Ok(found.into_iter().map(conflict).collect())
    }

    /// The values of one field; `None` if it has not several.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn conflict(
        &self,
        id: &RecordId,
        field: &str,
    ) -> Result<Option<Conflict>, RecordError> {
        let found = self.field(id, field).await?.filter(|found| found.versions.len() > 1);
        let Some(Field { kind, versions, .. }) = found else { return Ok(None) };
        let known = self.known(versions.iter().map(FieldVersion::author).collect()).await;
        Ok(Some(Conflict {
            id: id.clone(),
            field: field.to_owned(),
            kind,
            candidates: known.candidates(versions),
            replica: self.clone(),
        }))
    }

    /// A field as it is; `None` if there is none.
    pub(super) async fn field(
        &self,
        id: &RecordId,
        field: &str,
    ) -> Result<Option<Field>, RecordError> {
        let (view, id) = (RecordView::new(self.read()?), id.clone());
        let reading = tokio::task::spawn_blocking(move || view.get(&id));
        let record = reading.await.map_err(|_| RecordError::from(WriteError::Closed))??;
        Ok(record.and_then(|mut record| record.fields.remove(field)))
    }

    /// What the engine knows of these authors, and of who holds what.
    pub(super) async fn known(&self, authors: BTreeSet<Incarnation>) -> Known {
        let sight = self.sight().await.map(|sight| sight.borrow().clone()).unwrap_or_default();
        let writers = match self.ask(Request::Writers(authors)).await {
            Some(Answer::Writers(writers)) => writers,
            _ => BTreeMap::new(),
        };
        Known { sight, writers }
    }
}

/// Who wrote what, and who holds it.
pub(super) struct Known {
    sight: Sight,
    writers: BTreeMap<Incarnation, Writer>,
}

impl Known {
    pub(super) fn candidates(&self, versions: Vec<FieldVersion>) -> Vec<Candidate> {
        let candidate = |version: FieldVersion| {
            let peers = self.sight.peers.iter();
            let has_it = peers.filter(|(_, peer)| peer.durable.covers(version.dot));
            Candidate {
                seen_by: has_it.map(|(&key, _)| key).collect(),
                writer: self.writers.get(&version.author()).cloned(),
                value: version.value,
                stamp: version.stamp,
                dot: version.dot,
            }
        };
        versions.into_iter().map(candidate).collect()
    }
}

impl Conflict {
    /// Ends it with one of its values, counted from zero. It is an ordinary write, by this node, with a stamp of now.
    ///
    /// # Errors
    /// Any [`ResolveError`].
    pub async fn keep(&self, index: usize) -> Result<Receipt, ResolveError> {
        let count = self.candidates.len();
        let Some(kept) = self.candidates.get(index).map(|it| it.dot) else {
            return Err(ResolveError::NoCandidate { index, count });
        };
        self.resolve(move |payloads| payloads.iter().find(|it| it.0 == kept).map(|it| it.1.clone()))
            .await
    }

    /// Ends it with another value.
    ///
    /// # Errors
    /// Any [`ResolveError`].
    pub async fn set(&self, value: Json) -> Result<Receipt, ResolveError> {
        let bytes = Bytes::copy_from_slice(value.text().as_bytes());
        let with_bytes = move |payloads: &[(Dot, Payload)]| {
            payloads.first().map(|(_, payload)| Payload { kind: payload.kind, bytes })
        };
        self.resolve(with_bytes).await
    }

    /// Ends it with what a function makes of its values, the one that readers see first: the same values give the
    /// same result on every node if it is pure.
    ///
    /// # Errors
    /// Any [`ResolveError`].
    pub async fn merge(
        &self,
        merge: impl FnOnce(&[Json]) -> Json,
    ) -> Result<Receipt, ResolveError> {
        let values: Vec<Json> = self.candidates.iter().map(|it| it.value.clone()).collect();
        self.set(merge(&values)).await
    }

    /// Writes the field, if it has the values that were read, and no other.
    async fn resolve(
        &self,
        choose: impl FnOnce(&[(Dot, Payload)]) -> Option<Payload> + Send + 'static,
    ) -> Result<Receipt, ResolveError> {
        let path = self.id.path().child(&self.field).map_err(WriteError::from)?;
        let seen: Vec<Dot> = self.candidates.iter().map(|it| it.dot).collect();
        let write = move |tx: &mut WriteTx<'_>| {
            let entry = tx.entry(&path)?;
            let is_seen = |dot: &Dot| seen.contains(dot);
            let live = entry.live();
            if live.len() != seen.len() || !live.iter().all(|live| is_seen(&live.dot)) {
                return Err(ResolveError::Changed);
            }
            let payloads: Vec<(Dot, Payload)> =
                live.iter().map(|live| (live.dot, live.payload.clone())).collect();
            let payload = choose(&payloads).ok_or(ResolveError::Changed)?;
            Ok(tx.put(path, payload)?)
        };
        self.replica.write(write).await.map(|((), receipt)| receipt)
    }
}
