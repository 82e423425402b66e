//! Indexes: which records have which values, in the order of the values.
//!
//! An index is local and derived. It is on no wire and in no backup, and each replica keeps those that its own
//! program declares ([`Declared`]). Its rows are staged rows of a namespace of its own (`rows_of`), so a store
//! knows nothing of it: the path of a row is the record's values and its key, and nothing is in it.
//!
//! **One place keeps it**: [`keep`], at the end of each group of jobs. Whatever changed the tables, a write, a push,
//! a batch, a slice of a fold, a mend or what a delayed replica shows, is in the group's changes by then, and the
//! rows follow in the same commit. So at any commit the rows are those of the *tables*, as far as the index is
//! built. What is visible and not in the tables, the staged rows of a cut that is being folded, a reader looks at by
//! itself ([`walk`]), as it does with the writes of its own transaction.
//!
//! An index that cannot be trusted is not mended but built anew, under a new number, while the rows of the old one
//! are dropped (`Indexes::renew`): one that is new or declared otherwise, one whose store was opened by a program
//! that did not keep it, one of a namespace that is not shown any more, and one that damage was met in. It is built
//! slice by slice ([`Job::Index`](crate::state::Job::Index)); who asks meanwhile gets the same answer, by a scan.

mod declared;
mod find;
mod keeping;
mod range;
mod scrub;
mod stored;
mod walk;

pub(crate) use declared::{Declared, DeclaredField, Unlisted};
pub(crate) use find::{IndexStanding, ViewShelf, is_staged, note_record, stored_rows};
pub(crate) use keeping::keep;
pub(crate) use range::Range;
pub(crate) use scrub::IndexScrub;
pub(crate) use stored::{Indexing, distrust, settle_indexes};
pub(crate) use walk::{Shelf, unreadable, walk};

#[cfg(any(test, feature = "sim"))]
pub(crate) mod audit;
#[cfg(test)]
pub(crate) use stored::rows_of;
#[cfg(test)]
mod tests;
