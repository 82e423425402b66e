//! The seal: one digest for everything that a replica shows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use millpond_core::wire::entry::encode_entry;
use serde::Serialize;

use crate::records::NOTES;
use crate::state::View;
use crate::store::StoreError;

/// The digest of a view, and what it covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Seal {
    /// BLAKE3, in hex, over all entries in path order: each path, its live dots, their stamps and contents.
    pub digest: String,
    /// Records: paths that differ in collection or key.
    pub records: u64,
    /// Paths with a live dot.
    pub rows: u64,
    /// Paths with more than one live dot: concurrent values.
    pub conflicts: u64,
    /// The vector that the view is at: incarnation to seq.
    pub vv: BTreeMap<String, u64>,
}

impl Seal {
    /// Computes the seal of a view by a full scan.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn of(view: &View) -> Result<Self, StoreError> {
        let mut hasher = blake3::Hasher::new();
        let (mut records, mut rows, mut conflicts) = (0, 0, 0);
        let mut record = Vec::new();
        let (mut encoded, mut hashed) = (Vec::new(), Vec::new());
        view.entries(None, None, &mut |path, entry| {
            let bytes = path.as_bytes();
            let prefix = &bytes[..path.prefix_bytes(2)];
            if record != prefix {
                record = prefix.to_vec();
                records +=
                    u64::from(path.components().next().is_none_or(|it| it != NOTES.as_bytes()));
            }
            rows += 1;
            conflicts += u64::from(entry.live().len() > 1);
            encoded.clear();
            encode_entry(&entry, &mut encoded);
            for part in [bytes, &encoded] {
                hashed.extend_from_slice(&(part.len() as u64).to_le_bytes());
                hashed.extend_from_slice(part);
            }
            if hashed.len() >= HASHED_BYTES {
                hasher.update(&hashed);
                hashed.clear();
            }
            ControlFlow::Continue(())
        })?;
        hasher.update(&hashed);
        let vv = view.vv().iter().map(|dot| (dot.incarnation.to_string(), dot.seq.get())).collect();
        let digest = hasher.finalize().to_hex().to_string();
        Ok(Self { digest, records, rows, conflicts, vv })
    }
}

/// BLAKE3 hashes many of its chunks at once when it is given them at once.
const HASHED_BYTES: usize = 64 << 10;
