//! Invites: how a node becomes a member. Which ones were issued and used the issuer's book says.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::BASE32_NOPAD_NOCASE;
use millpond_core::{Domain, NodeKey};
use serde::{Deserialize, Serialize};

use super::Role;

/// A permission to join, given by one member and redeemed there, by one node or a few.
///
/// Its text is `mp1` and base32 of the content and a checksum: it holds a secret, so pass it on as you would
/// a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    pub(crate) domain: Domain,
    pub(crate) issuer: NodeKey,
    pub(crate) addresses: Vec<String>,
    pub(crate) role: Role,
    pub(crate) expires_ms: u64,
    pub(crate) secret: [u8; 16],
}

/// What an invite allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InviteOptions {
    /// The role of the node that redeems it.
    pub role: Role,
    /// How long it can be redeemed: thirty days at most.
    pub expires: Duration,
    /// How many nodes may join with it: 1 to [`InviteOptions::USES_MAX`].
    pub uses: u32,
    /// Whether each of them waits, without any rights, until an admin has compared its three words and approved it:
    /// see [`Replica::approve`](crate::Replica::approve).
    pub needs_approval: bool,
}

impl InviteOptions {
    /// The most nodes that one invite lets in: a fleet that is set up in one go.
    pub const USES_MAX: u32 = crate::limits::INVITE_USES_MAX;
}

impl Default for InviteOptions {
    /// One writer, within an hour.
    fn default() -> Self {
        Self {
            role: Role::Writer,
            expires: Duration::from_secs(3600),
            uses: 1,
            needs_approval: false,
        }
    }
}

impl Invite {
    /// What its issuer lists it as: no secret.
    pub fn id(&self) -> InviteId {
        InviteId::of(&self.secret)
    }

    /// The domain that it leads to.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The member that issued it, where it must be redeemed.
    pub fn issuer(&self) -> NodeKey {
        self.issuer
    }

    /// Where the issuer can be dialled.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The role that it gives.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Until when it can be redeemed, in milliseconds since 1970.
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = postcard::to_allocvec(self).expect("plain values always encode");
        bytes.extend_from_slice(&checksum(&bytes));
        write!(f, "{PREFIX}{}", BASE32_NOPAD_NOCASE.encode(&bytes).to_ascii_lowercase())
    }
}

/// Without the secret.
impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("domain", &self.domain)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// What an invite is listed as: a hash of its secret, so it may be shown and logged.
///
/// Its text is the first 8 hex digits, its full form 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InviteId([u8; 32]);

impl InviteId {
    pub(super) fn of(secret: &[u8; 16]) -> Self {
        Self(*blake3::hash(secret).as_bytes())
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether a text, the first 8 of its digits or more, is this one.
    pub(super) fn is_named(&self, text: &str) -> bool {
        text.len() >= ID_DIGITS && format!("{self:#}").starts_with(&text.to_ascii_lowercase())
    }
}

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if f.alternate() { &self.0[..] } else { &self.0[..ID_DIGITS / 2] };
        f.write_str(&data_encoding::HEXLOWER.encode(shown))
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no invite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseInviteError {
    /// It does not begin as an invite does.
    #[error("an invite begins with \"mp1\"; copy the whole line that `millpond invite` printed")]
    Prefix,
    /// Some of it is missing or mistyped.
    #[error("the invite is incomplete or mistyped: its checksum does not match; copy it again")]
    Checksum,
}

impl FromStr for Invite {
    type Err = ParseInviteError;

    fn from_str(text: &str) -> Result<Self, ParseInviteError> {
        let text = text.trim();
        let start = text.get(..PREFIX.len()).ok_or(ParseInviteError::Prefix)?;
        if !start.eq_ignore_ascii_case(PREFIX) {
            return Err(ParseInviteError::Prefix);
        }
        let encoded = &text[PREFIX.len()..];
        let bytes = BASE32_NOPAD_NOCASE
            .decode(encoded.as_bytes())
            .map_err(|_| ParseInviteError::Checksum)?;
        let (content, sum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(ParseInviteError::Checksum)?;
        if *sum != checksum(content) {
            return Err(ParseInviteError::Checksum);
        }
        postcard::from_bytes(content).map_err(|_| ParseInviteError::Checksum)
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *blake3::hash(content).as_bytes().first_chunk().expect("a hash is longer")
}

const PREFIX: &str = "mp1";
const CHECKSUM_BYTES: usize = 4;
const ID_DIGITS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Invite {
        Invite {
            domain: Domain::from_bytes([1; 16]),
            issuer: NodeKey::from_bytes([2; 32]),
            addresses: vec!["127.0.0.1:4000".into()],
            role: Role::Writer,
            expires_ms: 1_000,
            secret: [3; 16],
        }
    }

    #[test]
    fn an_invite_survives_its_text_form_in_either_case() {
        let text = invite().to_string();
        assert_eq!(text.parse(), Ok(invite()));
        // As it stands in a QR code, which has no small letters.
        assert_eq!(text.to_ascii_uppercase().parse(), Ok(invite()));
    }

    #[test]
    fn a_mistyped_invite_is_refused() {
        let text = invite().to_string();
        for index in 3..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[index] = if typo[index] == b'a' { b'b' } else { b'a' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<Invite>(), Err(ParseInviteError::Checksum));
        }
        for other in ["hello", "", "mp", "m\u{f6}1x"] {
            assert_eq!(other.parse::<Invite>(), Err(ParseInviteError::Prefix));
        }
    }
}
