//! What identifies a node, in one line.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD_NOCASE;
use millpond_core::NodeKey;

/// The key by which a node is known, in a line that a person can copy: `mpk1` and base32 of the key and a checksum.
///
/// It is no secret. A partner that is known by it is dialled and taken for itself only if it proves that key, or one that
/// the key has named since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate(NodeKey);

/// Why a text is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCertificateError {
    /// It does not begin as a certificate does.
    #[error(
        "a certificate begins with \"mpk1\"; copy the whole line that `millpond show-replication-certificate` printed"
    )]
    Prefix,
    /// Some of it is missing or mistyped.
    #[error(
        "the certificate is incomplete or mistyped: its checksum does not match; copy it again"
    )]
    Checksum,
}

impl Certificate {
    /// That of the node that is known by this key.
    pub const fn of(key: NodeKey) -> Self {
        Self(key)
    }

    /// The key.
    pub const fn key(&self) -> NodeKey {
        self.0
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.as_bytes().to_vec();
        bytes.extend_from_slice(&checksum(self.0.as_bytes()));
        write!(f, "{PREFIX}{}", BASE32_NOPAD_NOCASE.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Certificate {
    type Err = ParseCertificateError;

    fn from_str(text: &str) -> Result<Self, ParseCertificateError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(ParseCertificateError::Prefix)?;
        let bytes = BASE32_NOPAD_NOCASE.decode(encoded.as_bytes()).ok();
        let bytes = bytes.ok_or(ParseCertificateError::Checksum)?;
        let (key, sum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(ParseCertificateError::Checksum)?;
        let key: [u8; 32] = key.try_into().map_err(|_| ParseCertificateError::Checksum)?;
        match *sum == checksum(&key) {
            true => Ok(Self(NodeKey::from_bytes(key))),
            false => Err(ParseCertificateError::Checksum),
        }
    }
}

fn checksum(key: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *blake3::hash(key).as_bytes().first_chunk().expect("a hash is longer")
}

const PREFIX: &str = "mpk1";
const CHECKSUM_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_survives_its_text_form_in_either_case() {
        let certificate = Certificate::of(NodeKey::from_bytes([0xa5; 32]));
        let text = certificate.to_string();
        assert_eq!(text.parse(), Ok(certificate));
        assert_eq!(format!("mpk1{}", text[4..].to_ascii_uppercase()).parse(), Ok(certificate));
    }

    #[test]
    fn a_mistyped_or_cut_certificate_is_refused() {
        let text = Certificate::of(NodeKey::from_bytes([0xa5; 32])).to_string();
        for index in 4..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[index] = if typo[index] == b'a' { b'b' } else { b'a' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<Certificate>(), Err(ParseCertificateError::Checksum));
            let cut = text[..index].parse::<Certificate>();
            assert_eq!(cut, Err(ParseCertificateError::Checksum));
        }
        for other in ["MIIBkTCB+w", "mp1abc", ""] {
            assert_eq!(other.parse::<Certificate>(), Err(ParseCertificateError::Prefix));
        }
    }
}
