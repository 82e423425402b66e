//! Judging and scrubbing.
