//! Integers and slices: postcard's varints, read in their shortest form only.

use alloc::vec::Vec;
use core::ops::Range;

use super::DecodeError;

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, number: u64) {
    // One byte is by far the most frequent.
    if number < 0x80 {
        return out.push(number as u8);
    }
    let mut buffer = [0; 10];
    let bytes = postcard::to_slice(&number, &mut buffer).expect("a u64 takes ten bytes at most");
    out.extend_from_slice(bytes);
}

/// Appends a length and the bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Small differences of either sign as small numbers: 0, -1, 1, -2, ...
pub(super) const fn zigzag(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(super) const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Reads a body from its front. It tells positions, so that the caller can slice without a copy.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let rest = &self.bytes[self.at..];
        match rest.first() {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                return Ok(u64::from(byte));
            }
            _ => {}
        }
        let (number, after) =
            postcard::take_from_bytes(rest).map_err(|_| DecodeError::Malformed)?;
        let used = rest.len() - after.len();
        // A last byte of zero adds nothing: there is a shorter form.
        if rest[used - 1] == 0 {
            return Err(DecodeError::Malformed);
        }
        self.at += used;
        Ok(number)
    }

    /// A varint that counts something or gives a length, at most `max`.
    pub(super) fn count(&mut self, max: usize, what: &'static str) -> Result<usize, DecodeError> {
        match usize::try_from(self.varint()?) {
            Ok(count) if count <= max => Ok(count),
            _ => Err(DecodeError::Limit(what)),
        }
    }

    /// The next `length` bytes, by position.
    pub(super) fn range(&mut self, length: u64) -> Result<Range<usize>, DecodeError> {
        if length > self.remaining() as u64 {
            return Err(DecodeError::Malformed);
        }
        let start = self.at;
        self.at += length as usize;
        Ok(start..self.at)
    }

    /// The next `length` bytes.
    pub(super) fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        Ok(&self.bytes[self.range(length as u64)?])
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.slice(N)?.try_into().expect("the slice has N bytes"))
    }

    pub(super) const fn position(&self) -> usize {
        self.at
    }

    pub(super) const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// Checks that all was read.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            trailing => Err(DecodeError::TrailingBytes(trailing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag_keeps_small_differences_small_and_loses_none() {
        let numbers = [0, -1, 1, -2, 2].map(zigzag);
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        for difference in [i64::MIN, i64::MAX, -1_000_000, 65_535] {
            assert_eq!(unzigzag(zigzag(difference)), difference);
        }
    }

    #[test]
    fn a_varint_is_read_in_its_shortest_form_only() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            assert_eq!(Reader::new(&bytes, 0).varint(), Ok(number));
        }
        assert_eq!(Reader::new(&[0x80, 0x00], 0).varint(), Err(DecodeError::Malformed));
        assert_eq!(Reader::new(&[0x80], 0).varint(), Err(DecodeError::Malformed));
        assert_eq!(Reader::new(&[0xff; 11], 0).varint(), Err(DecodeError::Malformed));
    }
}
