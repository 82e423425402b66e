//! Writing a backup: one snapshot of a store to any stream.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use millpond_core::message::Message;
use millpond_core::wire::{self, RowsFrame};
use millpond_core::{Boot, Namespace};

use super::block::BlockWriter;
use super::error::Fault;
use super::format::{self, End, FRAMES_BYTES, Header, NamespaceHeader, Press};
use super::info::BackupProgress;
use crate::key_pair::KeyPair;
use crate::replication::Whole;
use crate::state::{Heads, Identity, meta_key, read_meta};
use crate::store::{Snapshot, StoreError};

/// What a backup says besides what the store holds.
pub(crate) struct About<'a> {
    /// The node's name.
    pub(crate) name: String,
    /// The wall clock, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// The key pair, if it is to be in the backup.
    pub(crate) keys: Option<&'a KeyPair>,
}

/// Is told how far it is, after each block; breaking stops it.
pub(crate) type OnProgress<'a> = &'a mut dyn FnMut(BackupProgress) -> ControlFlow<()>;

/// Writes all that a snapshot holds.
pub(super) fn write(
    out: impl Write,
    snapshot: &Arc<dyn Snapshot>,
    about: About<'_>,
    on_progress: OnProgress<'_>,
) -> Result<(Header, End, u64), Fault> {
    let header = header(&**snapshot, &about)?;
    let mut blocks = BlockWriter::begin(out)?;
    blocks.block(format::HEADER, &header.encode())?;
    let dots = header.namespaces.iter().map(|it| it.vv.count_beyond(&Default::default()));
    let rows_expected = dots.sum();
    let mut rows = RowsBlocks {
        blocks,
        press: Press::new()?,
        frames: Vec::with_capacity(FRAMES_BYTES),
        end: End::default(),
        rows_expected,
        on_progress,
    };
    for held in &header.namespaces {
        rows.namespace(snapshot.clone(), held)?;
    }
    let RowsBlocks { mut blocks, mut end, .. } = rows;
    if let Some(keys) = about.keys {
        blocks.block(format::KEY, keys.pkcs8())?;
        end.has_key = true;
    }
    blocks.block(format::END, &end.encode())?;
    let bytes = blocks.bytes();
    blocks.into_inner().flush()?;
    Ok((header, end, bytes))
}

/// Gathers frames into blocks.
struct RowsBlocks<'a, W> {
    blocks: BlockWriter<W>,
    press: Press,
    frames: Vec<u8>,
    end: End,
    rows_expected: u64,
    on_progress: OnProgress<'a>,
}

impl<W: Write> RowsBlocks<'_, W> {
    fn namespace(
        &mut self,
        snapshot: Arc<dyn Snapshot>,
        held: &NamespaceHeader,
    ) -> Result<(), Fault> {
        let mut whole = Whole::of(snapshot, held.namespace)?;
        assert_eq!(*whole.upto(), held.vv, "the rows and the header are of one snapshot");
        while let Some(rows) = whole.next()? {
            self.count(&rows);
            for frame in wire::encode(&Message::Rows(rows)) {
                self.frames.extend_from_slice(&frame);
                if self.frames.len() >= FRAMES_BYTES {
                    self.flush(held.namespace)?;
                }
            }
        }
        match self.frames.is_empty() {
            true => Ok(()),
            false => self.flush(held.namespace),
        }
    }

    fn count(&mut self, rows: &RowsFrame) {
        self.end.rows += rows.len() as u64;
        for row in rows.rows() {
            self.end.dots += row.live.len() as u64;
            self.end.deletes += row.deletes.len() as u64;
        }
    }

    fn flush(&mut self, namespace: Namespace) -> Result<(), Fault> {
        let body = self.press.rows(namespace, &self.frames)?;
        self.blocks.block(format::ROWS, &body)?;
        self.frames.clear();
        let (rows, rows_expected) = (self.end.rows, self.rows_expected);
        let progress = BackupProgress { rows, rows_expected, bytes: self.blocks.bytes() };
        match (self.on_progress)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Fault::Stopped),
        }
    }
}

/// What the snapshot says of itself. All that is read comes from it: the store goes on meanwhile.
fn header(snapshot: &dyn Snapshot, about: &About<'_>) -> Result<Header, StoreError> {
    let missing = || StoreError::Corrupt { what: "the store's identity".into() };
    let Identity { store, domain, key } =
        read_meta(snapshot, &meta_key::identity())?.ok_or_else(missing)?;
    let boot: Option<Boot> = read_meta(snapshot, &meta_key::boot())?;
    let heads = Heads::load(snapshot)?;
    let namespaces = NAMESPACES.map(|namespace| NamespaceHeader {
        namespace,
        vv: heads.vv(namespace).clone(),
        floor: heads.floor(namespace).clone(),
    });
    Ok(Header {
        program: env!("CARGO_PKG_VERSION").into(),
        taken_ms: about.now_ms,
        domain,
        store,
        boot: boot.unwrap_or(Boot { counter: 0, random: 0 }),
        key,
        name: about.name.clone(),
        incarnations: heads.incarnations.clone(),
        ceiling: heads.ceiling,
        namespaces: namespaces.to_vec(),
    })
}

/// The namespaces of this version: what the domain knows of itself comes before the data.
pub(super) const NAMESPACES: [Namespace; 2] = [Namespace::SYSTEM, Namespace::MAIN];
