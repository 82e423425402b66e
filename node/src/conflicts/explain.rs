//! Why a field shows what it shows.

use crate::Replica;
use crate::conflicts::Candidate;
use crate::records::{FieldKind, FieldVersion, Json, RecordError, RecordId};

/// Why a field shows what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// What readers see.
    pub value: Json,
    /// What the field is.
    pub kind: FieldKind,
    /// By which rule that follows from what is held.
    pub rule: &'static str,
    /// The values that are held, the one that readers see first, with their writers and stamps. None of what is put
    /// together of many writes: a counter, a set, a map, a log.
    pub candidates: Vec<Candidate>,
}

impl Replica {
    /// Why a field shows what it shows here; `None` if there is no such field.
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn explain(
        &self,
        id: &RecordId,
        field: &str,
    ) -> Result<Option<Explanation>, RecordError> {
        let Some(field) = self.field(id, field).await? else { return Ok(None) };
        let rule = rule(field.kind, field.versions.len());
        let authors = field.versions.iter().map(FieldVersion::author).collect();
        let candidates = self.known(authors).await.candidates(field.versions);
        Ok(Some(Explanation { value: field.value, kind: field.kind, rule, candidates }))
    }
}

fn rule(kind: FieldKind, values: usize) -> &'static str {
    match (kind, values) {
        (FieldKind::Plain | FieldKind::Other, 0 | 1) => {
            "only one value: each write saw the ones before"
        }
        (FieldKind::Plain | FieldKind::Other, _) => {
            "written at once: the latest stamp shows, and of equal ones the greater writer's; the others are held until the next write"
        }
        (FieldKind::Multi, 0 | 1) => "only one value: each write saw the ones before",
        (FieldKind::Multi, _) => {
            "written at once: all show, the latest stamp first, until the next write"
        }
        (FieldKind::Counter, _) => "the sum of what each node added",
        (FieldKind::Flag, _) => "on or off, as the flag's rule says of writes at once",
        (FieldKind::Set, _) => "element by element, as the set's rule says of writes at once",
        (FieldKind::Map, _) => "entry by entry, each by its own rule",
        (FieldKind::Log, _) => "all entries, by their stamps",
    }
}
