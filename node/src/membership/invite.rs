//! Invites: how a node becomes a member.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::BASE32_NOPAD_NOCASE;
use millpond_core::{Domain, NodeKey};
use serde::{Deserialize, Serialize};

use super::Role;
use crate::planted::planted;

/// A permission to join, given by one member and redeemed there, once.
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
    /// How long it can be redeemed.
    pub expires: Duration,
}

impl Default for InviteOptions {
    /// A writer, within an hour.
    fn default() -> Self {
        Self { role: Role::Writer, expires: Duration::from_secs(3600) }
    }
}

impl Invite {
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
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(ParseInviteError::Prefix)?;
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

/// The invites that this node has issued. Only a hash of each secret is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InviteBook {
    issued: BTreeMap<[u8; 32], Issued>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    role: Role,
    expires_ms: u64,
    redeemed_by: Option<NodeKey>,
}

/// What came of redeeming an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redeemed {
    /// The key gets this role.
    Granted(Role),
    /// This node never issued it.
    Unknown,
    /// Another key has used it.
    Used,
    /// Too late.
    Expired,
}

impl InviteBook {
    /// Whether this key has used the invite of that secret.
    pub(crate) fn is_used_by(&self, secret: &[u8; 16], key: NodeKey) -> bool {
        self.issued.get(&hash(secret)).is_some_and(|issued| issued.redeemed_by == Some(key))
    }

    /// Notes an invite as issued, and forgets those that have expired.
    pub(crate) fn issue(&mut self, invite: &Invite, now_ms: u64) {
        self.issued.retain(|_, issued| issued.expires_ms > now_ms);
        let issued = Issued { role: invite.role, expires_ms: invite.expires_ms, redeemed_by: None };
        self.issued.insert(hash(&invite.secret), issued);
    }

    /// Redeems an invite for a key. The same key may come again, since the answer can get lost.
    pub(crate) fn redeem(&mut self, secret: &[u8; 16], key: NodeKey, now_ms: u64) -> Redeemed {
        let Some(issued) = self.issued.get_mut(&hash(secret)) else { return Redeemed::Unknown };
        match issued.redeemed_by {
            Some(holder) if holder != key && !planted!("an invite is redeemed once") => {
                Redeemed::Used
            }
            None if issued.expires_ms <= now_ms && !planted!("an invite expires") => {
                Redeemed::Expired
            }
            _ => {
                issued.redeemed_by = Some(key);
                Redeemed::Granted(issued.role)
            }
        }
    }
}

fn hash(secret: &[u8; 16]) -> [u8; 32] {
    *blake3::hash(secret).as_bytes()
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *blake3::hash(content).as_bytes().first_chunk().expect("a hash is longer")
}

const PREFIX: &str = "mp1";
const CHECKSUM_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::without;

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
        let upper = format!("mp1{}", text[3..].to_ascii_uppercase());
        assert_eq!(upper.parse(), Ok(invite()));
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
        assert_eq!("hello".parse::<Invite>(), Err(ParseInviteError::Prefix));
    }

    #[test]
    fn an_invite_is_redeemed_once_but_the_same_key_may_ask_again() {
        let [first, second] = [4, 5].map(|byte| NodeKey::from_bytes([byte; 32]));
        let mut book = InviteBook::default();
        assert_eq!(book.redeem(&[3; 16], first, 0), Redeemed::Unknown);
        book.issue(&invite(), 0);
        assert_eq!(book.redeem(&[3; 16], first, 1_000), Redeemed::Expired);
        assert_eq!(book.redeem(&[3; 16], first, 999), Redeemed::Granted(Role::Writer));
        assert_eq!(book.redeem(&[3; 16], first, 2_000), Redeemed::Granted(Role::Writer));
        assert_eq!(book.redeem(&[3; 16], second, 999), Redeemed::Used);

        let mut fresh = InviteBook::default();
        fresh.issue(&invite(), 0);
        let late = without(&["an invite expires"], || fresh.redeem(&[3; 16], first, 1_000));
        let twice = without(&["an invite is redeemed once"], || book.redeem(&[3; 16], second, 999));
        assert_eq!([late, twice], [Redeemed::Granted(Role::Writer); 2], "nothing was taken out");
    }
}
