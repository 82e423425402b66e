//! Why a field shows what it shows.

use millpond_core::Dot;

use crate::Replica;
use crate::conflicts::Candidate;
use crate::records::{Field, FieldKind, FieldVersion, Json, RecordError, RecordId};

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
    /// The writes of each of them.
    dots: Vec<Vec<Dot>>,
}

impl Explanation {
    /// The writes that the candidates are put together of.
    pub fn seen(&self) -> impl Iterator<Item = Dot> + '_ {
        self.dots.iter().flatten().copied()
    }
}

impl Replica {
    /// Why a field shows what it shows here; `None` if there is no such field. One in a map or a nested struct goes by the
    /// names that lead to it, as in [`Conflict::field`](crate::Conflict::field).
    ///
    /// # Errors
    /// [`RecordError::Store`].
    pub async fn explain(
        &self,
        id: &RecordId,
        field: &str,
    ) -> Result<Option<Explanation>, RecordError> {
        let Some(field) = self.field(id, field).await? else { return Ok(None) };
        let rule = rule(&field);
        let dots = field.versions.iter().map(|version| version.dots().to_vec()).collect();
        let authors = field.versions.iter().map(FieldVersion::author).collect();
        let candidates = self.known(authors).await.candidates(field.versions);
        Ok(Some(Explanation { value: field.value, kind: field.kind, rule, candidates, dots }))
    }
}

fn rule(field: &Field) -> &'static str {
    if field.is_clash() {
        return "made with different types, which cannot be merged: a flag shows before a value, that before a counter, a set, a log, a map; typed readers see their own type; all are held";
    }
    match (field.kind, field.versions.len()) {
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
