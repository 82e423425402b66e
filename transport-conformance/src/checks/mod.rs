//! The checks, by what they are about.

pub(crate) mod cancelling;
pub(crate) mod carrying;
pub(crate) mod dialing;
pub(crate) mod ending;
pub(crate) mod flow;
pub(crate) mod identity;
pub(crate) mod torn;
