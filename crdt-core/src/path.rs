//! Paths: the ordered keys of entries.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::limits::{PATH_BYTES_MAX, PATH_COMPONENTS_MAX};

/// The key of one entry: collection / record key / field / element, each any bytes.
///
/// Held in its encoded form, whose byte order is the order of the components one by one: in each component
/// `00` becomes `00 ff`, and `00 01` ends it. So the paths below a path are exactly those that start with
/// its bytes, and a range scan finds them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Bytes);

/// Why bytes or components are no path. Nothing was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Longer than [`PATH_BYTES_MAX`] when encoded.
    #[error("path of {0} bytes exceeds the limit of {PATH_BYTES_MAX}")]
    TooLong(usize),
    /// No component, or more than [`PATH_COMPONENTS_MAX`].
    #[error("a path has 1 to {PATH_COMPONENTS_MAX} components, not {0}")]
    Depth(usize),
    /// The bytes are not the encoding of any components.
    #[error("malformed path encoding")]
    Malformed,
}

impl Path {
    /// The path of these components.
    ///
    /// # Errors
    /// [`PathError::TooLong`] and [`PathError::Depth`].
    pub fn new<C: AsRef<[u8]>>(components: impl IntoIterator<Item = C>) -> Result<Self, PathError> {
        let mut encoded = Vec::with_capacity(USUAL_BYTES);
        let mut depth = 0;
        for component in components {
            encode_component(component.as_ref(), &mut encoded);
            depth += 1;
        }
        Self::checked(&encoded, depth)
    }

    /// The path one component below this one.
    ///
    /// # Errors
    /// [`PathError::TooLong`] and [`PathError::Depth`].
    pub fn child(&self, component: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let component = component.as_ref();
        let mut encoded = Vec::with_capacity(self.0.len() + component.len() + 2);
        encoded.extend_from_slice(&self.0);
        encode_component(component, &mut encoded);
        Self::checked(&encoded, self.depth() + 1)
    }

    /// The path of encoded bytes, as [`Path::as_bytes`] gave them.
    ///
    /// # Errors
    /// Any [`PathError`]; peer input is parsed here, so what exists as a `Path` is well-formed.
    pub fn from_encoded(encoded: Bytes) -> Result<Self, PathError> {
        check(&encoded)?;
        Ok(Self(encoded))
    }

    /// The path of bytes that [`check`] has passed.
    pub(crate) fn from_checked(encoded: Bytes) -> Self {
        debug_assert_eq!(check(&encoded), Ok(()));
        Self(encoded)
    }

    /// The encoded bytes, in whose order paths sort.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded bytes, shared without a copy.
    pub fn encoded(&self) -> &Bytes {
        &self.0
    }

    /// How many components it has: `00 01` ends each, and stands nowhere else.
    fn depth(&self) -> usize {
        self.0.windows(2).filter(|pair| *pair == [0, END]).count()
    }

    /// The components, decoded one by one.
    pub fn components(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        Components(&self.0)
    }

    /// Whether this path is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }

    /// How many bytes the first `count` components take in the encoded form; all of them when the path has
    /// no more than that.
    pub fn prefix_bytes(&self, count: usize) -> usize {
        let mut components = Components(&self.0);
        components.by_ref().take(count).for_each(drop);
        self.0.len() - components.0.len()
    }

    fn checked(encoded: &[u8], depth: usize) -> Result<Self, PathError> {
        if encoded.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong(encoded.len()));
        }
        if !(1..=PATH_COMPONENTS_MAX).contains(&depth) {
            return Err(PathError::Depth(depth));
        }
        // Of just the right size: a vector with room would be kept with that room, and with a header beside it.
        Ok(Self(Bytes::copy_from_slice(encoded)))
    }
}

/// The components as text, bytes that are no text in hex: for errors and debugging, never for logs.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, component) in self.components().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            match core::str::from_utf8(&component) {
                Ok(text) => f.write_str(text)?,
                Err(_) => component.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

/// Whether bytes are the encoding of a path.
pub(crate) fn check(encoded: &[u8]) -> Result<(), PathError> {
    if encoded.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong(encoded.len()));
    }
    let mut depth = 0;
    let mut rest = encoded;
    while !rest.is_empty() {
        let zero = rest.iter().position(|&byte| byte == 0).ok_or(PathError::Malformed)?;
        let ended = match rest.get(zero + 1) {
            Some(&END) => true,
            Some(&ESCAPED_ZERO) => false,
            _ => return Err(PathError::Malformed),
        };
        depth += usize::from(ended);
        rest = &rest[zero + 2..];
        if rest.is_empty() && !ended {
            return Err(PathError::Malformed);
        }
    }
    match depth {
        1..=PATH_COMPONENTS_MAX => Ok(()),
        depth => Err(PathError::Depth(depth)),
    }
}

struct Components<'a>(&'a [u8]);

impl Iterator for Components<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let mut component = Vec::new();
        loop {
            let zero = self.0.iter().position(|&byte| byte == 0).expect("components end in 00 01");
            component.extend_from_slice(&self.0[..zero]);
            let marker = self.0[zero + 1];
            self.0 = &self.0[zero + 2..];
            if marker == END {
                return Some(component);
            }
            component.push(0);
        }
    }
}

fn encode_component(component: &[u8], encoded: &mut Vec<u8>) {
    for part in component.split_inclusive(|byte| *byte == 0) {
        encoded.extend_from_slice(part);
        if part.ends_with(&[0]) {
            encoded.push(ESCAPED_ZERO);
        }
    }
    encoded.extend_from_slice(&[0, END]);
}

const END: u8 = 0x01;
/// Most paths are no longer.
const USUAL_BYTES: usize = 96;
const ESCAPED_ZERO: u8 = 0xff;
