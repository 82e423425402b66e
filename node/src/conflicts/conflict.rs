//! A field with several values.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use millpond_core::{Dot, Hlc, Incarnation, NodeKey};

use crate::Replica;
use crate::records::{
    Field, FieldKind, FieldPath, FieldVersion, Json, Record, RecordError, RecordId, RecordView,
    entries_of,
};
use crate::replication::{Answer, Request, Sight};
use crate::state::WriteError;

/// A field that several nodes wrote without seeing each other's writes, and not the same.
///
/// Mostly these are values of one register. Where nodes made the field with different types, a counter here and a text
/// there, each type's reading is a candidate: the types *clash*, one of them shows, and all are held.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conflict {
    /// Of which record.
    pub id: RecordId,
    /// Which field. One in a map or a nested struct goes by the names that lead to it: `contact/phone`, in which a `/`
    /// of a name is `%2F`, and its `%` is `%25`.
    pub field: String,
    /// A plain field shows its latest value, and all others are held; of a multi-value one all show.
    pub kind: FieldKind,
    /// The values, the one that readers see first.
    pub candidates: Vec<Candidate>,
    /// The writes of each of them.
    pub(super) dots: Vec<Vec<Dot>>,
    pub(super) replica: Replica,
}

/// One of the values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// What was written.
    pub value: Json,
    /// As what.
    pub kind: FieldKind,
    /// When, by its writer's clock.
    pub stamp: Hlc,
    /// By which write; of what is put together of many, such as a counter, by the latest.
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

impl Conflict {
    /// The writes that it is about: whoever decides has seen these. It is another conflict once there is one more.
    pub fn seen(&self) -> impl Iterator<Item = Dot> + '_ {
        self.dots.iter().flatten().copied()
    }

    /// Whether nodes made the field with different types.
    pub fn is_clash(&self) -> bool {
        let is_register =
            |kind| matches!(kind, FieldKind::Plain | FieldKind::Multi | FieldKind::Other);
        !self.candidates.iter().all(|candidate| is_register(candidate.kind))
    }
}

impl Replica {
    /// The fields with several values, or of several types, of one collection or of all, in path order. Reads all of it.
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
        let conflict = |(id, name, field)| known.conflict(self, id, name, field);
        Ok(found.into_iter().map(conflict).collect())
    }

    /// The values of one field, named as [`Conflict::field`] is; `None` if it has not several.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn conflict(
        &self,
        id: &RecordId,
        field: &str,
    ) -> Result<Option<Conflict>, RecordError> {
        let found = self.field(id, field).await?.filter(Field::is_conflict);
        let Some(found) = found else { return Ok(None) };
        let known = self.known(found.versions.iter().map(FieldVersion::author).collect()).await;
        Ok(Some(known.conflict(self, id.clone(), field.to_owned(), found)))
    }

    /// A field as it is; `None` if there is none.
    pub(super) async fn field(
        &self,
        id: &RecordId,
        field: &str,
    ) -> Result<Option<Field>, RecordError> {
        let (view, id, field) = (self.read()?, id.clone(), FieldPath::parse(field));
        let reading = tokio::task::spawn_blocking(move || {
            Ok(Record::field(&id, &entries_of(&view, &id)?, &field))
        });
        reading.await.map_err(|_| RecordError::from(WriteError::Closed))?
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
    pub(super) fn conflict(
        &self,
        replica: &Replica,
        id: RecordId,
        name: String,
        field: Field,
    ) -> Conflict {
        let dots = field.versions.iter().map(|version| version.dots().to_vec()).collect();
        Conflict {
            id,
            field: name,
            kind: field.kind,
            candidates: self.candidates(field.versions),
            dots,
            replica: replica.clone(),
        }
    }

    pub(super) fn candidates(&self, versions: Vec<FieldVersion>) -> Vec<Candidate> {
        let candidate = |version: FieldVersion| {
            let peers = self.sight.peers.iter();
            let has_it = peers
                .filter(|(_, peer)| version.dots().iter().all(|dot| peer.durable.covers(*dot)));
            Candidate {
                seen_by: has_it.map(|(&key, _)| key).collect(),
                writer: self.writers.get(&version.author()).cloned(),
                value: version.value,
                kind: version.kind,
                stamp: version.stamp,
                dot: version.dot,
            }
        };
        versions.into_iter().map(candidate).collect()
    }
}
