//! Removals: a member leaves, or is made to.

use millpond_core::{Incarnation, NodeKey, Path, PathError};

use super::{Finals, LogAuthors, Role, grant_role, record_closed};
use crate::planted::planted;
use crate::state::{WriteError, WriteTx};

/// Removes `subject` on the word of `author`: it is no member any more, its incarnations are closed at what the
/// author covers of them, and what it has told of itself goes. What it wrote stays.
pub(crate) fn remove_member(
    tx: &mut WriteTx<'_>,
    subject: NodeKey,
    author: NodeKey,
    issued: &[(Incarnation, Finals)],
    authors: &LogAuthors,
) -> Result<(), WriteError> {
    let within: Result<Path, PathError> = Path::new([&b"member"[..], subject.as_bytes()]);
    for (path, _) in tx.entries(&within?)? {
        let field = path.components().nth(2);
        if field.as_deref() != Some(b"closed") {
            tx.delete(&path)?;
        }
    }
    // Whose they are a closed one's record tells as well.
    let is_closed = !planted!("a removal closes what its subject issued");
    for (incarnation, finals) in issued.iter().filter(|_| is_closed) {
        record_closed(tx, subject, *incarnation, finals)?;
    }
    grant_role(tx, subject, Role::Removed, author, authors)
}
