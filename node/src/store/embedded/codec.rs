//! The small codecs that packs and log blocks share: varints, differences, shared prefixes.

/// Stored bytes end early, or say what no writer says. The checksum held, so it is a bug of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Appends a number in LEB128: seven bits to a byte, the lowest first.
pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends the difference from `previous` in zigzag, so that a small step either way is short.
pub(super) fn put_difference(out: &mut Vec<u8>, previous: u64, number: u64) {
    let difference = number.wrapping_sub(previous) as i64;
    put_varint(out, ((difference << 1) ^ (difference >> 63)) as u64);
}

/// Appends `bytes` without what they share with `previous`, and makes `previous` equal to them.
pub(super) fn put_after(out: &mut Vec<u8>, previous: &mut Vec<u8>, bytes: &[u8]) {
    let shared = previous.iter().zip(bytes).take_while(|(left, right)| left == right).count();
    put_varint(out, shared as u64);
    put_varint(out, (bytes.len() - shared) as u64);
    out.extend_from_slice(&bytes[shared..]);
    previous.truncate(shared);
    previous.extend_from_slice(&bytes[shared..]);
}

/// Reads what the functions above wrote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// A varint that counts bytes or things in memory.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).map_err(|_| Malformed)
    }

    pub(super) fn difference(&mut self, previous: u64) -> Result<u64, Malformed> {
        let zigzag = self.varint()?;
        let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        Ok(previous.wrapping_add(difference as u64))
    }

    /// Turns `previous` into the bytes that follow it.
    pub(super) fn after(&mut self, previous: &mut Vec<u8>) -> Result<(), Malformed> {
        let shared = self.count()?;
        let rest = self.count()?;
        if shared > previous.len() {
            return Err(Malformed);
        }
        previous.truncate(shared);
        previous.extend_from_slice(self.take(rest)?);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differences_and_prefixes_read_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let mut out = Vec::new();
        for number in numbers {
            put_varint(&mut out, number);
            numbers.iter().for_each(|&previous| put_difference(&mut out, previous, number));
        }
        let words: [&[u8]; 4] = [b"name\0\x01", b"names\0\x01", b"", b"zip"];
        let mut previous = Vec::new();
        words.iter().for_each(|word| put_after(&mut out, &mut previous, word));

        let mut reader = Reader::new(&out);
        for number in numbers {
            assert_eq!(reader.varint(), Ok(number));
            for previous in numbers {
                assert_eq!(reader.difference(previous), Ok(number));
            }
        }
        let mut previous = Vec::new();
        for word in words {
            reader.after(&mut previous).unwrap();
            assert_eq!(previous, word);
        }
        assert!(reader.is_empty());
        assert_eq!(reader.varint(), Err(Malformed));
    }

    #[test]
    fn malformed_bytes_are_refused() {
        assert_eq!(Reader::new(&[0x80; 11]).varint(), Err(Malformed), "longer than 64 bits");
        assert_eq!(Reader::new(&[1, 0]).after(&mut Vec::new()), Err(Malformed), "shares too much");
        assert_eq!(Reader::new(&[0, 5, 1]).after(&mut Vec::new()), Err(Malformed), "ends early");
    }
}
