//! Small constructors for the tests of stores.

use bytes::Bytes;
use millpond_core::{
    Dot, Entry, Hlc, Incarnation, LiveDot, Namespace, Path, Payload, PayloadKind, Seq,
};

use super::{Changes, LogRow, MetaKey};

pub(super) const MAIN: Namespace = Namespace::MAIN;

/// The path of these components, parted by slashes.
pub(super) fn path(text: &str) -> Path {
    Path::new(text.split('/')).unwrap()
}

pub(super) fn incarnation(number: u8) -> Incarnation {
    Incarnation::from_bytes([number; 16])
}

pub(super) fn dot(incarnation_number: u8, seq: u64) -> Dot {
    Dot::new(incarnation(incarnation_number), Seq::new(seq).unwrap())
}

pub(super) fn live(dot: Dot, value: &str) -> LiveDot {
    let payload =
        Payload { kind: PayloadKind::LWW, bytes: Bytes::copy_from_slice(value.as_bytes()) };
    LiveDot { dot, hlc: Hlc::from_ms(1_790_000_000_000 + dot.seq.get() % 1_000), payload }
}

/// An entry with one live dot.
pub(super) fn entry(dot: Dot, value: &str) -> Entry {
    Entry::from_live(vec![live(dot, value)])
}

pub(super) fn row(text: &str) -> LogRow {
    LogRow { path: path(text), deleted: None, ends_transaction: false }
}

pub(super) fn meta(name: &str) -> MetaKey {
    MetaKey(name.to_owned())
}

impl Changes {
    /// Adds an entry in `main`.
    pub(super) fn with_entry(mut self, text: &str, entry: Entry) -> Self {
        self.entries.insert((MAIN, path(text)), entry);
        self
    }

    /// Adds a log row in `main`.
    pub(super) fn with_log(mut self, dot: Dot, row: Option<LogRow>) -> Self {
        self.log.insert((MAIN, dot), row);
        self
    }

    /// Adds a staged row in `main`.
    pub(super) fn with_staged(mut self, text: &str, row: Option<&'static str>) -> Self {
        self.staged.insert((MAIN, path(text)), row.map(Bytes::from));
        self
    }

    /// Adds a meta value.
    pub(super) fn with_meta(mut self, name: &str, value: Option<&'static str>) -> Self {
        self.meta.insert(meta(name), value.map(Bytes::from));
        self
    }
}
