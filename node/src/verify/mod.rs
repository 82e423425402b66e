//! Verify and scrub: whether what a replica holds is what it should hold.
//!
//! [`Scrub`] looks at one store: each value against its checksum, entries and log against each other. [`judge`]
//! looks at one path of two replicas that were compared. Neither knows of links, and neither changes anything:
//! what they find is mended by [`crate::state::Mend`].

mod judge;
mod scrub;

pub(crate) use judge::{Deletes, Finding, Ground, Suspicion, judge};
pub(crate) use scrub::{Found, Scrub};
