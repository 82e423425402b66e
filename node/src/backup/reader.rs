//! Reading a backup: its header, then its rows, then what proves that they are all.

use std::io::Read;

use bytes::Bytes;
use millpond_core::frame::{FRAME_HEADER_BYTES, FrameHeader};
use millpond_core::message::Message;
use millpond_core::wire::{Decoder, RowsFrame};
use millpond_core::{Namespace, VersionVector};
use zeroize::Zeroizing;

use super::block::{Block, BlockReader};
use super::error::Fault;
use super::format::{self, End, Header, unpress};
use crate::planted::planted;
use crate::replication::not_of_whole;

/// Reads a backup from its beginning to its end, in memory of a few blocks and the largest row.
pub(super) struct BackupReader<R> {
    blocks: BlockReader<R>,
    header: Header,
    /// The place of the namespace whose rows are being read.
    current: usize,
    /// Puts rows together that span frames.
    decoder: Decoder,
    /// What is left of the block read last.
    frames: Bytes,
    counted: End,
    keys: Option<Zeroizing<Vec<u8>>>,
    end: Option<End>,
}

impl<R: Read> BackupReader<R> {
    /// Reads the header.
    pub(super) fn begin(input: R) -> Result<Self, Fault> {
        let mut blocks = BlockReader::begin(input)?;
        let Block { kind, body } = blocks.next()?;
        let header = Header::decode(&body).filter(|_| kind == format::HEADER);
        let (block, at) = (1, 0);
        let what = "is no header of a backup";
        let header = header.ok_or(Fault::Malformed { block, at, what })?;
        let is_ordered = header.namespaces.is_sorted_by(|a, b| a.namespace < b.namespace);
        let is_covered = header.namespaces.iter().all(|held| held.vv.covers_all(&held.floor));
        if !is_ordered || !is_covered {
            return Err(Fault::Malformed { block, at, what: "contradicts itself" });
        }
        Ok(Self {
            blocks,
            header,
            current: 0,
            decoder: Decoder::new(),
            frames: Bytes::new(),
            counted: End::default(),
            keys: None,
            end: None,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The next rows, in the order of the header's namespaces; `None` at the end, which has proved that nothing
    /// is missing.
    pub(super) fn next(&mut self) -> Result<Option<(Namespace, RowsFrame)>, Fault> {
        while self.end.is_none() {
            if let Some(rows) = self.next_in_block()? {
                let held = &self.header.namespaces[self.current];
                let namespace = held.namespace;
                if rows.transfer() != 0 {
                    return Err(self.malformed("holds rows of a transfer"));
                }
                if let Some(what) = not_of_whole(&rows, &held.vv) {
                    return Err(self.malformed(what));
                }
                self.count(&rows);
                return Ok(Some((namespace, rows)));
            }
            self.next_block()?;
        }
        Ok(None)
    }

    /// What it all was, once the end is reached.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// The secret key, if there was one before the end.
    pub(super) fn take_keys(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.keys.take()
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks.place().1
    }

    /// Rows read so far.
    pub(super) fn rows(&self) -> u64 {
        self.counted.rows
    }

    fn next_block(&mut self) -> Result<(), Fault> {
        let Block { kind, body } = self.blocks.next()?;
        match kind {
            format::ROWS if self.keys.is_none() => {
                let (namespace, frames) =
                    unpress(&body).ok_or_else(|| self.malformed("does not hold what it says"))?;
                self.turn_to(namespace)?;
                self.frames = frames.into();
                Ok(())
            }
            format::KEY if self.keys.is_none() => {
                self.keys = Some(Zeroizing::new(body));
                Ok(())
            }
            format::END => {
                let end = End::decode(&body).ok_or_else(|| self.malformed("is no end"))?;
                let counted = End { has_key: self.keys.is_some(), ..self.counted };
                let is_whole = end == counted && self.decoder.buffered_bytes() == 0;
                if !is_whole && !planted!("the end of a backup tells what was before it") {
                    return Err(self.malformed("tells of more or less than is there"));
                }
                self.blocks.end()?;
                self.end = Some(end);
                Ok(())
            }
            _ => Err(self.malformed("is of no kind that belongs there")),
        }
    }

    /// Rows of a namespace follow: of the one before them, or of a later one.
    fn turn_to(&mut self, namespace: Namespace) -> Result<(), Fault> {
        let place = self.header.namespaces.iter().position(|it| it.namespace == namespace);
        let is_next = |&place: &usize| {
            place == self.current || (place > self.current && self.decoder.buffered_bytes() == 0)
        };
        self.current = place
            .filter(is_next)
            .ok_or_else(|| self.malformed("holds rows of a namespace that is not next"))?;
        Ok(())
    }

    /// The next whole message of the block.
    fn next_in_block(&mut self) -> Result<Option<RowsFrame>, Fault> {
        while let Some(head) = self.frames.first_chunk::<FRAME_HEADER_BYTES>() {
            let length = FrameHeader::decode(*head).map(|it| FRAME_HEADER_BYTES + it.body_bytes);
            let length = length.ok().filter(|length| *length <= self.frames.len());
            let Some(length) = length else { return Err(self.malformed("cuts a frame off")) };
            let frame = self.frames.split_to(length);
            match self.decoder.decode(frame) {
                Ok(None) => {}
                Ok(Some(Message::Rows(rows))) => return Ok(Some(rows)),
                Ok(Some(_)) => return Err(self.malformed("holds a message that is no rows")),
                Err(_) => return Err(self.malformed("holds a frame that cannot be read")),
            }
        }
        match self.frames.is_empty() {
            true => Ok(None),
            false => Err(self.malformed("cuts a frame off")),
        }
    }

    fn count(&mut self, rows: &RowsFrame) {
        self.counted.rows += rows.len() as u64;
        for row in rows.rows() {
            self.counted.dots += row.live.len() as u64;
            self.counted.deletes += row.deletes.len() as u64;
        }
    }

    fn malformed(&self, what: &'static str) -> Fault {
        let (block, at) = self.blocks.place();
        Fault::Malformed { block, at, what }
    }
}

/// About how many rows a backup of these vectors has.
pub(super) fn rows_expected(header: &Header) -> u64 {
    header.namespaces.iter().map(|it| it.vv.count_beyond(&VersionVector::new())).sum()
}
