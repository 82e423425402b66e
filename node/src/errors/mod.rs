//! Codes of errors: one registry, in which each cause has a stable code and a page that says what happened, why,
//! what to do, and whether to try again.
//!
//! The pages lie in `pages/`, one file for each area; `coded` says which variant of which error has which code.
//! docs/ERRORS.md is made of them, and a test holds it against them.

mod code;
mod coded;
mod page;
mod pages;
#[cfg(test)]
mod tests;

pub use code::{ErrorCode, ParseErrorCodeError};
#[cfg(feature = "http")]
pub(crate) use coded::code;
pub use page::ErrorPage;
