//! The public API of a crate as a list of lines, read from its source, and a test that it is the committed
//! one.
//!
//! The usual tool reads rustdoc's JSON, which needs a nightly compiler. This one parses the source with
//! `syn`, follows `pub mod` and `pub use` from `lib.rs`, and prints each item that a user can reach:
//! functions, types with their public fields and variants, methods, traits, implementations, constants. It
//! runs offline on stable, takes a moment, and knows nothing of types: a name is what the `use`
//! declarations of its module make of it.
//!
//! What it does not see: auto traits (`Send`), items made by derive macros beyond the trait's name, and items
//! made by macros that it cannot expand (it expands `macro_rules!` of one rule without repetition, and lists
//! other calls as they stand).

mod expand;
mod listing;
mod names;
mod print;
mod reach;
mod snapshot;
mod source;

pub use listing::list;
pub use snapshot::assert_unchanged;
