//! Sizes that the engine keeps to. They trade memory for speed and change no meaning, so tests make them small
//! to reach in seconds what takes gigabytes in life.

/// Sizes that the engine keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of recent transactions in the ring: some seconds of writing at full speed.
    pub(crate) ring_bytes: usize,
    /// Bytes of pushes that may wait for others: less than one link's window, so that a link whose pushes
    /// all wait is never stuck for want of credit.
    pub(crate) waiting_bytes: usize,
    /// Up to this size a catch-up is committed at once and never staged.
    pub(crate) batch_bytes: usize,
    /// How much of a larger one goes to the writer at a time. Local writes wait for one such job at most, so it
    /// takes no longer than some 50 ms.
    pub(crate) slice_bytes: usize,
    /// The same of both in rows.
    pub(crate) slice_rows: usize,
    /// How many rows are folded at a time. They are spread over all tables, so it is fewer.
    pub(crate) fold_rows: usize,
    /// How long a catch-up is supplied from one snapshot, which keeps the store from using its space again.
    pub(crate) snapshot_ms: u64,
    /// Size of a frame of rows: large enough to make its overhead vanish, small enough to interleave.
    pub(crate) rows_frame_bytes: usize,
    /// Up to so many dots the paths of a catch-up are collected from the log; beyond, entries are walked.
    pub(crate) collected_dots: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ring_bytes: 64 << 20,
            waiting_bytes: 2 << 20,
            batch_bytes: 512 << 10,
            slice_bytes: 512 << 10,
            slice_rows: 4_000,
            fold_rows: 1_500,
            snapshot_ms: 60_000,
            rows_frame_bytes: 64 << 10,
            collected_dots: 200_000,
        }
    }
}
